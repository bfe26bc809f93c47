/* Calls sscal COUNT times, with the number of the call as its dimension, and checks that errno does not change.
 *
 * many COUNT [MICROSECONDS [THREADS]]
 *   MICROSECONDS  pause between calls
 *   THREADS       the calls are made by that many threads in succession, and not by the main thread */
#include <errno.h>
#include <pthread.h>
#include <rocblas.h>
#include <stdlib.h>
#include <unistd.h>

static int count, pause_us;

static void *call(void *argument) {
    float alpha = 1, x;
    for (int n = 0; n < count; n++) {
        errno = EILSEQ;
        rocblas_sscal(0, n, &alpha, &x, 1);
        if (errno != EILSEQ) exit(3);
        if (pause_us) usleep(pause_us);
    }
    return argument;
}

int main(int argc, char **argv) {
    count = atoi(argv[1]);
    pause_us = argc > 2 ? atoi(argv[2]) : 0;
    if (argc < 4) call(0);
    for (int i = argc < 4 ? 0 : atoi(argv[3]); i > 0; i--) {
        pthread_t thread;
        if (pthread_create(&thread, 0, call, 0) || pthread_join(thread, 0)) return 1;
    }
    return 0;
}
