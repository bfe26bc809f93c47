/* Four threads repeat the same few products: a long trace with few shapes.
 *
 * repeats COUNT, of all threads together */
#include <pthread.h>
#include <rocblas.h>
#include <stdlib.h>

enum { THREADS = 4 };

static void *repeat(void *count) {
    rocblas_handle handle = (rocblas_handle)0x1000;
    float one = 1, zero = 0;
    for (long n = 0; n < (long)count; n++)
        rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 64 << n % 4, 64, 64, &one, 0, 64,
                      0, 64, &zero, 0, 64);
    return 0;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, repeat, (void *)(atol(argv[1]) / THREADS));
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    return 0;
}
