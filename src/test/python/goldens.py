"""Golden files of all three origins, under one set of names.

Their metadata tell them apart: files of BSQ-ViT's quantizer have `zeta`, those of lucidrains' LFQ
`num_codebooks`; all others are SpeechBrain's, or cases that make_cases.py wrote. The names are
those of SpeechBrain's files and of dense_bsq.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from torch import Tensor

from parity import Parameters

INPUTS = ("x", "cotangent", "mask", "lengths", "relative_lengths")
ROUNDING_FREE_BITS = 24
"""BSQ-ViT adds up the bits of an index in float32, which has no more bits than that."""


class Golden(NamedTuple):
    """A golden file's content. What is wrong in a peer's file is left out."""

    parameters: Parameters
    metadata: Mapping[str, str]
    x: Tensor
    cotangent: Tensor | None
    mask: Tensor | None
    expected: dict[str, Tensor]
    """What is to come out, by our names; besides, `ungrouped_indices` with one index for each
    row, and `decoded`, the codes of the indices."""


def read_golden(path: Path) -> Golden:
    """Reads a file."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    if "zeta" in metadata:
        return from_bsq_vit(metadata, tensors)
    if "num_codebooks" in metadata:
        return from_lfq(metadata, tensors)
    return golden(Parameters.from_metadata(metadata), metadata, tensors)


def golden(
    parameters: Parameters, metadata: Mapping[str, str], tensors: Mapping[str, Tensor]
) -> Golden:
    """A golden file's content, from tensors by our names."""
    expected = {name: tensor for name, tensor in tensors.items() if name not in INPUTS}
    x, cotangent = tensors["x"], tensors.get("cotangent")
    return Golden(parameters, metadata, x, cotangent, row_mask(tensors, parameters), expected)


def row_mask(tensors: Mapping[str, Tensor], parameters: Parameters) -> Tensor | None:
    """Which rows count, in the shape of x without its components; None for all.

    From `mask`, or from `lengths` or `relative_lengths`: how many positions of each item, or what
    share of them. The items are the first dimension, the positions all others.
    """
    x = tensors["x"]
    rows = (x.movedim(1, -1) if parameters.channel_first else x)[..., 0]
    items = rows.shape[0] if rows.dim() > 0 else 1
    positions = rows.numel() // items
    if "lengths" in tensors:
        lengths = tensors["lengths"]
    elif "relative_lengths" in tensors:
        lengths = (tensors["relative_lengths"] * positions).round()
    else:
        return tensors.get("mask")
    return (torch.arange(positions) < lengths.unsqueeze(-1)).reshape(rows.shape)


def renamed(tensors: Mapping[str, Tensor], names: Mapping[str, str]) -> dict[str, Tensor]:
    """The tensors, some with other names."""
    return {names.get(name, name): tensor for name, tensor in tensors.items()}


def from_bsq_vit(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Golden:
    """BSQ-ViT's VITBSQModel: its loss is over the temperature, its floor is added.

    Its gradients are with respect to x, which it takes to be of unit norm already. Ours are those
    of the vector before it was normalised, so without the part along x.
    """
    code_dim = int(metadata["code_dim"])
    analytical = metadata["per_sample_entropy"] == "analytical"
    parameters = Parameters(
        code_dim=code_dim,
        inv_temperature=float(metadata["inv_temperature"]),
        entropy_loss_weight=float(metadata["zeta"]),
        diversity_gamma=float(metadata["gamma"]),
        group_size=int(metadata["group_size"]),
        entropy_form="analytical" if analytical else "exact",
        entropy_floor="add",
        entropy_epsilon=1e-8,
        sample_entropy_weight=float(metadata["gamma0"]),
        entropy_scale="temperature",
        commitment_weight=float(metadata["commitment_weight"]),
        straight_through_scale=code_dim**-0.5,
    )
    names = {
        "indices": "ungrouped_indices",
        "group_indices": "indices",
        "loss": "aux_loss",
        "grad_loss": "grad_aux",
    }
    ours = renamed(tensors, names)
    if parameters.groups == 1:
        ours["indices"] = ours["indices"].squeeze(-1)
    if code_dim > ROUNDING_FREE_BITS:
        del ours["ungrouped_indices"]
    for name in ("grad_quant", "grad_aux"):
        ours[name] = tangential(ours[name], ours["x"])
    return golden(parameters, metadata, ours)


def from_lfq(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Golden:
    """lucidrains' LFQ with spherical = True.

    With a mask its batch entropy is the mean over the wrong axis, and so are the loss and its
    gradient.
    """
    parameters = Parameters(
        code_dim=int(metadata["code_dim"]),
        inv_temperature=float(metadata["inv_temperature"]),
        entropy_loss_weight=float(metadata["entropy_loss_weight"]),
        diversity_gamma=float(metadata["diversity_gamma"]),
        codebooks=int(metadata["num_codebooks"]),
        commitment="square",
        commitment_weight=float(metadata["commitment_loss_weight"]),
    )
    names = {"batch_entropy": "codebook_entropy", "codes_from_indices": "decoded"}
    ours = renamed(tensors, names)
    if "mask" in ours:
        for name in ("codebook_entropy", "aux_loss", "grad_aux"):
            del ours[name]
    return golden(parameters, metadata, ours)


def tangential(gradient: Tensor, unit: Tensor) -> Tensor:
    """A gradient by unit vectors without its part along them."""
    unit = unit.double() / unit.double().norm(dim=-1, keepdim=True)
    along = (unit * gradient.double()).sum(dim=-1, keepdim=True)
    return (gradient.double() - along * unit).to(gradient.dtype)
