/* Sixteen threads create handles, call with them and destroy them. Meanwhile another thread switches the backend
 * of new handles a thousand times, and starts and stops traces in the given directory. Prints the number of calls,
 * of calls that went to a backend that did not create the handle, of switches, of traces, and of each backend's
 * calls. */
#define _GNU_SOURCE
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

rocblas_status check_numerics(const char *name, rocblas_handle handle, int64_t n)
    __asm__("_Z47rocblas_internal_check_numerics_vector_templateIPfE15rocblas_status_PKcP15_"
            "rocblas_handlelT_llllib");
rocblas_status axpy(rocblas_handle handle, int n, double a, float b, double c)
    __asm__("_Z30rocblas_internal_axpy_launcherIiLi256EdPKdS1_PdE15rocblas_status_P15_rocblas_handleT_"
            "T2_lT3_lS6_lT4_lS6_lS6_");

enum { THREADS = 16, CALLS = 640 * 1000, SWITCHES = 1000, LIVING = 24 };

static atomic_int over;
static atomic_long calls, wrong, of[2];

/* The backend's number, from the name that the shim returns. */
static int backend_of(rocblas_handle handle) {
    const char *name = rocblas_shim_backend_of(handle);
    return strcmp(name, "one") == 0 ? 1 : strcmp(name, "two") == 0 ? 2 : 0;
}

static void *work(void *number) {
    unsigned long random = (unsigned long)number * 2654435761u + 1;
    rocblas_handle handles[LIVING] = {0};
    int owners[LIVING];
    long made = 0, bad = 0, each[2] = {0};
    while (made < CALLS || !over) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        int at = (random >> 33) % LIVING;
        if (!handles[at]) {
            if (rocblas_create_handle(&handles[at])) abort();
            /* The stand-in writes its own number into the first word. */
            owners[at] = *(int *)handles[at];
            if (backend_of(handles[at]) != owners[at]) bad++;
        }
        rocblas_handle handle = handles[at];
        int wanted = 100 + owners[at];
        float one = 1;
        struct rocblas_device_malloc_base *memory = 0;
        for (int i = 0; i < 20; i++) {
            bad += rocblas_sscal(handle, 1, &one, 0, 1) != wanted;
            bad += check_numerics("x", handle, 1) != wanted;
            bad += axpy(handle, 1, 1.5, 2.5f, 3.5) != wanted;
            bad += rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 1, 2, 3,
                                 &one, 0, 4, 0, 5, &one, 0, 6) != wanted;
        }
        bad += rocblas_device_malloc_alloc(handle, &memory, 2, (size_t)1, (size_t)2) != 0;
        bad += !rocblas_device_malloc_success(memory);
        bad += rocblas_device_malloc_free(memory) != 0;
        made += 83;
        each[owners[at] - 1] += 83;
        if (random >> 61 == 0) {
            bad += rocblas_destroy_handle(handle) != 0;
            handles[at] = 0;
        }
    }
    for (int at = 0; at < LIVING; at++)
        if (handles[at]) bad += rocblas_destroy_handle(handles[at]) != 0;
    calls += made;
    wrong += bad;
    of[0] += each[0];
    of[1] += each[1];
    return 0;
}

int main(int argc, char **argv) {
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, work, (void *)(i + 1));
    int traces = 0;
    for (int i = 0; i < SWITCHES; i++) {
        if (rocblas_shim_backend_use(i % 2 ? "one" : "two")) abort();
        if (i % 250 == 100 && !rocblas_shim_trace_start(argv[1], "ring=1M")) traces++;
        if (i % 250 == 150) rocblas_shim_trace_stop();
        usleep(1000);
    }
    over = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    printf("%ld calls, %ld wrong, %d switches, %d traces, %ld of one, %ld of two\n", (long)calls,
           (long)wrong, SWITCHES, traces, (long)of[0], (long)of[1]);
    return 0;
}
