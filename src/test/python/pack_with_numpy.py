"""Random vectors, and their codes as numpy packs them and as other systems are defined to: see
ConventionParityTest.

    pack_with_numpy.py SEED CODE_DIM ROWS FOLDER
"""

import pathlib
import sys

import numpy as np


def main():
    seed, code_dim, rows = map(int, sys.argv[1:4])
    folder = pathlib.Path(sys.argv[4])
    random = np.random.default_rng(seed)
    x = random.standard_normal((rows, code_dim)).astype(np.float32)
    # Zeros of both signs, for the tie rules.
    x[random.random(x.shape) < 0.1] = 0.0
    x[random.random(x.shape) < 0.1] = -0.0
    ubinary = np.packbits(x > 0, axis=-1)
    files = {
        "x": x,
        # sentence_transformers.quantization.quantize_embeddings
        "ubinary": ubinary,
        "binary": (ubinary - 128).astype(np.int8),
        # faiss::fvec2bitvec
        "faiss": np.packbits(x >= 0, axis=-1, bitorder="little"),
        "little": np.packbits(x > 0, axis=-1, bitorder="little"),
    }
    if code_dim <= 63:
        most_first = 2 ** np.arange(code_dim - 1, -1, -1, dtype=np.int64)
        files["speechbrain"] = ((x > 0) * most_first).sum(-1)
        files["seed-voken"] = ((x > 0) * most_first[::-1]).sum(-1)
        # BSQuantizer.forward: bits_to_indices takes what BinarySphericalQuantizer.quantize gives
        files["kronos"] = ((np.where(x > 0, 1, -1) >= 0) * most_first[::-1]).sum(-1)
    for name, values in files.items():
        np.ascontiguousarray(values).tofile(folder / name)


if __name__ == "__main__":
    main()
