/* A rocBLAS with only sgemm, for replays:
 *
 *   (nothing)       computes on host memory
 *   HIP             has its own HIP runtime: other memory is refused, and work is done at a synchronisation
 *   WRONG_EVERY=N   one element of every N-th product is zero
 *   VARIES          has 32 different results, within rounding
 *   CHANGES_INPUT   writes into A
 *   OUTSIDE         writes into the gap after C's first column
 *   CRASHES         calls abort()
 *   HANGS           does not return
 *   LACKS           has no sgemm
 *   LEAVES_ERROR    sets HIP's last error and returns success */
#include <rocblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef WRONG_EVERY
#define WRONG_EVERY 0
#endif

static int handle, products, last_error;

rocblas_status rocblas_create_handle(rocblas_handle *place) {
    *place = (rocblas_handle)&handle;
    return rocblas_status_success;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
    return rocblas_status_success;
}

rocblas_status rocblas_set_pointer_mode(rocblas_handle handle, rocblas_pointer_mode mode) {
    return rocblas_status_success;
}

rocblas_status rocblas_get_version_string(char *buf, size_t len) {
    snprintf(buf, len, "4.3.0.replayed");
    return rocblas_status_success;
}

#ifndef LACKS
static struct {
    int is_there, m, n, k, lda, ldb, ldc;
    float alpha, beta;
    const float *a, *b;
    float *c;
} work;

static void compute(void) {
    if (!work.is_there)
        return;
    work.is_there = 0;
    for (int j = 0; j < work.n; j++)
        for (int i = 0; i < work.m; i++) {
            float sum = 0;
            for (int l = 0; l < work.k; l++)
                sum += work.a[i + l * work.lda] * work.b[l + j * work.ldb];
            float *c = &work.c[i + j * work.ldc];
            *c = work.alpha * sum + (work.beta == 0 ? 0 : work.beta * *c);
        }
    products++;
    if (WRONG_EVERY && products % WRONG_EVERY == 0)
        work.c[1 + 2 * work.ldc] = 0;
#ifdef VARIES
    for (int i = 0; i < 5; i++) {
        unsigned bits;
        memcpy(&bits, &work.c[i], sizeof bits);
        bits += products >> i & 1;
        memcpy(&work.c[i], &bits, sizeof bits);
    }
#endif
#ifdef CHANGES_INPUT
    *(float *)work.a = 7;
#endif
#ifdef OUTSIDE
    work.c[work.m] = 7;
#endif
}

rocblas_status rocblas_sgemm(rocblas_handle handle, rocblas_operation transA,
                             rocblas_operation transB, rocblas_int m, rocblas_int n, rocblas_int k,
                             const float *alpha, const float *A, rocblas_int lda, const float *B,
                             rocblas_int ldb, const float *beta, float *C, rocblas_int ldc) {
    if (transA != rocblas_operation_none || transB != rocblas_operation_none)
        return rocblas_status_not_implemented;
#ifdef CRASHES
    abort();
#endif
#ifdef HANGS
    for (;;)
        pause();
#endif
#ifdef LEAVES_ERROR
    last_error = 98;
#endif
    work.is_there = 1;
    work.m = m, work.n = n, work.k = k;
    work.a = A, work.b = B, work.c = C;
    work.lda = lda, work.ldb = ldb, work.ldc = ldc;
    work.alpha = *alpha, work.beta = *beta;
#ifndef HIP
    compute();
#endif
    return rocblas_status_success;
}
#endif

#ifdef HIP
/* All of a GPU's memory. */
static char memory[16 << 20];
static size_t taken;

static int is_ours(const void *place, size_t size) {
    const char *start = place;
    return start >= memory && start + size <= memory + sizeof memory;
}

int hipSetDevice(int device) {
    return device == 0 ? 0 : 101;
}

int hipMalloc(void **place, size_t size) {
    size = (size + 255) / 256 * 256;
    if (size > sizeof memory - taken)
        return 2;
    *place = memory + taken;
    taken += size;
    return 0;
}

int hipMemcpy(void *to, const void *from, size_t size, int kind) {
    if (!is_ours(kind == 1 ? to : from, size) || is_ours(kind == 1 ? from : to, size))
        return 1;
    memcpy(to, from, size);
    return 0;
}

int hipDeviceSynchronize(void) {
#ifndef LACKS
    compute();
#endif
    return 0;
}

int hipGetLastError(void) {
    int error = last_error;
    last_error = 0;
    return error;
}

const char *hipGetErrorName(int error) {
    return error == 98 ? "hipErrorInvalidDeviceFunction" : error == 101 ? "hipErrorInvalidDevice" : "hipErrorUnknown";
}

int hipGetDevicePropertiesR0600(char *properties, int device) {
    strcpy(properties, "Stand-in");
    strcpy(properties + 1160, "gfx906:sramecc+:xnack-");
    return 0;
}
#endif
