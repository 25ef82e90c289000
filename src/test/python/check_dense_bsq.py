"""Checks dense_bsq.py against golden files, SpeechBrain's and its peers'.

    check_dense_bsq.py [--float64] GOLDEN.safetensors...

Prints a line per case with each field's largest error as a fraction of its tolerance, and
exits with 1 if any is above 1. The cases that make_cases.py writes can be checked too, with
--float64: in float32 the dense form itself is too coarse at high inverse temperatures.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from goldens import Golden, read_golden
from parity import Tolerance, evaluate


def results(golden: Golden, float64: bool) -> dict[str, Tensor]:
    """What the dense module makes of it, computed in float64 or in x's dtype."""
    x = golden.x.double() if float64 else golden.x
    cotangent = golden.cotangent
    if cotangent is not None:
        cotangent = cotangent.to(x.dtype)
    quantizer = golden.parameters.quantizer()
    ours = evaluate(x, cotangent, golden.parameters, golden.mask)
    ours["decoded"] = quantizer.decode(ours["indices"], x.dtype)
    if "ungrouped_indices" in golden.expected:
        ungrouped = replace(golden.parameters, group_size=0, entropy_form="exact")
        ours["ungrouped_indices"] = ungrouped.quantizer().bits_to_indices(golden.x > 0)[..., 0]
    return ours


def check(path: Path, float64: bool) -> dict[str, float]:
    """Each field's largest error over its tolerance."""
    golden = read_golden(path)
    ours = results(golden, float64)
    tolerance = Tolerance.from_metadata(golden.metadata)
    return {
        name: tolerance.fraction(name, ours[name], expected, golden.x, golden.parameters)
        for name, expected in sorted(golden.expected.items())
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
