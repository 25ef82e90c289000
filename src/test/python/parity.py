"""What the parity scripts share: a case's parameters, dense results and tolerances."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from dense_bsq import EPSILON, DenseBinarySphericalQuantizer

GRADIENTS = ("grad_quant", "grad_aux")
COUNTS = ("indices", "ungrouped_indices", "rows")
"""What must be equal."""
DEVICE = os.environ.get("BSQ4J_DEVICE", "cpu")
"""Where the dense module computes; all that is read and written is on the CPU."""
MINIMUM_NORM = 1e-12
"""The reference divides by max(norm, this); below it the norm is a constant."""


@dataclass(frozen=True)
class Parameters:
    """A case's parameters: the golden files' four, then the other options of bsq.h.

    Metadata have the same names; of the others, those that are not as here.
    """

    code_dim: int
    inv_temperature: float
    entropy_loss_weight: float
    diversity_gamma: float
    codebooks: int = 1
    group_size: int = 0
    entropy_form: str = "exact"
    entropy_floor: str = "clamp"
    entropy_epsilon: float = EPSILON
    sample_entropy_weight: float = 1.0
    entropy_scale: str = "one"
    positive_offset: float | None = None
    commitment: str = "squared_norm"
    commitment_weight: float = 0.0
    straight_through_scale: float = 1.0
    channel_first: bool = False

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Parameters:
        """Reads them from a file's metadata."""
        read: dict[str, Callable[[str], Any]] = {
            "int": int,
            "float": float,
            "float | None": float,
            "str": str,
            "bool": lambda text: text == "1",
        }
        known = [field for field in fields(cls) if field.name in metadata]
        return cls(**{field.name: read[str(field.type)](metadata[field.name]) for field in known})

    def to_metadata(self) -> dict[str, str]:
        """Writes them for a file's metadata; floats as Python's shortest exact text."""
        values = asdict(self)
        written = {
            field.name: values[field.name]
            for field in fields(self)
            if field.name in REFERENCE_PARAMETERS or values[field.name] != field.default
        }
        return {
            name: str(int(value)) if isinstance(value, bool) else str(value)
            for name, value in written.items()
        }

    def quantizer(self) -> DenseBinarySphericalQuantizer:
        """The dense module with these parameters."""
        values = asdict(self)
        del values["inv_temperature"]
        return DenseBinarySphericalQuantizer(**values)

    @property
    def groups(self) -> int:
        """How many indices a code has."""
        return self.code_dim // (self.group_size or self.code_dim)

    @property
    def entropy_size(self) -> int:
        """How many bits each distribution is over."""
        return 1 if self.entropy_form == "analytical" else self.group_size or self.code_dim

    @property
    def distributions(self) -> int:
        """How many distributions the entropies of a code are summed over."""
        return self.code_dim // self.entropy_size

    @property
    def entropy_weight(self) -> float:
        """What the entropy loss is multiplied by."""
        over_temperature = self.entropy_scale == "temperature"
        return self.entropy_loss_weight / (self.inv_temperature if over_temperature else 1)


REFERENCE_PARAMETERS = (
    "code_dim",
    "inv_temperature",
    "entropy_loss_weight",
    "diversity_gamma",
)


def evaluate(
    x: Tensor, cotangent: Tensor | None, parameters: Parameters, mask: Tensor | None = None
) -> dict[str, Tensor]:
    """The dense module's results in x's dtype, under the golden files' names.

    With a cotangent g (of x's shape and dtype), also `grad_quant` = d<g, quantized>/dx and
    `grad_aux` = d aux_loss/dx.
    """
    x = x.detach().clone().to(DEVICE).requires_grad_(cotangent is not None)
    quantizer = parameters.quantizer().to(DEVICE)
    output = quantizer(x, parameters.inv_temperature, None if mask is None else mask.to(DEVICE))
    results = {name: value.detach() for name, value in output._asdict().items()}
    if cotangent is not None:
        (results["grad_quant"],) = torch.autograd.grad(
            output.quantized, x, cotangent.to(DEVICE), retain_graph=True
        )
        (results["grad_aux"],) = torch.autograd.grad(output.aux_loss, x)
    return {name: value.cpu() for name, value in results.items()}


