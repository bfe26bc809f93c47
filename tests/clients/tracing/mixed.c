/* A few functions of each kind: products, solvers, settings, one that the backend lacks, and one that calls
 * other functions of the backend. */
#include <rocblas.h>
#include <stdio.h>

int main(void) {
    float a[4] = {1, 2, 3, 4}, b[4] = {1, 0, 0, 1}, c[4] = {0}, one = 1, zero = 0;
    rocblas_handle handle;
    char version[64];
    if (rocblas_create_handle(&handle)) return 1;
    rocblas_get_version_string(version, sizeof version);
    rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_transpose, 2, 2, 2, &one, a, 2, b,
                  2, &zero, c, 2);
    rocblas_strsm(handle, rocblas_side_left, rocblas_fill_upper, rocblas_operation_none,
                  rocblas_diagonal_non_unit, 2, 2, &one, b, 2, c, 2);
    rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, -1, 2, 2, &one, a, 2, b, 2,
                  &zero, c, 2);
    rocblas_is_user_managing_device_memory(handle);
    rocblas_destroy_handle(handle);
    return 0;
}
