/* The hipBLAS calls of llama.cpp, with its shapes: matrix products in every type it uses, and the
 * batched triangular solves of its SOLVE_TRI. Then hipBLAS's functions with a type argument, in several types.
 * every_function covers levels 1 to 3. */
#include "calls.h"
#include "hipblas.h"
#include <rocblas.h>

static const float one = 1, zero = 0;
static const uint16_t half_one = 0x3c00, half_zero = 0;
static const double double_one = 1, double_zero = 0;
static const int32_t int_one = 1, int_zero = 0;
/* Scaling by 1 would be done without a kernel. */
static const float two = 2;
static const double double_two = 2;

static void products(hipblas_handle handle) {
    const int m = 4096, k = 4096, sizes[] = {1, 8, 32, 512};
    void *a = device((size_t)m * k * 8), *b = device((size_t)k * 512 * 8);
    void *c = device((size_t)m * 512 * 8);
    char label[64];
    for (int i = 0; i < 4; i++) {
        const int n = sizes[i];
#define LABEL(what) (snprintf(label, sizeof label, what " n=%d", n), label)
        CALL(LABEL("Sgemm"),
             hipblasSgemm(handle, OP_T, OP_N, m, n, k, &one, a, k, b, k, &zero, c, m));
        CALL(LABEL("GemmEx f16"),
             hipblasGemmEx(handle, OP_T, OP_N, m, n, k, &half_one, a, R_16F, k, b, R_16F, k,
                           &half_zero, c, R_16F, m, COMPUTE_16F, GEMM_DEFAULT));
        CALL(LABEL("GemmEx f16, computed in f32"),
             hipblasGemmEx(handle, OP_T, OP_N, m, n, k, &one, a, R_16F, k, b, R_16F, k, &zero, c,
                           R_32F, m, COMPUTE_32F, GEMM_DEFAULT));
        CALL(LABEL("GemmEx bf16"),
             hipblasGemmEx(handle, OP_T, OP_N, m, n, k, &one, a, R_16BF, k, b, R_16BF, k, &zero, c,
                           R_32F, m, COMPUTE_32F, GEMM_DEFAULT));
        CALL(LABEL("GemmEx f32"),
             hipblasGemmEx(handle, OP_T, OP_N, m, n, k, &one, a, R_32F, k, b, R_32F, k, &zero, c,
                           R_32F, m, COMPUTE_32F, GEMM_DEFAULT));
    }
    const int n = 64;
    CALL("GemmEx f64",
         hipblasGemmEx(handle, OP_N, OP_T, 512, n, 512, &double_one, a, R_64F, 512, b, R_64F, n,
                       &double_zero, c, R_64F, 512, COMPUTE_64F, GEMM_DEFAULT));
    CALL("GemmEx i8",
         hipblasGemmEx(handle, OP_T, OP_N, 512, n, 512, &int_one, a, R_8I, 512, b, R_8I, 512,
                       &int_zero, c, R_32I, 512, COMPUTE_32I, GEMM_DEFAULT));
    CALL("GemmEx with a type that there is not",
         hipblasGemmEx(handle, OP_N, OP_N, n, n, n, &one, a, 999, n, b, R_32F, n, &zero, c, R_32F,
                       n, COMPUTE_32F, GEMM_DEFAULT));
}

/* Attention over 256 positions, 32 heads of 128. */
static void batched_products(hipblas_handle handle) {
    enum { M = 256, N = 32, K = 128, HEADS = 32 };
    void *a = device(M * K * HEADS * 4), *b = device(K * N * HEADS * 4);
    void *c = device(M * N * HEADS * 4);
    void **as = batch(HEADS, M * K * 4), **bs = batch(HEADS, K * N * 4);
    void **cs = batch(HEADS, M * N * 4);
    CALL("GemmStridedBatchedEx f16",
         hipblasGemmStridedBatchedEx(handle, OP_T, OP_N, M, N, K, &half_one, a, R_16F, K, M * K, b,
                                     R_16F, K, K * N, &half_zero, c, R_16F, M, M * N, HEADS,
                                     COMPUTE_16F, GEMM_DEFAULT));
    CALL("GemmStridedBatchedEx f16, computed in f32",
         hipblasGemmStridedBatchedEx(handle, OP_T, OP_N, M, N, K, &one, a, R_16F, K, M * K, b,
                                     R_16F, K, K * N, &zero, c, R_32F, M, M * N, HEADS, COMPUTE_32F,
                                     GEMM_DEFAULT));
    CALL("GemmStridedBatchedEx f32",
         hipblasGemmStridedBatchedEx(handle, OP_T, OP_N, M, N, K, &one, a, R_32F, K, M * K, b,
                                     R_32F, K, K * N, &zero, c, R_32F, M, M * N, HEADS, COMPUTE_32F,
                                     GEMM_DEFAULT));
    CALL("GemmBatchedEx f16",
         hipblasGemmBatchedEx(handle, OP_T, OP_N, M, N, K, &half_one, as, R_16F, K, bs, R_16F, K,
                              &half_zero, cs, R_16F, M, HEADS, COMPUTE_16F, GEMM_DEFAULT));
    CALL("GemmBatchedEx bf16",
         hipblasGemmBatchedEx(handle, OP_T, OP_N, M, N, K, &one, as, R_16BF, K, bs, R_16BF, K,
                              &zero, cs, R_32F, M, HEADS, COMPUTE_32F, GEMM_DEFAULT));
    CALL("GemmBatchedEx f32",
         hipblasGemmBatchedEx(handle, OP_T, OP_N, M, N, K, &one, as, R_32F, K, bs, R_32F, K, &zero,
                              cs, R_32F, M, HEADS, COMPUTE_32F, GEMM_DEFAULT));
}