@dataclass(frozen=True)
class Tolerance:
    """How far a result may be from its expected value v.

    - `quantized` and `decoded`: by `quantized_absolute`.
    - A scalar: by its absolute term plus `scalar_relative * |v|`. `aux_loss`, `entropy_loss`
      and `commitment` have one each, the two entropies share `entropy_absolute`.
    - Gradients are compared as gradients with respect to the unit vector, since d/dx scales
      with 1 / |x|: with n = max(|code|, 1e-12), n * |difference| may be
      `gradient_absolute + gradient_relative * (largest n * |gradient| in that code)`. A code
      is a row, or the part of it that is one codebook's.
    - COUNTS must be equal.

    Results in float16 and bfloat16 are computed in float32 and rounded, which is not part
    of this: it adds up to half a unit in the last place, or makes an infinity.
    """

    rounding: float
    quantized_absolute: float
    aux_loss_absolute: float
    entropy_loss_absolute: float
    entropy_absolute: float
    commitment_absolute: float
    scalar_relative: float
    gradient_absolute: float
    gradient_relative: float

    def widened(self, parameters: Parameters, rows: int) -> Tolerance:
        """This tolerance, its absolute terms fit for any parameters and so many rows that count.

        The golden files' ones suit usual parameters. But a rounding of the probabilities
        moves a distribution's entropy, the sum of -p * ln(max(p, e)) or -p * ln(p + e), by up
        to `rounding * ln(1 / e)`, however small the entropy itself, and as much the sums of
        p * dH/dp that make up the gradient. (e is at most 0.1, so ln(1 / e) bounds dH/dp where
        p is large, too.)

        - An entropy gets 2 * D roundings: a probability is a product of one factor for each
          of its bits, each rounded twice, and all distributions of a code have D bits
          together. An all-float32 evaluation of design/entropy.md needed half of them, in rows
          of equal components, where nothing averages out.
        - The entropy loss may be small where its entropies are not, and then lacks their
          relative tolerance. Where float32 adds up equal rows to their mean, errors do not
          average out either: 290 rows needed rows / 5 roundings of the codebook entropy. It
          gets rows / 4. Both entropies are added up one after the other in float64, over
          distributions and rows, and equal ones are all rounded the same way: they get one
          of float64's roundings for each (567 single bits needed half of them). A softplus
          changes by no more than its argument.
        - The commitment is at most 2 and gets what the golden files' scalars get; within the
          aux loss, 8 roundings: |u - q|^2 has two rounded factors, whose terms u and q, each
          rounded, are of length 1.
        - A gradient is a difference of sums that have most of their error in common. That of
          the entropies gets 5 roundings (2.5 were needed, in zero rows), times the loss's
          weights and d theta / d u = 4 * beta / sqrt(D), over the number of rows and
          codebooks. What is added up is p * (ln p - ln e): nearly nothing in wide, soft
          groups where e is 1e-5, but p * ln(1e-5 / e) more where e is less. Of that it gets
          sqrt(2^g) / 4 roundings, for the kernels add up one half of the bits one code after
          the other (50 of 64 were needed, in a zero row with groups of 16 bits, where all
          codes are equal and so are their roundings).
          That of the commitment gets 8 of its length, which is at most 4.
        """
        unit = self.rounding * math.log(1 / parameters.entropy_epsilon)
        weight = abs(parameters.sample_entropy_weight) + abs(parameters.diversity_gamma)
        entropy = 2 * parameters.code_dim * unit
        greatest_entropy = parameters.distributions * min(
            parameters.entropy_size * math.log(2), math.log(1 / parameters.entropy_epsilon)
        )
        mean = rows / 4 * self.rounding * greatest_entropy
        additions = (parameters.distributions + rows) * FLOAT64.rounding * greatest_entropy
        entropy_loss = weight * (entropy + additions) + abs(parameters.diversity_gamma) * mean

        slope = 4 * parameters.inv_temperature / math.sqrt(parameters.code_dim)
        below = max(0.0, math.log(EPSILON / parameters.entropy_epsilon))
        sums = self.rounding * below * 2.0 ** (parameters.entropy_size / 2) / 4
        entropy_gradient = abs(parameters.entropy_weight) * weight * (5 * unit + sums) * slope
        commitment = 8 * self.rounding * abs(parameters.commitment_weight)
        if parameters.commitment == "square":
            commitment /= parameters.code_dim
        codes = max(rows, 1) * parameters.codebooks
        aux_loss = abs(parameters.entropy_weight) * entropy_loss + commitment
        gradient = (entropy_gradient + 4 * commitment) / codes
        return replace(
            self,
            aux_loss_absolute=max(self.aux_loss_absolute, aux_loss),
            entropy_loss_absolute=max(self.entropy_loss_absolute, entropy_loss),
            entropy_absolute=max(self.entropy_absolute, entropy),
            gradient_absolute=max(self.gradient_absolute, gradient),
        )

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Tolerance:
        """A file's tolerance: the golden files', or what its metadata says."""
        base = TOLERANCES[getattr(torch, metadata.get("tolerance", "float32"))]
        given = {key: float(metadata[key]) for key in WIDENED if key in metadata}
        return replace(base, **given)

    def to_metadata(self) -> dict[str, str]:
        """The absolute terms that depend on a case's parameters."""
        return {key: repr(getattr(self, key)) for key in WIDENED}

    def fraction(
        self, name: str, actual: Tensor, expected: Tensor, x: Tensor, parameters: Parameters
    ) -> float:
        """The largest error of the field `name` as a fraction of its tolerance.

        Infinite where an index differs or a NaN stands on one side only.
        """
        if actual.shape != expected.shape:
            return float("inf")
        if name in COUNTS:
            return 0.0 if torch.equal(actual, expected) else float("inf")
        actual, expected = actual.double(), expected.double()
        if not torch.equal(actual.isnan(), expected.isnan()):
            return float("inf")
        error = (actual - expected).abs().nan_to_num(nan=0.0)
        if name in GRADIENTS:
            allowed = self.of_gradient(expected, x, parameters)
            lengths = code_norms(x, parameters) * in_codes(error, parameters)
            return float((lengths / allowed).max())
        if name in ("quantized", "decoded"):
            return float(error.max()) / self.quantized_absolute
        absolute = getattr(self, ABSOLUTE_TERMS[name])
        allowed = absolute + self.scalar_relative * expected.abs()
        return float(error / allowed.nan_to_num(nan=1.0))

    def of_gradient(self, expected: Tensor, x: Tensor, parameters: Parameters) -> Tensor:
        """What n * |difference| may be in each code of a gradient: [rows, K, 1], float64."""
        lengths = code_norms(x, parameters) * in_codes(expected.double(), parameters).abs()
        return self.gradient_absolute + self.gradient_relative * lengths.amax(dim=-1, keepdim=True)


