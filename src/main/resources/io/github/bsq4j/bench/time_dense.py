"""The reference's side of `bsq bench --reference`: times the dense module on request.

    time_dense.py ARGUMENTS ROWS INV_TEMPERATURE THREADS

ARGUMENTS are those of the module, as JSON. Writes `bsq ready`. Then reads x and the gradient of
`quantized` from standard input, ROWS rows of native float32 numbers each, and after them lines
`forward N` or `forward_backward N`. Does what such a line says N times, and answers `bsq SECONDS`, the time of
the calls alone. Ends with its standard input. Lines without `bsq` are for people.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

import torch
from torch import Tensor

from dense_bsq import DenseBinarySphericalQuantizer


def answer(line: str) -> None:
    """Writes a line for the process that asks."""
    print("bsq", line, flush=True)


def read_rows(stream: BinaryIO, rows: int, quantizer: DenseBinarySphericalQuantizer) -> Tensor:
    """The next rows of the stream."""
    length = quantizer.codebooks * quantizer.code_dim
    data = bytearray(stream.read(4 * rows * length))
    shape = (1, length, rows) if quantizer.channel_first else (rows, length)
    return torch.frombuffer(data, dtype=torch.float32).view(shape)


def main() -> None:
    """Answers until standard input ends."""
    rows, inv_temperature, threads = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    torch.set_num_threads(threads)
    quantizer = DenseBinarySphericalQuantizer(**json.loads(sys.argv[1]))
    answer("ready")
    x = read_rows(sys.stdin.buffer, rows, quantizer)
    grad_quantized = read_rows(sys.stdin.buffer, rows, quantizer)
    grad_aux_loss = torch.ones(())

    def forward() -> None:
        with torch.no_grad():  # the faster way, where no gradient follows
            quantizer(x, inv_temperature)

    def forward_backward() -> None:
        leaf = x.detach().requires_grad_()
        output = quantizer(leaf, inv_temperature)
        outputs = (output.quantized, output.aux_loss)
        torch.autograd.grad(outputs, leaf, (grad_quantized, grad_aux_loss))

    works: dict[str, Callable[[], None]] = {
        "forward": forward,
        "forward_backward": forward_backward,
    }
    for request in sys.stdin.buffer:
        name, repetitions = request.decode().split()
        start = time.perf_counter()
        for _ in range(int(repetitions)):
            works[name]()
        answer(repr(time.perf_counter() - start))


if __name__ == "__main__":
    main()
