/* A typical user's program: compiled against rocBLAS's header, linked with -lrocblas, it solves a triangular
 * system and multiplies it back. Exits with 1 if a call fails, with 2 if a number is wrong. */
#include <math.h>
#include <rocblas.h>
#include <stdio.h>

enum { N = 3, K = 2 };

static int check(rocblas_status status, const char *call) {
    if (status != rocblas_status_success)
        printf("%s: %s\n", call, rocblas_status_to_string(status));
    return status != rocblas_status_success;
}

int main(void) {
    /* Column-major: U upper triangular, X U = B. */
    const float U[N * N] = {2, 0, 0, 1, 4, 0, -1, 3, 5};
    const float B[K * N] = {2, 4, 9, -2, 21, 2};
    const float expected[K * N] = {1, 2, 2, -1, 3.2f, 1.4f};
    float X[K * N], back[K * N];
    const float one = 1, zero = 0;
    for (int i = 0; i < K * N; i++) X[i] = B[i];

    char version[64] = "";
    rocblas_handle handle;
    if (check(rocblas_create_handle(&handle), "create_handle")) return 1;
    if (check(rocblas_get_version_string(version, sizeof version), "get_version_string")) return 1;
    printf("version %s\n", version);
    const float *A[1] = {U};
    float *right_hand_side[1] = {X};
    if (check(rocblas_strsm_batched(handle, rocblas_side_right, rocblas_fill_upper,
                                    rocblas_operation_none, rocblas_diagonal_non_unit, K, N, &one,
                                    A, N, right_hand_side, K, 1),
              "strsm_batched"))
        return 1;
    if (check(rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, K, N, N, &one, X,
                            K, U, N, &zero, back, K),
              "sgemm"))
        return 1;
    if (check(rocblas_destroy_handle(handle), "destroy_handle")) return 1;
    for (int i = 0; i < K * N; i++) {
        if (fabsf(X[i] - expected[i]) > 1e-5f || fabsf(back[i] - B[i]) > 1e-5f) {
            printf("element %d: %g (expected %g), back %g (expected %g)\n", i, X[i], expected[i],
                   back[i], B[i]);
            return 2;
        }
    }
    puts("solved");
    return 0;
}