def in_codes(vectors: Tensor, parameters: Parameters) -> Tensor:
    """What has the shape of x, by rows and codebooks: [rows, K, D]."""
    rows = vectors.movedim(1, -1) if parameters.channel_first else vectors
    return rows.reshape(-1, parameters.codebooks, parameters.code_dim)


def code_norms(x: Tensor, parameters: Parameters) -> Tensor:
    """n = max(|code|, 1e-12) of every code: [rows, K, 1], float64."""
    codes = in_codes(x.double(), parameters)
    norms: Tensor = torch.linalg.vector_norm(codes, dim=-1, keepdim=True)
    return norms.clamp(min=MINIMUM_NORM)


ABSOLUTE_TERMS = {
    "aux_loss": "aux_loss_absolute",
    "per_sample_entropy": "entropy_absolute",
    "codebook_entropy": "entropy_absolute",
    "entropy_loss": "entropy_loss_absolute",
    "commitment": "commitment_absolute",
}
"""The scalars of the losses, and the absolute term that each has."""

WIDENED = (
    "aux_loss_absolute",
    "entropy_loss_absolute",
    "entropy_absolute",
    "gradient_absolute",
)

# The golden files' README.
FLOAT32 = Tolerance(
    rounding=2**-24,
    quantized_absolute=1e-6,
    aux_loss_absolute=2e-6,
    entropy_loss_absolute=2e-6,
    entropy_absolute=2e-6,
    commitment_absolute=2e-6,
    scalar_relative=2e-5,
    gradient_absolute=1e-6,
    gradient_relative=2e-4,
)

# The dense and a factorised evaluation, both in float64, differ by at most 0.06 of it,
# and by less than 0.001 at inverse temperatures to 1000.
FLOAT64 = Tolerance(
    rounding=2**-53,
    quantized_absolute=1e-15,
    aux_loss_absolute=1e-10,
    entropy_loss_absolute=1e-10,
    entropy_absolute=1e-10,
    commitment_absolute=1e-10,
    scalar_relative=1e-9,
    gradient_absolute=1e-10,
    gradient_relative=1e-9,
)

TOLERANCES = {
    torch.float32: FLOAT32,
    torch.float64: FLOAT64,
    torch.float16: FLOAT32,
    torch.bfloat16: FLOAT32,
}
