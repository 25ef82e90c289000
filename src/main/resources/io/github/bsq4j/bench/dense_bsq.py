"""Binary spherical quantization, written out densely: the PyTorch side of the parity tests.

Everything follows the steps of design/reference.md, which describe
`speechbrain.lobes.models.bsq.BinarySphericalQuantizer` (Luca Della Libera, 2025). Here is
the formula with nothing factorised: every row's probability of every one of the 2^D codes
is a number in memory. That takes five to eight tensors of N * 2^D elements with a
gradient: about 0.7 GB for D = 16, N = 200 in float64.

Deliberate differences from SpeechBrain's module:

- The input has any rank >= 1; all leading dimensions are rows, and the loss is always a
  scalar. SpeechBrain's is right for rank 3 only.
- float64 input is computed in float64. SpeechBrain's refuses it.
- A bit is the sign of the input itself, not of the normalised input, so a tiny component
  beside a huge one keeps its sign. A row with a NaN or an infinity has all bits 0, as
  there.
- Indices are summed in int64. SpeechBrain's bit mask is int32.
- Both entropies are returned beside the loss they make.

On finite float32 input of rank 3 the results are otherwise SpeechBrain's.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

EPSILON = 1e-5
"""The reference's fixed lower bound of a probability inside the logarithm."""


class DenseQuantization(NamedTuple):
    """What one forward pass returns."""

    quantized: Tensor
    """[..., D], x's dtype: the code's +-1/sqrt(D), with the unit input's gradient."""
    indices: Tensor
    """[...], int64: the sign bits, dimension 0 the most significant."""
    aux_loss: Tensor
    """[]: weight * (per_sample_entropy - gamma * codebook_entropy)."""
    per_sample_entropy: Tensor
    """[]: the rows' mean entropy, in nats."""
    codebook_entropy: Tensor
    """[]: the entropy of the rows' mean distribution, in nats."""


class DenseBinarySphericalQuantizer(nn.Module):
    """Binary spherical quantizer that builds the whole [N, 2^D] softmax.

    Parameters have the names, order and defaults of the reference.
    """

    place_values: Tensor
    code_bits: Tensor

    def __init__(
        self,
        code_dim: int,
        entropy_loss_weight: float = 0.1,
        diversity_gamma: float = 1.0,
    ) -> None:
        super().__init__()
        self.code_dim = code_dim
        self.entropy_loss_weight = entropy_loss_weight
        self.diversity_gamma = diversity_gamma
        place_values = 2 ** torch.arange(code_dim - 1, -1, -1)
        bits = (torch.arange(2**code_dim).unsqueeze(-1) & place_values) != 0
        self.register_buffer("place_values", place_values, persistent=False)
        self.register_buffer("code_bits", bits, persistent=False)

    def bits_to_codes(self, bits: Tensor) -> Tensor:
        """Maps {0, 1} to {-1, +1}, shape and dtype unchanged."""
        return bits * 2 - 1

    def probabilities(self, unit: Tensor, inv_temperature: float) -> Tensor:
        """p(c|u) = softmax over all codes c of 2 * beta * <u, c>: [N, D] to [N, 2^D]."""
        codes = normalize(self.bits_to_codes(self.code_bits.to(unit.dtype)), dim=-1)
        return (2 * inv_temperature * (unit @ codes.T)).softmax(dim=-1)

    def forward(self, x: Tensor, inv_temperature: float = 100.0) -> DenseQuantization:
        """Quantizes x, [..., D] with at least one row, float32 or float64."""
        if x.dim() < 1 or x.shape[-1] != self.code_dim:
            raise ValueError(f"expected [..., {self.code_dim}], got {list(x.shape)}")
        unit = normalize(x, dim=-1)

        bits = (x > 0) & x.isfinite().all(dim=-1, keepdim=True)
        indices = (bits.long() * self.place_values).sum(dim=-1)
        code = normalize(self.bits_to_codes(bits.to(x.dtype)), dim=-1)
        quantized = unit + (code - unit).detach()  # the straight-through estimator

        prob = self.probabilities(unit.reshape(-1, self.code_dim), inv_temperature)
        per_sample_entropy = clamped_entropy(prob).mean()
        codebook_entropy = clamped_entropy(prob.mean(dim=0))
        aux_loss = self.entropy_loss_weight * (
            per_sample_entropy - self.diversity_gamma * codebook_entropy
        )
        return DenseQuantization(quantized, indices, aux_loss, per_sample_entropy, codebook_entropy)


def clamped_entropy(prob: Tensor) -> Tensor:
    """Sum over the last dimension of -p * ln(max(p, EPSILON)).

    The clamp's derivative counts where p >= EPSILON, which is PyTorch's own rule.
    """
    return -(prob * prob.clamp(min=EPSILON).log()).sum(dim=-1)
