/* Ten products, each with the result of the one before it. The fifth has unique sizes. */
#include <rocblas.h>
#include <stdint.h>
#include <string.h>

enum { MOST = 18, CALLS = 10, SPECIAL = 4 };

static void fill(float *matrix, uint64_t seed) {
    for (int i = 0; i < MOST * MOST; i++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        matrix[i] = 0.43f * ((float)(seed >> 40) / (1 << 23) - 1);
    }
}

int main(void) {
    float a[MOST * MOST], b[MOST * MOST], c[MOST * MOST], one = 1, none = 0;
    rocblas_handle handle;
    if (rocblas_create_handle(&handle)) return 1;
    fill(a, 1);
    for (int i = 0; i < CALLS; i++) {
        int is_special = i == SPECIAL;
        fill(b, 2 + i);
        memset(c, 0, sizeof c);
        if (rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, is_special ? 18 : 13,
                          is_special ? 14 : 13, 13, &one, a, MOST, b, MOST, &none, c, MOST))
            return 1;
        memcpy(a, c, sizeof a);
    }
    return rocblas_destroy_handle(handle) != 0;
}
