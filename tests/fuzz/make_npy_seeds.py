"""Writes the seeds of npy_fuzz, tests/fuzz/npy/*.npy. Run it from a Python environment with NumPy; the files are committed."""

import pathlib

import numpy as np

FOLDER = pathlib.Path(__file__).parent / "npy"


def main():
    FOLDER.mkdir(exist_ok=True)
    np.save(FOLDER / "float32.npy", np.arange(6, dtype=np.float32).reshape(2, 3))
    np.save(FOLDER / "fortran_int16.npy", np.asfortranarray(np.arange(24, dtype=np.int16).reshape(2, 3, 4)))
    np.save(FOLDER / "bool_scalar.npy", np.array(True))
    np.save(FOLDER / "empty_float16.npy", np.zeros((0, 4), np.float16))
    with open(FOLDER / "version2.npy", "wb") as file:
        np.lib.format.write_array(file, np.arange(3, dtype=np.uint8), version=(2, 0))


if __name__ == "__main__":
    main()
