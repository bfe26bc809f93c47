/* 64 threads make their first rocBLAS call at the same moment, when no backend is open yet. */
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 64 };

static pthread_barrier_t barrier;

static void *call(void *argument) {
    pthread_barrier_wait(&barrier);
    return (void *)(long)rocblas_sscal(0, 0, 0, 0, 0);
}

int main(void) {
    if (strcmp(rocblas_shim_mode(), "cold") != 0) return 2;
    setenv("ROCBLAS_SHIM_BACKEND", getenv("BACKEND_LATER"), 1);
    pthread_barrier_init(&barrier, 0, THREADS);
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, call, 0);
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        printf("%ld\n", (long)result);
    }
    return 0;
}
