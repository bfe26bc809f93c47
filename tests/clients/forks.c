/* Forks: while another thread opens the backend ("during"), or before any call ("before"). The
 * child calls rocBLAS; the parent reports how it ended. */
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *call(void *argument) { return (void *)(long)rocblas_sscal(0, 0, 0, 0, 0); }

int main(int argc, char **argv) {
    if (strcmp(rocblas_shim_mode(), "cold") != 0) return 2;
    setenv("ROCBLAS_SHIM_BACKEND", getenv("BACKEND_LATER"), 1);
    pthread_t thread;
    int during = strcmp(argv[1], "during") == 0;
    if (during) {
        pthread_create(&thread, 0, call, 0);
        usleep(50 * 1000); /* the backend's constructor takes longer */
        if (strcmp(rocblas_shim_mode(), "cold") != 0) return 3;
    }
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(rocblas_sscal(0, 0, 0, 0, 0));
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) {
        printf("child killed by signal %d\n", WTERMSIG(status));
    } else {
        printf("child=%d\n", WEXITSTATUS(status));
    }
    void *result = 0;
    if (during) pthread_join(thread, &result);
    else result = call(0);
    printf("parent=%ld\n", (long)result);
    return 0;
}
