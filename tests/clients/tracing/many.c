/* Calls sscal as often as is asked, with the number of the call as its dimension; errno has to stay as it is.
 *
 * many COUNT [MICROSECONDS between calls, or `thread` to call in one that ends before the program] */
#include <errno.h>
#include <pthread.h>
#include <rocblas.h>
#include <stdlib.h>
#include <string.h>
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
    if (argc > 2 && strcmp(argv[2], "thread") == 0) {
        pthread_t thread;
        return pthread_create(&thread, 0, call, 0) || pthread_join(thread, 0);
    }
    pause_us = argc > 2 ? atoi(argv[2]) : 0;
    call(0);
    return 0;
}
