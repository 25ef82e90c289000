"""Writes random parity cases in the golden files' format.

    make_cases.py --seed S --count N --out DIR [--kind KIND]

A case is a safetensors file with the tensors and the metadata of the golden files (see
goldens/README.md), with these additions:

- beside `aux_loss` stand the other scalars of dense_bsq.py, all in float64, and `rows`;
- x is [D], [N, D], [B, T, D] or [B, H, W, D], in float32, float64, float16 or bfloat16;
- beside a float16 or bfloat16 x (and cotangent) everything expected is float64 and not
  rounded: the rounding of the results to x's dtype is the comparison's to allow for;
- metadata `tolerance` is x's dtype: which of parity.TOLERANCES holds. The metadata
  `aux_loss_absolute`, `entropy_loss_absolute`, `entropy_absolute` and `gradient_absolute`
  replace its absolute terms, which suit usual parameters: see `Tolerance.widened`.

There are three kinds. `reference` cases have the options that SpeechBrain's module has.
`composed` ones have any options of bsq.h that have a meaning together, but for
`entropy_fraction`: PyTorch would draw other rows. In their metadata stand those that are not
the default, as parity.Parameters has them. The rows that count may be given by a tensor `mask`
[...] (uint8), `lengths` [items] (int64) or `relative_lengths` [items] (float64): see
goldens.row_mask. Metadata `parts` asks for the losses and gradients from merged sums, too: of
as many parts of x along its first dimension, of sizes as equal as can be, some perhaps empty.

What is expected comes from dense_bsq.py, computed in float64 whatever x is, so that the
tolerance is left to the implementation under test. Only some of the float32 cases are
computed in float32 throughout, as SpeechBrain does, and the note says so. Such a case is
drawn again if that computation spends over half the tolerance, as SpeechBrain's does at
high inverse temperatures.

`non-finite` cases, of both other kinds, have NaN or infinities in some rows of [1, N, D],
no gradients, and are marked `non_finite` = `propagate`.

A case is determined by the seed and its number, so a greater count leaves the first ones
as they were. (Only the order in which safetensors writes metadata keys varies.) Types and
ranks follow the number: any 40 successive cases have each of RECIPES in each rank.

The gradient jumps where a probability crosses the clamp's epsilon: the clamp counts at
p >= epsilon. Rounding decides on which side a probability within rounding of it falls, and
in rows with equal or zero components whole groups of codes fall together. So a case is
drawn again where the probabilities within a relative 3e-6 (1e-9 in float64) of
epsilon could together move a gradient by more than a tenth of its tolerance: see
`epsilon_jump`. That keeps wide, soft cases, where some of the millions of probabilities
are always that near but none of them weighs anything. In float64, and with few rows or a
high inverse temperature, one probability is enough to reject a case. A floor that is added
has no jump.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.random import Generator
from safetensors.torch import save_file
from torch import Tensor
from torch.nn.functional import normalize

from dense_bsq import EPSILON
from goldens import INPUTS, row_mask
from parity import ABSOLUTE_TERMS, COUNTS, TOLERANCES, Parameters, Tolerance, evaluate, in_codes

KINDS = ("reference", "composed", "non-finite")
GREATEST_ROWS = 300
GREATEST_SOFTMAX = 4_000_000
"""Bounds N * 2^D, so that no case takes longer than a fraction of a second."""
GREATEST_INPUT = 50_000
"""Bounds the elements of x, likewise."""
GREATEST_CODE_DIM = 1024

EPSILON_WINDOW = {
    torch.float32: 3e-6,
    torch.float64: 1e-9,
    torch.float16: 3e-6,
    torch.bfloat16: 3e-6,
}
"""The relative distance from 1e-5 at which rounding may decide.

ln p is -sum of softplus(-+theta), so near epsilon the thetas that matter add up to
ln 1e5 = 11.5, each with a relative error of some units in the last place, whatever the
temperature."""
GREATEST_JUMP = 0.1
"""The part of a gradient's tolerance that may hang on those probabilities."""
GREATEST_STRAY = 0.5
"""The part of the tolerance that a float32 computation may have spent by itself."""


class Recipe(NamedTuple):
    """How a case's expected values are computed, and the scales of its input."""

    dtype: torch.dtype
    computed_in: torch.dtype
    scales: tuple[float, float]


USUAL_SCALES = (1e-3, 1e3)
ANY_SCALES = (1e-25, 1e25)
"""Norms whose squares are no float32 numbers, and norms below the reference's minimum."""
FLOAT16_SCALES = (1e-6, 3e4)
"""From subnormal x with gradients that overflow, to large x with subnormal gradients."""

