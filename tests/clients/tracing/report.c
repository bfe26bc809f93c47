/* A small model's work, for a report: three threads with products and triangular solvers of several shapes, some
 * failing calls, and one that is in flight when the program ends. */
#define _GNU_SOURCE
#include <pthread.h>
#include <rocblas.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { LARGEST = 256, HUGE = 1536 };

static atomic_int is_huge;

static float *matrix(int order) {
    float *a = calloc((size_t)order * order, sizeof *a);
    for (int i = 0; i < order; i++) a[i * order + i] = 1;
    return a;
}

static rocblas_status gemm(rocblas_handle handle, int m, int n, int k, const float *a, const float *b,
                           float *c) {
    float one = 1, zero = 0;
    return rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, m, n, k, &one, a, LARGEST,
                         b, LARGEST, &zero, c, LARGEST);
}

static rocblas_status trsm(rocblas_handle handle, int m, int n, const float *a, float *b) {
    float one = 1;
    return rocblas_strsm(handle, rocblas_side_left, rocblas_fill_lower, rocblas_operation_none,
                         rocblas_diagonal_non_unit, m, n, &one, a, LARGEST, b, LARGEST);
}

/* Layers of a network: products, a vector operation, a solver every third time. */
static void *layers(void *name) {
    static const int shapes[4][3] = {{256, 64, 256}, {128, 64, 256}, {64, 64, 64}, {256, 1, 256}};
    pthread_setname_np(pthread_self(), name);
    float *a = matrix(LARGEST), *b = matrix(LARGEST), *c = matrix(LARGEST), alpha = 0.5f, sum;
    rocblas_handle handle;
    rocblas_create_handle(&handle);
    for (int layer = 0; layer < 24; layer++) {
        for (int i = 0; i < 4; i++) gemm(handle, shapes[i][0], shapes[i][1], shapes[i][2], a, b, c);
        rocblas_saxpy(handle, 4096, &alpha, a, 1, b, 1);
        rocblas_sdot(handle, 256, a, 1, b, 1, &sum);
        if (layer % 3 == 0) trsm(handle, 128, 32, a, c);
        /* Invalid sizes for some layers. */
        if (layer >= 10 && layer < 14) trsm(handle, -1, 32, a, c);
        if (layer == 17) gemm(0, 64, 64, 64, a, b, c);
        usleep(1500);
    }
    rocblas_destroy_handle(handle);
    free(a), free(b), free(c);
    return 0;
}

static void *huge(void *name) {
    pthread_setname_np(pthread_self(), name);
    float *a = matrix(HUGE), *c = matrix(HUGE), one = 1, zero = 0;
    rocblas_handle handle;
    rocblas_create_handle(&handle);
    atomic_store(&is_huge, 1);
    for (;;)
        rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_transpose, HUGE, HUGE, HUGE, &one, a,
                      HUGE, a, HUGE, &zero, c, HUGE);
}

int main(void) {
    pthread_t threads[3];
    pthread_create(&threads[0], 0, layers, "decoder");
    pthread_create(&threads[1], 0, layers, "<b>encoder</b>");
    pthread_join(threads[0], 0);
    pthread_join(threads[1], 0);
    pthread_create(&threads[2], 0, huge, "huge");
    while (!atomic_load(&is_huge)) usleep(100);
    usleep(50000);
    _exit(0);
}
