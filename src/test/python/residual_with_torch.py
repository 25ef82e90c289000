"""Random vectors, and their residual codes, losses and gradients by PyTorch: see
ResidualParityTest. All is float64; the losses of a level are those of dense_bsq.py.

    residual_with_torch.py SEED CODE_DIM CODEBOOKS GROUP_SIZE ROWS LEVELS FOLDER
"""

import math
import pathlib
import sys

import torch
from dense_bsq import DenseBinarySphericalQuantizer
from parity import DEVICE
from torch.nn.functional import normalize

INVERSE_TEMPERATURE = 5.0


def main():
    seed, code_dim, codebooks, group_size, rows, levels = map(int, sys.argv[1:7])
    folder = pathlib.Path(sys.argv[7])
    torch.manual_seed(seed)
    quantizer = DenseBinarySphericalQuantizer(
        code_dim, codebooks=codebooks, group_size=group_size, commitment_weight=0.25
    ).to(DEVICE)
    shape = (rows, codebooks * code_dim)
    x = torch.randn(shape, dtype=torch.float64).to(DEVICE).requires_grad_()
    cotangent = torch.randn(shape, dtype=torch.float64).to(DEVICE)
    weights = torch.linspace(1.0, -0.5, levels, dtype=torch.float64, device=DEVICE)

    unit = normalize(x.reshape(rows, codebooks, code_dim), dim=-1)
    residual = unit
    quantized = torch.zeros_like(unit)
    indices, losses = [], []
    for level in range(levels):
        of_level = quantizer(residual.reshape(x.shape), INVERSE_TEMPERATURE)
        indices.append(of_level.indices.reshape(rows, -1))
        losses.append(of_level.aux_loss)
        # Codes are constants: what is left over has the gradient of the unit vector.
        code = torch.where(residual > 0, 1.0, -1.0).double() * 2.0**-level / math.sqrt(code_dim)
        quantized = quantized + code
        residual = residual - code
    straight_through = unit + (quantized - unit).detach()
    objective = (straight_through.reshape(x.shape) * cotangent).sum()
    (objective + (weights * torch.stack(losses)).sum()).backward()
    for name, values in {
        "x": x,
        "cotangent": cotangent,
        "weights": weights,
        "indices": torch.stack(indices, dim=1),
        "quantized": quantized,
        "losses": torch.stack(losses),
        "gradient": x.grad,
    }.items():
        values.detach().cpu().contiguous().numpy().tofile(folder / name)


if __name__ == "__main__":
    main()
