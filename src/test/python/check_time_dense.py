"""Checks how time_dense.py divides rows that do not fit into memory, on the device BSQ4J_DEVICE.

    check_time_dense.py

Memory that is too small is a module that refuses many rows, as PyTorch does; on a GPU it is also
real, a small share of the GPU's. Ends with the assertion that fails.
"""

from __future__ import annotations

import os

import torch
from torch import Tensor

from dense_bsq import DenseBinarySphericalQuantizer, DenseQuantization
from time_dense import ChunkedWork, works_of

DEVICE = torch.device(os.environ.get("BSQ4J_DEVICE", "cpu"))
WORKS = ("forward", "forward_backward")


class SmallMemory(DenseBinarySphericalQuantizer):
    """A module that takes no more rows than fit, and notes how many it takes."""

    def __init__(self, fitting: int, channel_first: bool) -> None:
        super().__init__(5, codebooks=2, channel_first=channel_first)
        self.fitting = fitting
        self.taken: list[int] = []

    def forward(
        self, x: Tensor, inv_temperature: float = 100.0, mask: Tensor | None = None
    ) -> DenseQuantization:
        rows = x.shape[-1 if self.channel_first else 0]
        if rows > self.fitting:
            raise torch.cuda.OutOfMemoryError(f"no memory for {rows} rows")
        self.taken.append(rows)
        return super().forward(x, inv_temperature, mask)


def works(quantizer: DenseBinarySphericalQuantizer, rows: int) -> dict[str, ChunkedWork]:
    """On random numbers."""
    length = quantizer.codebooks * quantizer.code_dim
    shape = (1, length, rows) if quantizer.channel_first else (rows, length)
    x = torch.randn(shape, device=DEVICE)
    return works_of(quantizer.to(DEVICE), 10.0, x, torch.randn_like(x))


def check_chunks(rows: int, fitting: int, expected: list[int], channel_first: bool) -> None:
    """All rows are taken, once in each call, after a warm-up where they had to be divided."""
    for name in WORKS:
        quantizer = SmallMemory(fitting, channel_first)
        work = works(quantizer, rows)[name]
        assert work.seconds(3) > 0
        warm_ups = int(len(expected) > 1)
        assert quantizer.taken == expected * (3 + warm_ups), quantizer.taken
        assert work.rows == expected[0], work.rows
        assert sum(expected) == rows

        quantizer.taken.clear()
        assert work.seconds(2) > 0  # now that their size is known
        assert quantizer.taken == expected * 2, quantizer.taken


def check_less_memory_later() -> None:
    """Chunks are halved again where others take memory meanwhile; for each work by itself."""
    quantizer = SmallMemory(16, channel_first=False)
    both = works(quantizer, 16)
    both["forward"].seconds(1)
    quantizer.fitting = 4
    assert both["forward_backward"].seconds(1) > 0
    assert [both[name].rows for name in WORKS] == [16, 4]
    assert both["forward"].seconds(1) > 0
    assert both["forward"].rows == 4


def check_no_memory() -> None:
    """Not even for one row."""
    for rows in (1, 7):
        work = works(SmallMemory(0, channel_first=False), rows)["forward_backward"]
        try:
            work.seconds(1)
        except torch.cuda.OutOfMemoryError as e:
            assert "no memory for 1 rows" in str(e), e
        else:
            raise AssertionError("it was not refused")


def check_small_gpu() -> None:
    """As above, with what PyTorch itself says: 2^20 rows of 2^13 float32 would be 32 GiB."""
    total = torch.cuda.get_device_properties(DEVICE).total_memory
    torch.cuda.set_per_process_memory_fraction(min(1.0, 2**32 / total), DEVICE)
    for name in WORKS:
        work = works(DenseBinarySphericalQuantizer(13), 2**20)[name]
        assert work.seconds(1) > 0
        assert 2**12 <= work.rows <= 2**17, work.rows
        torch.cuda.empty_cache()


def main() -> None:
    """Checks everything."""
    for channel_first in (False, True):
        check_chunks(10, 10, [10], channel_first)
        check_chunks(10, 9, [5, 5], channel_first)
        check_chunks(11, 5, [3, 3, 3, 2], channel_first)
        check_chunks(5, 1, [1] * 5, channel_first)
    check_less_memory_later()
    check_no_memory()
    if DEVICE.type == "cuda":
        check_small_gpu()


if __name__ == "__main__":
    main()
