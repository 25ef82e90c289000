"""Checks dense_bsq.py against golden files.

    check_dense_bsq.py [--float64] GOLDEN.safetensors...

Prints a line per case with each field's largest error as a fraction of its tolerance, and
exits with 1 if any is above 1. The cases that make_cases.py writes can be checked too, with
--float64: in float32 the dense form itself is too coarse at high inverse temperatures.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from safetensors import safe_open

from parity import Parameters, Tolerance, evaluate


def check(path: Path, float64: bool) -> dict[str, float]:
    """Each field's largest error over its tolerance, computed in float64 or in x's dtype."""
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        tensors = {name: file.get_tensor(name) for name in file.keys()}
    x = tensors["x"].double() if float64 else tensors["x"]
    cotangent = tensors["cotangent"].to(x.dtype) if "cotangent" in tensors else None
    results = evaluate(x, cotangent, Parameters.from_metadata(metadata))
    tolerance = Tolerance.from_metadata(metadata)
    return {
        name: tolerance.fraction(name, results[name], expected, x)
        for name, expected in sorted(tensors.items())
        if name not in ("x", "cotangent")
    }


def main() -> int:
    """Checks the files named on the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        description="Checks the dense PyTorch module against golden files."
    )
    parser.add_argument(
        "--float64", action="store_true", help="compute in float64, whatever x's dtype"
    )
    parser.add_argument("golden", nargs="+", type=Path)
    arguments = parser.parse_args()

    failures = 0
    for path in arguments.golden:
        fractions = check(path, arguments.float64)
        passed = all(fraction <= 1 for fraction in fractions.values())
        failures += not passed
        details = "  ".join(f"{name} {value:.3f}" for name, value in fractions.items())
        print(f"{'ok  ' if passed else 'FAIL'}  {path.name}  {details}")
    print(f"{len(arguments.golden)} cases, {failures} failed")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
