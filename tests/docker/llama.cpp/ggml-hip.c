/* The calls that models with SOLVE_TRI make. */
#include "ggml-hip.h"

#include <hip/hip_runtime_api.h>
#include <hipblas/hipblas.h>
#include <rocblas/rocblas.h>
#include <stdio.h>

enum { N = 64, K = 64, COUNT = 4 };

int solve_tri(void) {
    static rocblas_handle handle;
    static hipblasHandle_t hipblas;
    static float *matrices, **pointers;
    const float one = 1, zero = 0;
    const size_t bytes = N * N * sizeof *matrices;
    int status = 0;
    if (!handle) {
        char version[128] = "";
        if ((status = rocblas_create_handle(&handle))) return status;
        if ((status = hipblasCreate(&hipblas))) return status;
        if ((status = hipMalloc((void **)&matrices, (2 * COUNT + 1) * bytes))) return status;
        if ((status = hipMalloc((void **)&pointers, 2 * COUNT * sizeof *pointers))) return status;
        float *host[2 * COUNT];
        for (int i = 0; i < 2 * COUNT; i++) host[i] = matrices + i * N * N;
        if ((status = hipMemcpy(pointers, host, sizeof host, hipMemcpyHostToDevice))) return status;
        rocblas_get_version_string(version, sizeof version);
        printf("rocBLAS %s\n", version);
        fflush(stdout);
    }
    status = rocblas_strsm_batched(handle, rocblas_side_right, rocblas_fill_upper,
                                   rocblas_operation_none, rocblas_diagonal_non_unit, K, N, &one,
                                   (const float *const *)pointers, N, pointers + COUNT, K, COUNT);
    if (status) return status;
    return hipblasSgemm(hipblas, HIPBLAS_OP_N, HIPBLAS_OP_N, N, N, N, &one, matrices, N,
                        matrices + N * N, N, &zero, matrices + 2 * COUNT * N * N, N);
}