RECIPES = (
    Recipe(torch.float32, torch.float64, USUAL_SCALES),
    Recipe(torch.float16, torch.float64, USUAL_SCALES),
    Recipe(torch.float64, torch.float64, USUAL_SCALES),
    Recipe(torch.bfloat16, torch.float64, USUAL_SCALES),
    Recipe(torch.float32, torch.float32, USUAL_SCALES),
    Recipe(torch.float16, torch.float64, FLOAT16_SCALES),
    Recipe(torch.float64, torch.float64, ANY_SCALES),
    Recipe(torch.bfloat16, torch.float64, ANY_SCALES),
    Recipe(torch.float32, torch.float64, USUAL_SCALES),
    Recipe(torch.float32, torch.float64, ANY_SCALES),
)
DTYPES = tuple(dict.fromkeys(recipe.dtype for recipe in RECIPES))
GREATEST_RANK = 4


class Case(NamedTuple):
    """A file's content."""

    tensors: dict[str, Tensor]
    metadata: dict[str, str]


class Problem(NamedTuple):
    """What a case asks for, before it is evaluated."""

    parameters: Parameters
    inputs: dict[str, Tensor]
    """Some of goldens.INPUTS, x among them."""
    parts: int
    description: str

    @property
    def mask(self) -> Tensor | None:
        """Which rows count."""
        return row_mask(self.inputs, self.parameters)

    @property
    def counted(self) -> int:
        """How many rows count."""
        mask = self.mask
        codes = self.inputs["x"].numel() // self.parameters.code_dim
        return codes // self.parameters.codebooks if mask is None else int(mask.bool().sum())

    def evaluated(self, dtype: torch.dtype) -> dict[str, Tensor]:
        """What is expected, computed in this type."""
        x, cotangent = self.inputs["x"].to(dtype), self.inputs.get("cotangent")
        if cotangent is not None:
            cotangent = cotangent.to(dtype)
        return evaluate(x, cotangent, self.parameters, self.mask)

    def tolerance(self) -> Tolerance:
        """How far a result may be off."""
        return TOLERANCES[self.inputs["x"].dtype].widened(self.parameters, self.counted)

    def metadata(self) -> dict[str, str]:
        """All but the note."""
        return (
            self.parameters.to_metadata()
            | self.tolerance().to_metadata()
            | {"tolerance": str(self.inputs["x"].dtype).removeprefix("torch.")}
            | ({"parts": str(self.parts)} if self.parts > 1 else {})
        )


def normal(rng: Generator, rows: int, dim: int) -> np.ndarray:
    """Independent normal components."""
    return rng.standard_normal((rows, dim))


def uniform(rng: Generator, rows: int, dim: int) -> np.ndarray:
    """Independent components, uniform in [-1, 1)."""
    return rng.uniform(-1, 1, (rows, dim))


def heavy_tailed(rng: Generator, rows: int, dim: int) -> np.ndarray:
    """Student's t with 1.5 degrees of freedom: some components dwarf the others."""
    return rng.standard_t(1.5, (rows, dim))


def one_hot_like(rng: Generator, rows: int, dim: int) -> np.ndarray:
    """One large component in each row, of either sign, the others near zero."""
    x = 1e-3 * normal(rng, rows, dim)
    x[np.arange(rows), rng.integers(dim, size=rows)] = rng.choice([-1, 1], rows)
    return x


def equal_components(rng: Generator, rows: int, dim: int) -> np.ndarray:
    """Components of one magnitude in each row, with random signs."""
    return rng.choice([-1, 1], (rows, dim)) * rng.uniform(0.5, 2, (rows, 1))


def exact_zeros(rng: Generator, rows: int, dim: int) -> np.ndarray:
    """Normal components, about half of them zeros of either sign; some rows are zero."""
    kept = (rng.random((rows, dim)) < 0.5) & (rng.random((rows, 1)) < 0.9)
    return normal(rng, rows, dim) * kept


def duplicates(rng: Generator, rows: int, dim: int) -> np.ndarray:
    """Few distinct normal rows, repeated in random order."""
    distinct = 1 + rows // 4
    return normal(rng, distinct, dim)[rng.integers(distinct, size=rows)]


DISTRIBUTIONS: tuple[Callable[[Generator, int, int], np.ndarray], ...] = (
    normal,
    uniform,
    heavy_tailed,
    one_hot_like,
    equal_components,
    exact_zeros,
    duplicates,
)


def log_uniform(rng: Generator, low: float, high: float) -> float:
    """A number in [low, high] whose logarithm is uniform, to four digits."""
    return float(f"{np.exp(rng.uniform(np.log(low), np.log(high))):.4g}")


