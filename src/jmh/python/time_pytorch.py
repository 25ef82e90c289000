"""The PyTorch peer: what PeerBenchmark.java does, with the dense module that the tests compare with.

    time_pytorch.py CODE_DIM ROWS INV_TEMPERATURE THREADS SECONDS FILE

Needs the folder of dense_bsq.py in PYTHONPATH. Reads the problem and the answer from FILE (see
Exchange.java), and has to give the same answer before it is timed. Prints a line of JSON for
each work.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from dense_bsq import DenseBinarySphericalQuantizer

# The rest as in Timing.java and Answer.java.
LEAST_ROUNDS = 3
PARTS = 20
PATIENCE = 10
LOSS_TOLERANCE = 1e-4
GRADIENT_TOLERANCE = 1e-3
NO_MEMORY = "allocate memory"


class Exchange:
    """The numbers in FILE."""

    def __init__(self, file: Path, code_dim: int, rows: int) -> None:
        self.data = file.read_bytes()
        self.position = 0
        self.x = self.next("f4", rows * code_dim).view(rows, code_dim)
        self.grad_quantized = self.next("f4", rows * code_dim).view(rows, code_dim)
        self.indices = self.next("i8", rows)
        self.aux_loss = self.next("f8", 1).item()
        self.grad_x = self.next("f4", rows * code_dim).view(rows, code_dim)

    def next(self, dtype: str, count: int) -> Tensor:
        """The next numbers, which are big-endian."""
        array = np.frombuffer(self.data, np.dtype(">" + dtype), count, self.position)
        self.position += array.nbytes
        return torch.from_numpy(array.astype(dtype))


def seconds_of(repetitions: int, call: Callable[[], object]) -> float:
    start = time.perf_counter()
    for _ in range(repetitions):
        call()
    return time.perf_counter() - start


def timing(seconds: float, call: Callable[[], object]) -> tuple[dict[str, float], int]:
    """As Timing.of."""
    repetitions = 1
    last = warm_up = seconds_of(repetitions, call)
    while warm_up < seconds / 2 or last < seconds / PARTS:
        if last < seconds / PARTS:
            repetitions *= 2
        last = seconds_of(repetitions, call)
        warm_up += last
    rounds = [last / repetitions]
    spent = last
    while spent < seconds or (len(rounds) < LEAST_ROUNDS and spent < PATIENCE * seconds):
        last = seconds_of(repetitions, call)
        spent += last
        rounds.append(last / repetitions)
    spread = {"min": min(rounds), "median": statistics.median(rounds), "max": max(rounds)}
    return {key: float(f"{value:.4g}") for key, value in spread.items()}, len(rounds)


def main() -> None:
    """Checks and times."""
    code_dim, rows, threads = (int(sys.argv[i]) for i in (1, 2, 4))
    inv_temperature, seconds = float(sys.argv[3]), float(sys.argv[5])
    torch.set_num_threads(threads)
    exchange = Exchange(Path(sys.argv[6]), code_dim, rows)
    quantizer = DenseBinarySphericalQuantizer(code_dim, entropy_loss_weight=0.1)
    x, grad_quantized = exchange.x, exchange.grad_quantized
    grad_aux_loss = torch.tensor(float(rows))

    def encode() -> Tensor:  # the module has none of its own
        return ((x > 0).long() * quantizer.place_values).sum(dim=-1)

    def forward() -> Tensor:
        with torch.no_grad():
            return quantizer(x, inv_temperature).aux_loss

    def forward_backward() -> Tensor:
        leaf = x.detach().requires_grad_()
        output = quantizer(leaf, inv_temperature)
        outputs = (output.quantized, output.aux_loss)
        return torch.autograd.grad(outputs, leaf, (grad_quantized, grad_aux_loss))[0]

    def check_encode() -> None:
        assert torch.equal(encode(), exchange.indices), "other indices"

    def check_forward() -> None:
        aux_loss = forward().item()
        scale = max(abs(exchange.aux_loss), quantizer.entropy_loss_weight)
        assert abs(aux_loss - exchange.aux_loss) <= LOSS_TOLERANCE * scale, (
            f"aux loss {aux_loss}, expected {exchange.aux_loss}"
        )

    def check_forward_backward() -> None:
        difference = (forward_backward() - exchange.grad_x).norm() / exchange.grad_x.norm()
        assert difference <= GRADIENT_TOLERANCE, (
            f"a gradient that is off by {difference:.3g} of its length"
        )

    works: list[tuple[str, Callable[[], None], Callable[[], object]]] = [
        ("encode", check_encode, encode),
        ("forward", check_forward, forward),
        ("forward_backward", check_forward_backward, forward_backward),
    ]
    for work, check, call in works:
        line: dict[str, object] = {
            "peer": "pytorch",
            "peer_version": torch.__version__,
            "code_dim": code_dim,
            "rows": rows,
            "inv_temperature": inv_temperature,
            "threads": threads,
            "work": work,
        }
        try:
            check()
            line["seconds"], line["rounds"] = timing(seconds, call)
        except RuntimeError as error:
            if NO_MEMORY not in str(error):
                raise
            line["failure"] = "not enough memory"
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
