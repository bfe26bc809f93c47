/* Starts and stops a trace some times under threads that call all the while. Each thread numbers
 * its calls by the dimension, so that one that is lost or recorded twice is noticed.
 *
 * start_stop DIRECTORY OPTIONS TIMES */
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8 };

static atomic_int over;
static atomic_long calls;

static void *call(void *argument) {
    float alpha = 1, x;
    int n = 0;
    while (!atomic_load_explicit(&over, memory_order_relaxed)) {
        rocblas_sscal(0, n++, &alpha, &x, (int)(long)argument);
        atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    }
    return 0;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, call, (void *)(i + 1));
    for (int i = 0; i < atoi(argv[3]); i++) {
        const char *why = rocblas_shim_trace_start(argv[1], argv[2]);
        if (why) return puts(why), 1;
        if (strcmp(rocblas_shim_mode(), "traced")) return puts("not traced"), 1;
        /* Until something has been called. */
        for (long before = atomic_load(&calls); atomic_load(&calls) < before + 2 * THREADS;) {}
        why = rocblas_shim_trace_stop();
        if (why) return puts(why), 1;
        if (strcmp(rocblas_shim_mode(), "direct")) return puts("still traced"), 1;
    }
    atomic_store(&over, 1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    return 0;
}
