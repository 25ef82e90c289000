"""Writes random parity cases in the golden files' format.

    make_cases.py --seed S --count N --out DIR [--non-finite]

A case is a safetensors file with the tensors and the metadata of the golden files (see
goldens/README.md), with these additions:

- the scalars `per_sample_entropy` and `codebook_entropy` stand beside `aux_loss`, and all
  three are float64;
- x is [D], [N, D], [B, T, D] or [B, H, W, D], in float32, float64, float16 or bfloat16;
- beside a float16 or bfloat16 x (and cotangent) everything expected is float64 and not
  rounded: the rounding of the results to x's dtype is the comparison's to allow for;
- metadata `tolerance` is x's dtype: which of parity.TOLERANCES holds. The metadata
  `aux_loss_absolute`, `entropy_absolute` and `gradient_absolute` replace its absolute
  terms, which suit usual parameters: see `Tolerance.widened`.

What is expected comes from dense_bsq.py, computed in float64 whatever x is, so that the
tolerance is left to the implementation under test. Only some of the float32 cases are
computed in float32 throughout, as SpeechBrain does, and the note says so. Such a case is
drawn again if that computation spends over half the tolerance, as SpeechBrain's does at
high inverse temperatures. With --non-finite, every case is of shape [1, N, D] with NaN or
infinities in some rows, without gradients, computed in float32 (but float64 in float64),
and marked `non_finite` = `propagate`.

A case is determined by the seed and its number, so a greater count leaves the first ones
as they were. (Only the order in which safetensors writes metadata keys varies.) Types and
ranks follow the number: any 40 successive cases have each of RECIPES in each rank.

The gradient jumps where a probability crosses the reference's epsilon: the clamp counts at
p >= 1e-5. Rounding decides on which side a probability within rounding of it falls, and
in rows with equal or zero components whole groups of codes fall together. So a case is
drawn again where the probabilities within a relative 3e-6 (1e-9 in float64) of
epsilon could together move a gradient by more than a tenth of its tolerance: see
`epsilon_jump`. That keeps wide, soft cases, where some of the millions of probabilities
are always that near but none of them weighs anything. In float64, and with few rows or a
high inverse temperature, one probability is enough to reject a case.
"""

from __future__ import annotations

import argparse
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
from parity import TOLERANCES, Parameters, evaluate

INPUTS = ("x", "cotangent")
SCALARS = ("aux_loss", "per_sample_entropy", "codebook_entropy")
GREATEST_ROWS = 300
GREATEST_SOFTMAX = 4_000_000
"""Bounds N * 2^D, so that no case takes longer than a fraction of a second."""

EPSILON_WINDOW = {
    torch.float32: 3e-6,
    torch.float64: 1e-9,
    torch.float16: 3e-6,
    torch.bfloat16: 3e-6,
}
"""The relative distance from epsilon at which rounding may decide.

ln p is -sum of softplus(-+theta), so near epsilon the thetas that matter add up to 11.5,
each with a relative error of some units in the last place, whatever the temperature."""
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


def draw_parameters(rng: Generator) -> Parameters:
    """Draws the parameters; wide codes are rare, usual values are common."""
    dims = np.arange(1, 17)
    likelihood = np.where(dims <= 13, 1.0, 0.3)
    usual_temperature = float(rng.choice([1.0, 10.0, 100.0]))
    any_temperature = log_uniform(rng, 0.05, 1e4)
    any_weights = rng.uniform(-2, 2, 2).round(3)
    return Parameters(
        code_dim=int(rng.choice(dims, p=likelihood / likelihood.sum())),
        inv_temperature=usual_temperature if rng.random() < 0.4 else any_temperature,
        entropy_loss_weight=float(rng.choice([0.1, 0.1, 0.0, 1.0, -0.5, any_weights[0]])),
        diversity_gamma=float(rng.choice([1.0, 1.0, 0.0, 2.0, -1.0, any_weights[1]])),
    )


