/* A call that is in flight when its trace is stopped, and returns when calls of TRACES later traces have been checked.
 *
 * checked_late DIRECTORY TRACES */
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

/* So large that the product is still running after the pause of 5 ms. */
enum { N = 700 };

static atomic_int is_calling, is_held, is_released;

static void hold(int signal) {
    is_held = 1;
    while (!is_released) usleep(1000);
}

static void *calls(void *handle) {
    float *a = calloc(N * N, sizeof *a), alpha = 1, beta = 0;
    is_calling = 1;
    rocblas_status status = rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, N, N, N, &alpha, a,
                                          N, a, N, &beta, a, N);
    is_calling = 0;
    return (void *)(size_t)status;
}

static void pause_for(int milliseconds) { usleep(milliseconds * 1000); }

int main(int argc, char **argv) {
    const char *options = "check=nan";
    float x[2] = {1, 2}, nan[2] = {1, NAN}, alpha = 2;
    rocblas_handle handle, others;
    pthread_t thread;
    void *failed;
    signal(SIGUSR1, hold);
    if (rocblas_create_handle(&handle) || rocblas_create_handle(&others)) return 1;
    if (rocblas_shim_trace_start(argv[1], options)) return 2;
    rocblas_sscal(handle, 2, &alpha, x, 1);
    pthread_create(&thread, 0, calls, others);
    while (!is_calling) {}
    pause_for(5);
    pthread_kill(thread, SIGUSR1);
    while (!is_held) {}
    /* It is held within the product. */
    if (!is_calling) return 3;
    for (int later = atoi(argv[2]); later; later--) {
        if (rocblas_shim_trace_stop() || rocblas_shim_trace_start(argv[1], options)) return 3;
        rocblas_sscal(handle, 2, &alpha, x, 1);
        pause_for(300);
    }
    is_released = 1;
    pthread_join(thread, &failed);
    pause_for(300);
    rocblas_sscal(handle, 2, &alpha, nan, 1);
    pause_for(300);
    if (rocblas_shim_trace_stop()) return 4;
    return failed != 0;
}
