/* Forks repeatedly while another thread starts and stops traces; each child makes its own trace.
 *
 * forks_switching DIRECTORY */
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdatomic.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 200 };

static atomic_int over;
static const char *directory;

static void *switches(void *argument) {
    while (!atomic_load(&over)) {
        rocblas_shim_trace_start(directory, "");
        rocblas_shim_trace_stop();
        /* Otherwise this thread holds the lock almost all the time, and forks wait for it. */
        usleep(100);
    }
    return argument;
}

static int traces_itself(void) {
    float alpha = 1, x;
    rocblas_shim_trace_stop();
    if (rocblas_shim_trace_start(directory, "")) return 1;
    rocblas_sscal(0, 1, &alpha, &x, 1);
    return rocblas_shim_trace_stop() != 0;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int failed = 0, status;
    directory = argv[1];
    /* A trace requires an open backend. */
    rocblas_sscal(0, 0, 0, 0, 1);
    pthread_create(&thread, 0, switches, 0);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child = fork();
        if (child == 0) _exit(traces_itself());
        waitpid(child, &status, 0);
        failed |= status;
    }
    atomic_store(&over, 1);
    pthread_join(thread, 0);
    return failed != 0;
}
