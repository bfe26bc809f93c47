/* Starts and stops a trace several times while threads call rocBLAS. Each thread numbers its calls by the
 * dimension, so that lost and duplicate records are detected.
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
static atomic_int calls[THREADS];

static void *call(void *argument) {
    float alpha = 1, x;
    const long number = (long)argument;
    for (int n = 0; !atomic_load_explicit(&over, memory_order_relaxed);) {
        rocblas_sscal(0, n++, &alpha, &x, (int)number);
        atomic_store_explicit(&calls[number - 1], n, memory_order_relaxed);
    }
    return 0;
}

static void note(int *made) {
    for (int i = 0; i < THREADS; i++) made[i] = atomic_load(&calls[i]);
}

/* Whether that many calls were made since then, by all threads together or by each of them. */
static int were_made(const int *before, int number, int by_each) {
    int made[THREADS], sum = 0, fewest = number;
    note(made);
    for (int i = 0; i < THREADS; i++) {
        const int more = made[i] - before[i];
        sum += more;
        if (more < fewest) fewest = more;
    }
    return (by_each ? fewest : sum) >= number;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, call, (void *)(i + 1));
    const int times = atoi(argv[3]);
    for (int i = 0; i < times; i++) {
        int before[THREADS];
        const char *why = rocblas_shim_trace_start(argv[1], argv[2]);
        if (why) return puts(why), 1;
        if (strcmp(rocblas_shim_mode(), "traced")) return puts("not traced"), 1;
        /* Waits for calls: in the last trace of each thread, because some threads may not have been
         * scheduled during all the others. */
        note(before);
        while (!were_made(before, 2 * THREADS, i == times - 1)) {}
        why = rocblas_shim_trace_stop();
        if (why) return puts(why), 1;
        if (strcmp(rocblas_shim_mode(), "direct")) return puts("still traced"), 1;
    }
    atomic_store(&over, 1);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    return 0;
}
