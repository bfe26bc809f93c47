/* Factorisations and eigenvalues by rocSOLVER. The kernels of rocSOLVER, and those of the rocBLAS functions that
 * it calls, are recorded. */
#include "calls.h"
#include <rocblas.h>

enum { EIGENVECTORS = 211, N = 128 };

#define DECLARE(s, type)                                                                       \
    int rocsolver_##s##getrf(rocblas_handle, int, int, type *, int, int *, int *);             \
    int rocsolver_##s##potrf(rocblas_handle, int, int, type *, int, int *);                    \
    int rocsolver_##s##geqrf(rocblas_handle, int, int, type *, int, type *);                   \
    int rocsolver_##s##syevd(rocblas_handle, int, int, int, type *, int, type *, type *, int *);
DECLARE(s, float)
DECLARE(d, double)

#define CALLS(s)                                                                               \
    CALL("rocsolver_" #s "getrf", rocsolver_##s##getrf(handle, N, N, a, N, pivots, info));     \
    CALL("rocsolver_" #s "potrf",                                                              \
         rocsolver_##s##potrf(handle, rocblas_fill_lower, N, a, N, info));                     \
    CALL("rocsolver_" #s "geqrf", rocsolver_##s##geqrf(handle, N, N, a, N, b));                \
    CALL("rocsolver_" #s "syevd", rocsolver_##s##syevd(handle, EIGENVECTORS,                   \
                                                       rocblas_fill_upper, N, a, N, b, c, info))

int main(void) {
    rocblas_handle handle = 0;
    void *a = device(N * N * 8), *b = device(N * 8), *c = device(N * 8);
    int *pivots = device(N * 4), *info = device(64);
    CALL("rocblas_create_handle", rocblas_create_handle(&handle));
    CALLS(s);
    CALLS(d);
    CALL("rocblas_destroy_handle", rocblas_destroy_handle(handle));
    return 0;
}