def draw_shape(rng: Generator, rank: int, code_dim: int) -> tuple[int, ...]:
    """Draws a shape of this rank with at most GREATEST_ROWS rows, often of few."""
    greatest = max(1, min(GREATEST_ROWS, GREATEST_SOFTMAX // 2**code_dim))
    leading: list[int] = []
    for _ in range(rank - 1):
        left = greatest // int(np.prod(leading, dtype=int))
        leading.append(round(np.exp(rng.uniform(0, np.log(left)))))
    return (*(int(size) for size in rng.permutation(leading)), code_dim)


def draw_input(
    rng: Generator, shape: tuple[int, ...], dtype: torch.dtype, scales: tuple[float, float]
) -> tuple[Tensor, str]:
    """Draws a finite x of a random distribution and scale; returns it and its description."""
    distribution = DISTRIBUTIONS[rng.integers(len(DISTRIBUTIONS))]
    rows = int(np.prod(shape[:-1], dtype=int))
    scale = log_uniform(rng, *scales)
    x = scale * distribution(rng, rows, shape[-1])
    description = f"{distribution.__name__}, scale {scale}"
    greatest = torch.finfo(dtype).max
    return torch.from_numpy(x.reshape(shape)).clamp(-greatest, greatest).to(dtype), description


def epsilon_jump(x: Tensor, parameters: Parameters, window: float) -> Tensor:
    """Bounds how far n * grad_aux of each row may jump: [rows], float64.

    The bound is over which of the probabilities within a relative window of EPSILON count
    as at least that. With theta = 4 * beta * u / sqrt(D), such a p(c|u_n) moves
    |dL/dtheta_d| by at most |weight| / N * p(c|u_n), and a mean probability p(c) moves it
    by at most |weight * gamma| / N * p(c|u_n). Over all d that makes |dL/du_n| at most
    4 * beta times the sum of those, and the norm's derivative lengthens nothing.
    """
    unit = normalize(x.double().reshape(-1, parameters.code_dim), dim=-1)
    prob = parameters.quantizer().probabilities(unit, parameters.inv_temperature)

    def near(p: Tensor) -> Tensor:
        return (p - EPSILON).abs() <= window * EPSILON

    mass = (prob * near(prob)).sum(dim=-1)
    mass += abs(parameters.diversity_gamma) * prob @ near(prob.mean(dim=0)).double()
    weight = abs(parameters.entropy_loss_weight) / len(prob)
    return 4 * parameters.inv_temperature * weight * mass


def note(computed_in: torch.dtype, description: str, origin: str) -> str:
    """A case's note: by whom and how it was computed, from what input."""
    return (
        f"dense_bsq.py, torch {torch.__version__}, computed in {computed_in}, "
        f"{description}, {origin}"
    )


def draw_case(rng: Generator, number: int, origin: str) -> Case:
    """Draws cases until one is fair: no jump at epsilon, no stray float32 computation."""
    recipe = RECIPES[number % len(RECIPES)]
    rank = 1 + number // len(RECIPES) % GREATEST_RANK
    while True:
        parameters = draw_parameters(rng)
        shape = draw_shape(rng, rank, parameters.code_dim)
        x, description = draw_input(rng, shape, recipe.dtype, recipe.scales)
        cotangent = torch.from_numpy(rng.standard_normal(shape)).to(recipe.dtype)
        rows = x.numel() // parameters.code_dim
        tolerance = TOLERANCES[recipe.dtype].widened(parameters, rows)

        truth = evaluate(x.double(), cotangent.double(), parameters)
        jump = epsilon_jump(x, parameters, EPSILON_WINDOW[recipe.dtype])
        allowed = tolerance.of_gradient(truth["grad_aux"], x).flatten()
        if (jump > GREATEST_JUMP * allowed).any():
            continue
        results = truth
        if recipe.computed_in != torch.float64:
            results = evaluate(x, cotangent, parameters)
            stray = (
                tolerance.fraction(name, results[name], expected, x)
                for name, expected in truth.items()
            )
            if max(stray) > GREATEST_STRAY:
                continue

        metadata = parameters.to_metadata() | tolerance.to_metadata()
        metadata["tolerance"] = str(recipe.dtype).removeprefix("torch.")
        metadata["note"] = note(recipe.computed_in, description, origin)
        return Case({"x": x, "cotangent": cotangent} | results, metadata)


def draw_non_finite_case(rng: Generator, number: int, origin: str) -> Case:
    """Draws a case with NaN or infinities in at least one row and a finite first row."""
    dtype = DTYPES[number % len(DTYPES)]
    computed_in = torch.promote_types(dtype, torch.float32)
    parameters = draw_parameters(rng)
    rows = int(rng.integers(2, 9))
    x, description = draw_input(rng, (1, rows, parameters.code_dim), dtype, USUAL_SCALES)
    for row in rng.choice(np.arange(1, rows), rng.integers(1, rows), replace=False):
        count = rng.integers(1, parameters.code_dim + 1)
        columns = rng.choice(parameters.code_dim, count, replace=False)
        values = rng.choice([np.nan, np.inf, -np.inf], count)
        x[0, row, columns] = torch.from_numpy(values).to(dtype)

    metadata = parameters.to_metadata() | {"non_finite": "propagate"}
    metadata["note"] = note(computed_in, description, origin)
    return Case({"x": x} | evaluate(x.to(computed_in), None, parameters), metadata)


def write_case(case: Case, path: Path) -> None:
    """Writes a case: scalars in float64, indices in int64, the rest in x's dtype.

    Beside 16-bit inputs the rest is float64.
    """
    inputs = {name: case.tensors[name].dtype for name in INPUTS if name in case.tensors}
    exact = {"indices": torch.int64} | dict.fromkeys(SCALARS, torch.float64)
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
    parser.add_argument(
        "--non-finite",
        action="store_true",
        help="cases with NaN and infinities instead",
    )
    arguments = parser.parse_args()
    draw = draw_non_finite_case if arguments.non_finite else draw_case
    kind = "non_finite" if arguments.non_finite else "case"

    arguments.out.mkdir(parents=True, exist_ok=True)
    for number in range(arguments.count):
        rng = np.random.default_rng([arguments.seed, number])
        case = draw(rng, number, f"seed {arguments.seed}, case {number}")
        write_case(case, arguments.out / f"{kind}_{number:03d}.safetensors")
    print(f"wrote {arguments.count} cases, seed {arguments.seed}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
