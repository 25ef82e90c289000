"""Binary spherical quantization, written out densely: the PyTorch side of the parity tests.

With its default options everything follows the steps of design/reference.md, which describe
`speechbrain.lobes.models.bsq.BinarySphericalQuantizer` (Luca Della Libera, 2025). The other
options are those of native/include/bsq/bsq.h, in its words; with them it is BSQ-ViT's quantizer
(Zhao, Xiong, Kraehenbuehl, arXiv:2406.07548) or lucidrains' LFQ with spherical = True. Here is
the formula with nothing factorised: every row's probability of every one of a group's codes is
a number in memory. That takes five to eight tensors of N * 2^D elements with a gradient: about
0.7 GB for D = 16, N = 200 in float64.

Deliberate differences from SpeechBrain's module:

- The input has any rank >= 1; all leading dimensions are rows, and the loss is always a
  scalar. SpeechBrain's is right for rank 3 only.
- float64 input is computed in float64. SpeechBrain's refuses it.
- A bit is the sign of the input itself, not of the normalised input, so a tiny component
  beside a huge one keeps its sign. A code with a NaN or an infinity has all bits 0, as
  there.
- Indices are summed in int64. SpeechBrain's bit mask is int32, BSQ-ViT sums floats.
- All terms of the loss are returned beside it.
- Masked rows are left out of all means over rows. LFQ's own mask makes its batch entropy the
  per-sample entropy.
- The gradient of the loss is with respect to the input. BSQ-ViT's is with respect to the unit
  vector, which its quantizer takes from a caller who has normalised it.

On finite float32 input of rank 3 the results are otherwise SpeechBrain's, BSQ-ViT's or LFQ's.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize, softplus

EPSILON = 1e-5
"""SpeechBrain's and LFQ's fixed lower bound of a probability inside the logarithm."""

LOSSES = ("aux_loss", "per_sample_entropy", "codebook_entropy", "entropy_loss", "commitment")


class DenseQuantization(NamedTuple):
    """What one forward pass returns."""

    quantized: Tensor
    """Shape and dtype of x: the codes' +-1/sqrt(D), with the unit input's gradient."""
    indices: Tensor
    """[..., codebooks, groups], int64, without a dimension that is 1: a group's sign bits, the
    first the most significant."""
    aux_loss: Tensor
    """[]: the weighted sum of entropy loss and commitment."""
    per_sample_entropy: Tensor
    """[]: the rows' mean entropy, in nats, summed over groups, the mean over codebooks."""
    codebook_entropy: Tensor
    """[]: the entropy of the rows' mean distribution, in nats, likewise."""
    entropy_loss: Tensor
    """[]: the weighted difference of the two, made positive where that is asked for."""
    commitment: Tensor
    """[]: the mean of |u - q|^2; 0 where it has no weight."""
    rows: Tensor
    """[], int64: how many rows count in the losses."""


