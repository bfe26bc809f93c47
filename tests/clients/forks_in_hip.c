/* Forks while another thread is in a HIP function that queries a device. The child creates a handle too. */
#include <pthread.h>
#include <rocblas.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void *create(void *argument) {
    rocblas_handle handle;
    return (void *)(long)rocblas_create_handle(&handle);
}

int main(void) {
    pthread_t thread;
    pthread_create(&thread, 0, create, 0);
    usleep(200 * 1000); /* HIP takes a second */
    pid_t child = fork();
    if (child == 0) {
        alarm(10);
        _exit((long)create(0));
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("child killed by signal %d\n", WTERMSIG(status));
    else printf("child=%d\n", WEXITSTATUS(status));
    void *result;
    pthread_join(thread, &result);
    printf("parent=%ld\n", (long)result);
    return 0;
}
