/* What may happen within a traced call: its backend's dasum calls the function that it is given.
 *
 * within calls | forks | ends
 *   calls  5,000 others
 *   forks  the parent waits for the child and ends within the call, the child comes back and calls on
 *   ends   the thread ends there */
#include <pthread.h>
#include <rocblas.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void call(int count) {
    float alpha = 1, x;
    for (int n = 0; n < count; n++) rocblas_sscal(0, n, &alpha, &x, 1);
}

static void fork_there(int count) {
    if (fork() == 0) return;
    wait(0);
    _exit(0);
}

static void end_there(int count) { pthread_exit(0); }

static void *within(void *function) {
    double result;
    rocblas_dasum(0, 5000, function, 1, &result);
    return 0;
}

int main(int argc, char **argv) {
    if (!strcmp(argv[1], "calls")) {
        within(call);
        call(1);
    }
    if (!strcmp(argv[1], "forks")) {
        within(fork_there);
        call(3);
    }
    if (!strcmp(argv[1], "ends")) {
        pthread_t thread;
        pthread_create(&thread, 0, within, end_there);
        pthread_join(thread, 0);
    }
    return 0;
}
