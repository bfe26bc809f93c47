/* The products and solves of products.py, which calls them through hipBLAS, with rocBLAS itself. */
#include "calls.h"
#include <rocblas.h>

#define PRODUCT_AND_SOLVE(p, type)                                                                \
    static void p##_product_and_solve(rocblas_handle handle, int n) {                            \
        const type one = 1, zero = 0;                                                             \
        type *a = device(n * n * sizeof *a), *b = device(n * n * sizeof *b),                     \
             *c = device(n * n * sizeof *c);                                                      \
        CALL("product", rocblas_##p##gemm(handle, rocblas_operation_none, rocblas_operation_none, \
                                          n, n, n, &one, a, n, b, n, &zero, c, n));               \
        CALL("solve", rocblas_##p##trsm(handle, rocblas_side_right, rocblas_fill_upper,           \
                                        rocblas_operation_none, rocblas_diagonal_non_unit, n, n,  \
                                        &one, a, n, b, n));                                       \
    }

PRODUCT_AND_SOLVE(s, float)
PRODUCT_AND_SOLVE(d, double)

int main(void) {
    rocblas_handle handle;
    CALL("create", rocblas_create_handle(&handle));
    for (int n = 64; n <= 512; n *= 8) {
        s_product_and_solve(handle, n);
        d_product_and_solve(handle, n);
    }
    return 0;
}
