"""What stands for PyTorch: it loads the library beside it, and that one calls rocBLAS."""

import ctypes
import pathlib

_hip = ctypes.CDLL(str(pathlib.Path(__file__).with_name("lib") / "libtorch_hip.so"))


def solve_triangular():
    """Solves with a triangular matrix. Returns rocBLAS's status and its version string."""
    version = ctypes.create_string_buffer(128)
    status = _hip.solve_triangular(version, ctypes.c_size_t(len(version)))
    return status, version.value.decode()