def chance(rng: Generator, probability: float) -> bool:
    """Whether something of this probability happens."""
    return bool(rng.random() < probability)


def draw_temperature(rng: Generator) -> float:
    """Draws an inverse temperature, often a usual one."""
    usual = float(rng.choice([1.0, 10.0, 100.0]))
    return usual if chance(rng, 0.4) else log_uniform(rng, 0.05, 1e4)


def draw_weight(rng: Generator, *usual: float) -> float:
    """Draws one of these or, as likely as one of them, any weight."""
    return float(rng.choice([*usual, round(rng.uniform(-2, 2), 3)]))


def draw_parameters(rng: Generator) -> Parameters:
    """Draws those that SpeechBrain has; wide codes are rare, usual values are common."""
    dims = np.arange(1, 17)
    likelihood = np.where(dims <= 13, 1.0, 0.3)
    return Parameters(
        code_dim=int(rng.choice(dims, p=likelihood / likelihood.sum())),
        inv_temperature=draw_temperature(rng),
        entropy_loss_weight=draw_weight(rng, 0.1, 0.1, 0.0, 1.0, -0.5),
        diversity_gamma=draw_weight(rng, 1.0, 1.0, 0.0, 2.0, -1.0),
    )


def draw_groups(rng: Generator, group_size: int) -> int:
    """Draws how many groups of this size a code has, often few."""
    greatest = GREATEST_CODE_DIM // group_size
    return round(log_uniform(rng, 1, greatest))


def draw_code(rng: Generator) -> tuple[int, int, str]:
    """Draws code_dim, group_size and entropy_form: ungrouped, grouped or analytical."""
    form = rng.choice(["ungrouped", "exact", "analytical"], p=[0.2, 0.4, 0.4])
    if form == "ungrouped":
        return int(rng.integers(1, 14)), 0, "exact"
    if form == "exact":
        group_size = int(rng.integers(1, 10)) if chance(rng, 0.8) else int(rng.integers(10, 17))
    else:
        group_size = int(rng.integers(1, 64))
    return group_size * draw_groups(rng, group_size), group_size, str(form)


def draw_composed_parameters(rng: Generator, rank: int) -> Parameters:
    """Draws all options that have a meaning for inputs of this rank."""
    code_dim, group_size, entropy_form = draw_code(rng)
    any_epsilon = log_uniform(rng, 1e-30, 0.1)
    any_offset = round(rng.uniform(-10, 10), 3)
    offset = float(rng.choice([5.0, 0.0, any_offset]))
    return Parameters(
        code_dim=code_dim,
        inv_temperature=draw_temperature(rng),
        entropy_loss_weight=draw_weight(rng, 0.1, 1.0, -0.5),
        diversity_gamma=draw_weight(rng, 1.0, 0.0, 2.0),
        codebooks=int(rng.choice([1, 2, 3, 4, 7], p=[0.4, 0.2, 0.2, 0.1, 0.1])),
        group_size=group_size,
        entropy_form=entropy_form,
        entropy_floor=str(rng.choice(["clamp", "add"])),
        entropy_epsilon=float(rng.choice([EPSILON, 1e-8, any_epsilon])),
        sample_entropy_weight=draw_weight(rng, 1.0, 1.0, 0.0, 0.5),
        entropy_scale=str(rng.choice(["one", "temperature"])),
        positive_offset=offset if chance(rng, 0.4) else None,
        commitment=str(rng.choice(["squared_norm", "square"])),
        commitment_weight=draw_weight(rng, 0.0, 0.25, 1.0),
        straight_through_scale=draw_weight(rng, 1.0, 0.0, code_dim**-0.5),
        channel_first=rank > 1 and chance(rng, 0.5),
    )