class DenseBinarySphericalQuantizer(nn.Module):
    """Binary spherical quantizer that builds the whole [N, codebooks, groups, 2^D] softmax.

    The first parameters have the names, order and defaults of the reference, the others those
    of bsq.h.
    """

    place_values: Tensor
    code_bits: Tensor

    def __init__(
        self,
        code_dim: int,
        entropy_loss_weight: float = 0.1,
        diversity_gamma: float = 1.0,
        *,
        codebooks: int = 1,
        group_size: int = 0,
        entropy_form: str = "exact",
        entropy_floor: str = "clamp",
        entropy_epsilon: float = EPSILON,
        sample_entropy_weight: float = 1.0,
        entropy_scale: str = "one",
        positive_offset: float | None = None,
        commitment: str = "squared_norm",
        commitment_weight: float = 0.0,
        straight_through_scale: float = 1.0,
        channel_first: bool = False,
    ) -> None:
        super().__init__()
        self.code_dim = code_dim
        self.entropy_loss_weight = entropy_loss_weight
        self.diversity_gamma = diversity_gamma
        self.codebooks = codebooks
        self.group_size = group_size or code_dim
        self.entropy_size = 1 if entropy_form == "analytical" else self.group_size
        self.entropy_floor = entropy_floor
        self.entropy_epsilon = entropy_epsilon
        self.sample_entropy_weight = sample_entropy_weight
        self.entropy_scale = entropy_scale
        self.positive_offset = positive_offset
        self.commitment = commitment
        self.commitment_weight = commitment_weight
        self.straight_through_scale = straight_through_scale
        self.channel_first = channel_first
        self.register_buffer("place_values", place_values(self.group_size), persistent=False)
        self.register_buffer("code_bits", all_bits(self.entropy_size), persistent=False)

    def bits_to_codes(self, bits: Tensor) -> Tensor:
        """Maps {0, 1} to {-1, +1}, shape and dtype unchanged."""
        return bits * 2 - 1

    def bits_to_indices(self, bits: Tensor) -> Tensor:
        """Packs each group's bits: [..., D] to [..., groups], int64."""
        return (in_groups(bits, self.group_size).long() * self.place_values).sum(dim=-1)

    def decode(self, indices: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
        """The corners of indices [..., codebooks, groups], as forward gives them: [..., D]."""
        bits = (indices.reshape(-1, 1) & self.place_values) != 0
        codes = self.bits_to_codes(bits.to(dtype)) / math.sqrt(self.code_dim)
        leading = indices.shape[: indices.dim() - self.index_dimensions()]
        return codes.reshape(*leading, self.codebooks * self.code_dim)

    def index_dimensions(self) -> int:
        """How many dimensions of indices are not rows."""
        return (self.codebooks > 1) + (self.group_size < self.code_dim)

    def probabilities(self, unit: Tensor, inv_temperature: float) -> Tensor:
        """p(c|u) = softmax over all of a group's corners c of 2 * beta * <u_g, c>.

        From [..., D] to [..., groups, 2^group_size]; with analytical entropies to [..., D, 2].
        """
        groups = in_groups(unit, self.entropy_size)
        corners = self.bits_to_codes(self.code_bits.to(unit.dtype)) / math.sqrt(self.code_dim)
        return (2 * inv_temperature * (groups @ corners.T)).softmax(dim=-1)

    def entropy(self, prob: Tensor) -> Tensor:
        """The groups' entropies, summed: [..., groups, codes] to [...].

        The clamp's derivative counts where p >= epsilon, which is PyTorch's own rule.
        """
        clamp = self.entropy_floor == "clamp"
        floored = prob.clamp(min=self.entropy_epsilon) if clamp else prob + self.entropy_epsilon
        return -(prob * floored.log()).sum(dim=(-2, -1))

    def forward(
        self, x: Tensor, inv_temperature: float = 100.0, mask: Tensor | None = None
    ) -> DenseQuantization:
        """Quantizes x, [..., codebooks * D], or with channel_first [B, codebooks * D, ...].

        x is float32 or float64. The mask has the shape of x without the dimension of the
        components; rows where it is 0 count in no loss.
        """
        vectors = x.movedim(1, -1) if self.channel_first else x
        if vectors.dim() < 1 or vectors.shape[-1] != self.codebooks * self.code_dim:
            raise ValueError(f"expected {self.codebooks} * {self.code_dim}, got {list(x.shape)}")
        leading = vectors.shape[:-1]
        components = vectors.reshape(-1, self.codebooks, self.code_dim)
        unit = normalize(components, dim=-1)

        bits = (components > 0) & components.isfinite().all(dim=-1, keepdim=True)
        indices = self.bits_to_indices(bits)
        dimensions = [size for size in indices.shape[1:] if size > 1]
        code = normalize(self.bits_to_codes(bits.to(x.dtype)), dim=-1)
        scaled = self.straight_through_scale * unit
        quantized = scaled + (code - scaled).detach()  # the straight-through estimator
        quantized = quantized.reshape(vectors.shape)

        if mask is not None:
            counted = mask.reshape(-1).bool()
            unit, code = unit[counted], code[counted]
        return DenseQuantization(
            quantized=quantized.movedim(-1, 1) if self.channel_first else quantized,
            indices=indices.reshape((*leading, *dimensions)),
            rows=torch.tensor(len(unit)),
            **self.losses(unit, code, inv_temperature),
        )

    def losses(self, unit: Tensor, code: Tensor, inv_temperature: float) -> dict[str, Tensor]:
        """The terms by their names, from rows [N, codebooks, D] that count."""
        if len(unit) == 0:
            return {name: unit.sum() for name in LOSSES}  # 0, with a gradient of 0
        prob = self.probabilities(unit, inv_temperature)
        per_sample_entropy = self.entropy(prob).mean()
        codebook_entropy = self.entropy(prob.mean(dim=0)).mean()
        entropy_loss = (
            self.sample_entropy_weight * per_sample_entropy
            - self.diversity_gamma * codebook_entropy
        )
        if self.positive_offset is not None:
            entropy_loss = softplus(entropy_loss + self.positive_offset)
        aux_loss = self.entropy_loss_weight * entropy_loss
        if self.entropy_scale == "temperature":
            aux_loss = aux_loss / inv_temperature
        commitment = torch.zeros_like(aux_loss)
        if self.commitment_weight != 0:
            squares = (unit - code).square()
            mean_square = self.commitment == "square"
            commitment = squares.mean() if mean_square else squares.sum(dim=-1).mean()
            aux_loss = aux_loss + self.commitment_weight * commitment
        values = (aux_loss, per_sample_entropy, codebook_entropy, entropy_loss, commitment)
        return dict(zip(LOSSES, values, strict=True))


def in_groups(codes: Tensor, size: int) -> Tensor:
    """Splits the last dimension: [..., D] to [..., D / size, size]."""
    return codes.reshape((*codes.shape[:-1], -1, size))


def place_values(size: int) -> Tensor:
    """What each of so many bits counts in an index: [size], int64."""
    return 2 ** torch.arange(size - 1, -1, -1)


def all_bits(size: int) -> Tensor:
    """The bits of all indices of this size: [2^size, size]."""
    return (torch.arange(2**size).unsqueeze(-1) & place_values(size)) != 0
