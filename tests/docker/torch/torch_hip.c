/* A client of rocBLAS in a wheel, like libtorch_hip.so. */
#include <hip/hip_runtime_api.h>
#include <rocblas/rocblas.h>

/* Solves one triangular system. Returns the status, and the version string in `version`. */
int solve_triangular(char *version, size_t size) {
    enum { N = 64 };
    const float one = 1;
    float *matrices;
    rocblas_handle handle;
    int status;
    if ((status = rocblas_create_handle(&handle))) return status;
    if ((status = rocblas_get_version_string(version, size))) return status;
    if ((status = hipMalloc((void **)&matrices, 2 * N * N * sizeof *matrices))) return status;
    status = rocblas_strsm(handle, rocblas_side_left, rocblas_fill_upper, rocblas_operation_none,
                           rocblas_diagonal_non_unit, N, N, &one, matrices, N, matrices + N * N, N);
    if (status) return status;
    return rocblas_destroy_handle(handle);
}
