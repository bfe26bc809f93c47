/* Two threads start a trace at the same time, and only one of them succeeds; this is repeated several times.
 *
 * starts_at_once DIRECTORY */
#include <pthread.h>
#include <rocblas_shim.h>
#include <stdio.h>

enum { ROUNDS = 20 };

static pthread_barrier_t barrier;
static const char *directory;

static void *starts(void *started) {
    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&barrier);
        int has_started = !rocblas_shim_trace_start(directory, "");
        *(int *)started += has_started;
        pthread_barrier_wait(&barrier);
        if (has_started) rocblas_shim_trace_stop();
    }
    return 0;
}

int main(int argc, char **argv) {
    pthread_t thread;
    int one = 0, other = 0;
    directory = argv[1];
    pthread_barrier_init(&barrier, 0, 2);
    pthread_create(&thread, 0, starts, &one);
    starts(&other);
    pthread_join(thread, 0);
    printf("%d\n", one + other);
    return one + other != ROUNDS;
}