static void solves(hipblas_handle handle) {
    static const struct { int n, k, count; } shapes[] = {
        {79, 417, 1}, {42, 65, 1}, {64, 200, 1}, {64, 384, 1}, {64, 64, 4},
    };
    char label[64];
    for (int i = 0; i < 5; i++) {
        const int n = shapes[i].n, k = shapes[i].k, count = shapes[i].count;
        void **a = batch(count, n * n * 4), **b = batch(count, n * k * 4);
        snprintf(label, sizeof label, "StrsmBatched n=%d k=%d count=%d", n, k, count);
        CALL(label, hipblasStrsmBatched(handle, RIGHT, UPPER, OP_N, NON_UNIT, k, n, &one, a, n, b,
                                        k, count));
    }
}

static void any_type(hipblas_handle handle) {
    enum { N = 1000 };
    void *x = device(N * N * 8), *y = device(N * N * 8);
    double result[2];
    char label[64];
    static const struct { int type, compute; const char *name; } types[] = {
        {R_32F, R_32F, "f32"}, {R_64F, R_64F, "f64"}, {C_32F, C_32F, "c32"},
        {R_16F, R_32F, "f16"}, {R_16BF, R_32F, "bf16"},
    };
    for (int i = 0; i < 5; i++) {
        const int t = types[i].type, compute = types[i].compute;
        const void *alpha = compute == R_64F ? (const void *)&double_two : &two;
        const int real = t == C_32F ? R_32F : t;
#undef LABEL
#define LABEL(what) (snprintf(label, sizeof label, what " %s", types[i].name), label)
        CALL(LABEL("AxpyEx"),
             hipblasAxpyEx(handle, N, alpha, compute, x, t, 1, y, t, 1, compute));
        CALL(LABEL("DotEx"), hipblasDotEx(handle, N, x, t, 1, y, t, 1, result, t, compute));
        const int wide = real == R_64F ? R_64F : R_32F;
        CALL(LABEL("Nrm2Ex"), hipblasNrm2Ex(handle, N, x, t, 1, result, real, wide));
        CALL(LABEL("ScalEx"), hipblasScalEx(handle, N, alpha, compute, x, t, 1, compute));
        CALL(LABEL("RotEx"),
             hipblasRotEx(handle, N, x, t, 1, y, t, 1, alpha, alpha, real, compute));
    }
    CALL("TrsmEx f32", hipblasTrsmEx(handle, LEFT, LOWER, OP_N, NON_UNIT, 64, 64, &one, x, 64, y,
                                     64, 0, 0, R_32F));
    CALL("TrsmEx f64", hipblasTrsmEx(handle, LEFT, LOWER, OP_N, NON_UNIT, 64, 64, &double_one, x,
                                     64, y, 64, 0, 0, R_64F));
}

int main(void) {
    hipblas_handle handle = 0;
    void *stream = 0;
    /* Some relatives of llama.cpp call this. */
    call_begins("rocblas_initialize");
    rocblas_initialize();
    CALL("Create", hipblasCreate(&handle));
    CALL("hipStreamCreate", hipStreamCreate(&stream));
    CALL("SetStream", hipblasSetStream(handle, stream));
    products(handle);
    batched_products(handle);
    solves(handle);
    any_type(handle);
    CALL("Destroy", hipblasDestroy(handle));
    return 0;
}