def draw_leading(rng: Generator, rank: int, parameters: Parameters) -> tuple[int, ...]:
    """Draws the leading dimensions of x with at most GREATEST_ROWS rows, often few."""
    components = parameters.code_dim * parameters.codebooks
    softmax = components // parameters.entropy_size * 2**parameters.entropy_size
    greatest = min(GREATEST_ROWS, GREATEST_SOFTMAX // softmax, GREATEST_INPUT // components)
    leading: list[int] = []
    for _ in range(rank - 1):
        left = max(1, greatest) // int(np.prod(leading, dtype=int))
        leading.append(round(np.exp(rng.uniform(0, np.log(left)))))
    return tuple(int(size) for size in rng.permutation(leading))


def in_layout(vectors: Tensor, parameters: Parameters) -> Tensor:
    """Vectors [..., K * D] with that dimension where the parameters have it."""
    return vectors.movedim(-1, 1).contiguous() if parameters.channel_first else vectors


def draw_vectors(
    rng: Generator,
    leading: tuple[int, ...],
    parameters: Parameters,
    dtype: torch.dtype,
    scales: tuple[float, float],
) -> tuple[Tensor, str]:
    """Draws finite vectors of a random distribution and scale; returns them and a description."""
    distribution = DISTRIBUTIONS[rng.integers(len(DISTRIBUTIONS))]
    rows = int(np.prod(leading, dtype=int))
    scale = log_uniform(rng, *scales)
    codes = distribution(rng, rows * parameters.codebooks, parameters.code_dim)
    description = f"{distribution.__name__}, scale {scale}"
    greatest = torch.finfo(dtype).max
    x = torch.from_numpy((scale * codes).reshape(*leading, -1))
    return x.clamp(-greatest, greatest).to(dtype), description


def draw_counted(rng: Generator, leading: tuple[int, ...]) -> dict[str, Tensor]:
    """Draws which rows count: all, by a mask, by lengths or by relative lengths."""
    items = leading[0] if leading else 1
    positions = int(np.prod(leading[1:], dtype=int))
    given = rng.choice(["all", "mask", "lengths", "relative_lengths"])
    if given == "mask":
        mask = rng.random(leading) < rng.choice([0.0, 0.5, 0.9], p=[0.1, 0.5, 0.4])
        return {"mask": torch.from_numpy(np.asarray(mask, np.uint8))}
    if given == "lengths":
        return {"lengths": torch.from_numpy(rng.integers(0, positions + 1, items))}
    if given == "relative_lengths":
        lengths = [rng.choice([0.0, 0.5, 1.0, rng.random()]) for _ in range(items)]
        return {"relative_lengths": torch.tensor(lengths, dtype=torch.float64)}
    return {}


def draw_problem(rng: Generator, number: int, composed: bool) -> Problem:
    """Draws inputs and parameters of the recipe and rank that this number has."""
    recipe = RECIPES[number % len(RECIPES)]
    rank = 1 + number // len(RECIPES) % GREATEST_RANK
    parameters = draw_composed_parameters(rng, rank) if composed else draw_parameters(rng)
    leading = draw_leading(rng, rank, parameters)
    x, description = draw_vectors(rng, leading, parameters, recipe.dtype, recipe.scales)
    cotangent = torch.from_numpy(rng.standard_normal(x.shape)).to(recipe.dtype)
    inputs = {"x": in_layout(x, parameters), "cotangent": in_layout(cotangent, parameters)}
    parts = 1
    if composed:
        inputs |= draw_counted(rng, leading)
        parts = int(rng.integers(2, 6)) if leading and chance(rng, 0.7) else 1
    return Problem(parameters, inputs, parts, description)


def epsilon_jump(problem: Problem) -> Tensor:
    """Bounds how far n * grad_aux of each code may jump: [rows, K], float64.

    The bound is over which of the probabilities within a relative window of the clamp's epsilon
    count as at least that. With theta = 4 * beta * u / sqrt(D), such a p(c|u_n) moves
    |dL/dtheta_d| by at most |weight| / (N * K) * p(c|u_n) for each of the g bits of its
    distribution, and a mean probability p(c) moves it by at most |weight * gamma| / (N * K) *
    p(c|u_n). Over all d that makes |dL/du_n| at most 4 * beta * sqrt(g / D) times the sum of
    those, and the norm's derivative lengthens nothing, nor does a softplus.
    """
    parameters = problem.parameters
    x = problem.inputs["x"]
    unit = normalize(in_codes(x.double(), parameters), dim=-1)
    jump = torch.zeros(unit.shape[:-1], dtype=torch.float64)
    if parameters.entropy_floor != "clamp" or problem.counted == 0:
        return jump
    mask = problem.mask
    counted = torch.ones(len(unit), dtype=torch.bool) if mask is None else mask.reshape(-1).bool()
    prob = parameters.quantizer().probabilities(unit[counted], parameters.inv_temperature)
    epsilon = parameters.entropy_epsilon
    window = EPSILON_WINDOW[x.dtype] * max(1, math.log(epsilon) / math.log(EPSILON))

    def near(p: Tensor) -> Tensor:
        return (p - epsilon).abs() <= window * epsilon

    mass = abs(parameters.sample_entropy_weight) * (prob * near(prob)).sum(dim=(-2, -1))
    mass += abs(parameters.diversity_gamma) * (prob * near(prob.mean(dim=0))).sum(dim=(-2, -1))
    weight = abs(parameters.entropy_weight) / (len(prob) * parameters.codebooks)
    share = math.sqrt(parameters.entropy_size / parameters.code_dim)
    jump[counted] = 4 * parameters.inv_temperature * share * weight * mass
    return jump


def note(computed_in: torch.dtype, description: str, origin: str) -> str:
    """A case's note: by whom and how it was computed, from what input."""
    return (
        f"dense_bsq.py, torch {torch.__version__}, computed in {computed_in}, "
        f"{description}, {origin}"
    )


def draw_case(rng: Generator, number: int, origin: str, composed: bool) -> Case:
    """Draws cases until one is fair: no jump at epsilon, no stray float32 computation."""
    computed_in = RECIPES[number % len(RECIPES)].computed_in
    while True:
        problem = draw_problem(rng, number, composed)
        x, parameters, tolerance = problem.inputs["x"], problem.parameters, problem.tolerance()

        truth = problem.evaluated(torch.float64)
        allowed = tolerance.of_gradient(truth["grad_aux"], x, parameters).squeeze(-1)
        if (epsilon_jump(problem) > GREATEST_JUMP * allowed).any():
            continue
        results = truth
        if computed_in != torch.float64:
            results = problem.evaluated(computed_in)
            stray = (
                tolerance.fraction(name, results[name], expected, x, parameters)
                for name, expected in truth.items()
            )
            if max(stray) > GREATEST_STRAY:
                continue

        metadata = problem.metadata() | {"note": note(computed_in, problem.description, origin)}
        return Case(problem.inputs | results, metadata)


def draw_non_finite_case(rng: Generator, number: int, origin: str) -> Case:
    """Draws a case with NaN or infinities in at least one row and a finite first row."""
    dtype = DTYPES[number % len(DTYPES)]
    composed = number // len(DTYPES) % 2 == 1
    rank = 3
    parameters = draw_composed_parameters(rng, rank) if composed else draw_parameters(rng)
    leading = (1, int(rng.integers(2, 9)))
    x, description = draw_vectors(rng, leading, parameters, dtype, USUAL_SCALES)
    rows, components = x.shape[1:]
    for row in rng.choice(np.arange(1, rows), rng.integers(1, rows), replace=False):
        count = rng.integers(1, components + 1)
        columns = rng.choice(components, count, replace=False)
        values = rng.choice([np.nan, np.inf, -np.inf], count)
        x[0, row, columns] = torch.from_numpy(values).to(dtype)
    inputs = {"x": in_layout(x, parameters)}
    if composed:
        inputs |= draw_counted(rng, leading)

    problem = Problem(parameters, inputs, 1, description)
    metadata = problem.metadata() | {"non_finite": "propagate"}
    metadata["note"] = note(torch.float64, description, origin)
    return Case(inputs | problem.evaluated(torch.float64), metadata)


def write_case(case: Case, path: Path) -> None:
    """Writes a case: scalars in float64, counts in int64, the rest in x's dtype.

    Beside 16-bit inputs the rest is float64.
    """
    inputs = {name: case.tensors[name].dtype for name in INPUTS if name in case.tensors}
    exact = dict.fromkeys(COUNTS, torch.int64) | dict.fromkeys(ABSOLUTE_TERMS, torch.float64)
    others = torch.float64 if inputs["x"].itemsize == 2 else inputs["x"]
    tensors = {
        name: tensor.to((inputs | exact).get(name, others)).contiguous()
        for name, tensor in case.tensors.items()
    }
    save_file(tensors, path, case.metadata)


def main() -> int:
    """Writes the cases that the command line asks for."""
    parser = argparse.ArgumentParser(description="Writes random parity cases.")
    parser.add_argument("--seed", type=int, required=True, help="0 or more")
    parser.add_argument("--count", type=int, required=True, help="how many cases")
    parser.add_argument("--out", type=Path, required=True, help="the folder to fill")
    parser.add_argument("--kind", choices=KINDS, default="reference", help="see above")
    arguments = parser.parse_args()

    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.count):
        rng = np.random.default_rng([arguments.seed, KINDS.index(arguments.kind), number])
        origin = f"seed {arguments.seed}, {arguments.kind} case {number}"
        case = (
            draw_non_finite_case(rng, number, origin)
            if arguments.kind == "non-finite"
            else draw_case(rng, number, origin, composed=arguments.kind == "composed")
        )
        write_case(case, arguments.out / f"{arguments.kind}_{number:03d}.safetensors")
    print(f"wrote {arguments.count} cases, seed {arguments.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
