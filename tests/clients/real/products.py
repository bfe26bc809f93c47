"""Products and solves through AMD's Python bindings of hipBLAS. Argument: where the bindings are."""

import ctypes
import sys

sys.path.insert(0, sys.argv[1])
from rocm.bindings import hip, hipblas


def check(result):
    """What a call returned besides its status, which is success."""
    status, *values = result if isinstance(result, tuple) else (result,)
    if int(status) != 0:
        raise SystemExit(f"failed: {result}")
    return values[0] if values else None


none = hipblas.hipblasOperation_t.HIPBLAS_OP_N
right = hipblas.hipblasSideMode_t.HIPBLAS_SIDE_RIGHT
upper = hipblas.hipblasFillMode_t.HIPBLAS_FILL_MODE_UPPER
non_unit = hipblas.hipblasDiagType_t.HIPBLAS_DIAG_NON_UNIT

handle = check(hipblas.hipblasCreate())
for n in (64, 512):
    for gemm, trsm, scalar in (
        (hipblas.hipblasSgemm, hipblas.hipblasStrsm, ctypes.c_float),
        (hipblas.hipblasDgemm, hipblas.hipblasDtrsm, ctypes.c_double),
    ):
        a, b, c = (check(hip.hipMalloc(n * n * ctypes.sizeof(scalar))) for _ in range(3))
        one, zero = scalar(1), scalar(0)
        alpha, beta = ctypes.addressof(one), ctypes.addressof(zero)
        check(gemm(handle, none, none, n, n, n, alpha, a, n, b, n, beta, c, n))
        check(trsm(handle, right, upper, none, non_unit, n, n, alpha, a, n, b, n))
check(hipblas.hipblasDestroy(handle))
print("done")
