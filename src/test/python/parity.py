"""What the parity scripts share: a case's parameters, dense results and tolerances."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from dense_bsq import EPSILON, DenseBinarySphericalQuantizer

GRADIENTS = ("grad_quant", "grad_aux")
MINIMUM_NORM = 1e-12
"""The reference divides by max(norm, this); below it the norm is a constant."""


@dataclass(frozen=True)
class Parameters:
    """A case's parameters, named as in the golden files' metadata."""

    code_dim: int
    inv_temperature: float
    entropy_loss_weight: float
    diversity_gamma: float

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str]) -> Parameters:
        """Reads them from a file's metadata."""
        return cls(
            int(metadata["code_dim"]),
            float(metadata["inv_temperature"]),
            float(metadata["entropy_loss_weight"]),
            float(metadata["diversity_gamma"]),
        )

    def to_metadata(self) -> dict[str, str]:
        """Writes them for a file's metadata; floats as Python's shortest exact text."""
        return {field.name: repr(getattr(self, field.name)) for field in fields(self)}

    def quantizer(self) -> DenseBinarySphericalQuantizer:
        """The dense module with these parameters."""
        return DenseBinarySphericalQuantizer(
            self.code_dim, self.entropy_loss_weight, self.diversity_gamma
        )


def evaluate(x: Tensor, cotangent: Tensor | None, parameters: Parameters) -> dict[str, Tensor]:
    """The dense module's results in x's dtype, under the golden files' names.

    With a cotangent g (of x's shape and dtype), also `grad_quant` = d<g, quantized>/dx and
    `grad_aux` = d aux_loss/dx.
    """
    x = x.detach().clone().requires_grad_(cotangent is not None)
    output = parameters.quantizer()(x, parameters.inv_temperature)
    results = {name: value.detach() for name, value in output._asdict().items()}
    if cotangent is not None:
        (results["grad_quant"],) = torch.autograd.grad(
            output.quantized, x, cotangent, retain_graph=True
        )
        (results["grad_aux"],) = torch.autograd.grad(output.aux_loss, x)
    return results


@dataclass(frozen=True)
class Tolerance:
    """How far a result may be from its expected value v.

    - `quantized`: by `quantized_absolute`.
    - `aux_loss`: by `aux_loss_absolute + scalar_relative * |v|`; the two entropies by
      `entropy_absolute` instead of the first.
    - Gradients are compared as gradients with respect to the unit vector, since d/dx scales
      with 1 / |x|: with n = max(|row|, 1e-12), n * |difference| may be
      `gradient_absolute + gradient_relative * (largest n * |gradient| in that row)`.
    - `indices` must be equal.

    Results in float16 and bfloat16 are computed in float32 and rounded, which is not part
    of this: it adds up to half a unit in the last place, or makes an infinity.
    """

    rounding: float
    quantized_absolute: float
    aux_loss_absolute: float
    entropy_absolute: float
    scalar_relative: float
    gradient_absolute: float
    gradient_relative: float

    def widened(self, parameters: Parameters, rows: int) -> Tolerance:
        """This tolerance, its absolute terms fit for any parameters.

        The golden files' ones suit usual parameters. But a rounding of the probabilities
        moves the entropy, the sum of -p * ln(max(p, 1e-5)), by up to `rounding * ln 1e5`,
        however small the entropy itself, and as much the sums of p * dH/dp that make up the
        gradient.

        - An entropy gets 2 * D roundings: a probability is a product of D factors, each
          rounded twice. An all-float32 evaluation of design/entropy.md needed half of them,
          in rows of equal components, where nothing averages out.
        - The aux loss may be small where its entropies are not, and then lacks their relative
          tolerance. Where float32 adds up equal rows to their mean, errors do not average out
          either: 290 rows needed rows / 5 roundings of the codebook entropy. It gets rows / 4.
        - A gradient is a difference of sums that have most of their error in common. It
          gets 5 roundings (2.5 were needed, in zero rows), times the loss's weights and
          d theta / d u = 4 * beta / sqrt(D), over the number of rows.
        """
        unit = self.rounding * math.log(1 / EPSILON)
        weight = abs(parameters.entropy_loss_weight)
        weight *= 1 + abs(parameters.diversity_gamma)
        slope = 4 * parameters.inv_temperature / math.sqrt(parameters.code_dim)
        entropy = 2 * parameters.code_dim * unit
        greatest_entropy = min(parameters.code_dim * math.log(2), math.log(1 / EPSILON))
        mean = rows / 4 * self.rounding * greatest_entropy
        mean_weight = abs(parameters.entropy_loss_weight * parameters.diversity_gamma)
        gradient = 5 * unit * slope * weight / rows
        return replace(
            self,
            aux_loss_absolute=max(self.aux_loss_absolute, weight * entropy + mean_weight * mean),
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

    def fraction(self, name: str, actual: Tensor, expected: Tensor, x: Tensor) -> float:
        """The largest error of the field `name` as a fraction of its tolerance.

        Infinite where an index differs or a NaN stands on one side only.
        """
        if actual.shape != expected.shape:
            return float("inf")
        if name == "indices":
            return 0.0 if torch.equal(actual, expected) else float("inf")
        actual, expected = actual.double(), expected.double()
        if not torch.equal(actual.isnan(), expected.isnan()):
            return float("inf")
        error = (actual - expected).abs().nan_to_num(nan=0.0)
        if name in GRADIENTS:
            return (error * row_norms(x) / self.of_gradient(expected, x)).max().item()
        if name == "quantized":
            return error.max().item() / self.quantized_absolute
        is_loss = name == "aux_loss"
        absolute = self.aux_loss_absolute if is_loss else self.entropy_absolute
        allowed = absolute + self.scalar_relative * expected.abs()
        return (error / allowed.nan_to_num(nan=1.0)).item()

    def of_gradient(self, expected: Tensor, x: Tensor) -> Tensor:
        """What n * |difference| may be in each row of a gradient: [..., 1], float64."""
        largest = (row_norms(x) * expected.double().abs()).amax(dim=-1, keepdim=True)
        return self.gradient_absolute + self.gradient_relative * largest


def row_norms(x: Tensor) -> Tensor:
    """n = max(|row|, 1e-12) of every row: [..., 1], float64."""
    norms: Tensor = torch.linalg.vector_norm(x.double(), dim=-1, keepdim=True)
    return norms.clamp(min=MINIMUM_NORM)


WIDENED = ("aux_loss_absolute", "entropy_absolute", "gradient_absolute")

# The golden files' README.
FLOAT32 = Tolerance(
    rounding=2**-24,
    quantized_absolute=1e-6,
    aux_loss_absolute=2e-6,
    entropy_absolute=2e-6,
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
    entropy_absolute=1e-10,
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
