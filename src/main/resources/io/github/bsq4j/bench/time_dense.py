"""The reference's side of `bsq bench --reference`: times the dense module on request.

    time_dense.py ARGUMENTS ROWS INV_TEMPERATURE THREADS DEVICE

ARGUMENTS are those of the module, as JSON; DEVICE is cpu or cuda:N. Writes `bsq ready`. Then reads
x and the gradient of `quantized` from standard input, ROWS rows of native float32 numbers each, and
after them lines. On `forward N` or `forward_backward N` it does that N times and answers
`bsq SECONDS`, the time of the calls alone: on a GPU from an idle device to one that has done all of
them, without TF32. On `finish forward` or `finish forward_backward` it gives back the memory that
PyTorch keeps on a GPU, and answers `bsq ROWS`: how many rows it took at a time. Ends with its
standard input. Lines without `bsq` are for people.

Where the rows do not fit into the memory of a GPU at once, chunks of them are taken in turn, the
largest that fit among halves, quarters and so on. What a chunk's losses and gradients then mean for
all rows is not computed: the reference is not to pay for adding them up.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from collections.abc import Callable
from typing import BinaryIO

import torch
from torch import Tensor

from dense_bsq import DenseBinarySphericalQuantizer


class ChunkedWork:
    """A call for all rows, or for as many at a time as fit into memory."""

    def __init__(
        self,
        call: Callable[[Tensor, Tensor], None],
        x: Tensor,
        grad_quantized: Tensor,
        dimension: int,
    ) -> None:
        self.call = call
        self.inputs = (x, grad_quantized)
        self.dimension = dimension
        self.rows = x.shape[dimension]
        """Of a chunk; the last one may have fewer."""
        self.is_cold = False
        """Whether chunks of this size have not been tried yet."""
        self.split()

    def split(self) -> None:
        """Makes chunks of so many rows, which are views."""
        x, grad_quantized = (t.split(self.rows, self.dimension) for t in self.inputs)
        self.chunks = list(zip(x, grad_quantized, strict=True))

    def halve(self) -> None:
        """Makes the chunks smaller, and forgets what was kept for the larger ones."""
        self.rows = (self.rows + 1) // 2
        self.split()
        self.is_cold = True
        gc.collect()
        torch.cuda.empty_cache()

    def once(self) -> None:
        """All rows."""
        for x, grad_quantized in self.chunks:
            self.call(x, grad_quantized)

    def attempt(self, repetitions: int) -> float:
        """The seconds of doing it so often, in chunks of the present size."""
        if self.is_cold:
            self.once()
            self.is_cold = False
        synchronize(self.inputs[0].device)
        start = time.perf_counter()
        for _ in range(repetitions):
            self.once()
        synchronize(self.inputs[0].device)
        return time.perf_counter() - start

    def seconds(self, repetitions: int) -> float:
        """The same in chunks that fit; finding their size is not timed."""
        while True:
            try:
                return self.attempt(repetitions)
            except torch.cuda.OutOfMemoryError:
                if self.rows == 1:
                    raise
            self.halve()  # out there, where the exception no longer holds what was made


def synchronize(device: torch.device) -> None:
    """Waits for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def answer(line: str) -> None:
    """Writes a line for the process that asks."""
    print("bsq", line, flush=True)


def read_rows(stream: BinaryIO, rows: int, quantizer: DenseBinarySphericalQuantizer) -> Tensor:
    """The next rows of the stream."""
    length = quantizer.codebooks * quantizer.code_dim
    data = bytearray(stream.read(4 * rows * length))
    shape = (1, length, rows) if quantizer.channel_first else (rows, length)
    return torch.frombuffer(data, dtype=torch.float32).view(shape)


def works_of(
    quantizer: DenseBinarySphericalQuantizer,
    inv_temperature: float,
    x: Tensor,
    grad_quantized: Tensor,
) -> dict[str, ChunkedWork]:
    """What can be asked for, by name."""
    grad_aux_loss = torch.ones((), device=x.device)

    def forward(x: Tensor, _: Tensor) -> None:
        with torch.no_grad():  # the faster way, where no gradient follows
            quantizer(x, inv_temperature)

    def forward_backward(x: Tensor, grad_quantized: Tensor) -> None:
        leaf = x.detach().requires_grad_()
        output = quantizer(leaf, inv_temperature)
        outputs = (output.quantized, output.aux_loss)
        torch.autograd.grad(outputs, leaf, (grad_quantized, grad_aux_loss))

    dimension = -1 if quantizer.channel_first else 0
    return {
        "forward": ChunkedWork(forward, x, grad_quantized, dimension),
        "forward_backward": ChunkedWork(forward_backward, x, grad_quantized, dimension),
    }


def main() -> None:
    """Answers until standard input ends."""
    rows, inv_temperature, threads = int(sys.argv[2]), float(sys.argv[3]), int(sys.argv[4])
    device = torch.device(sys.argv[5])
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")  # no TF32
    quantizer = DenseBinarySphericalQuantizer(**json.loads(sys.argv[1])).to(device)
    answer("ready")
    x = read_rows(sys.stdin.buffer, rows, quantizer).to(device)
    grad_quantized = read_rows(sys.stdin.buffer, rows, quantizer).to(device)
    works = works_of(quantizer, inv_temperature, x, grad_quantized)
    for request in sys.stdin.buffer:
        name, argument = request.decode().split()
        if name == "finish":
            torch.cuda.empty_cache()
            answer(str(works[argument].rows))
        else:
            answer(repr(works[name].seconds(int(argument))))


if __name__ == "__main__":
    main()
