/* llama.cpp's SOLVE_TRI, on a GPU for which a rocBLAS may have no kernels. With an argument, only the shape that
 * needs no matrix product and so none of the kernels in separate files. */
#include "calls.h"
#include <rocblas.h>

int main(int argc, char **argv) {
    static const struct { int n, k, count; } shapes[] = {
        {79, 417, 1}, {42, 65, 1}, {64, 200, 1}, {64, 384, 1}, {64, 64, 4},
    };
    const float one = 1;
    rocblas_handle handle = 0;
    char label[64];
    CALL("create_handle", rocblas_create_handle(&handle));
    for (int i = argc > 1 ? 4 : 0; i < 5; i++) {
        const int n = shapes[i].n, k = shapes[i].k, count = shapes[i].count;
        void **a = batch(count, n * n * 4), **b = batch(count, n * k * 4);
        snprintf(label, sizeof label, "strsm_batched n=%d k=%d count=%d", n, k, count);
        CALL(label,
             rocblas_strsm_batched(handle, rocblas_side_right, rocblas_fill_upper,
                                   rocblas_operation_none, rocblas_diagonal_non_unit, k, n, &one,
                                   (const float *const *)a, n, (float *const *)b, k, count));
    }
    return 0;
}
