/* Calls sscal as requested by lines on stdin, with the number of the call as its dimension:
 *
 *   call COUNT    COUNT calls by the main thread
 *   begin COUNT   COUNT calls by a thread that then waits
 *   end           ends that thread
 *
 * It prints `ready PID` first and `done` after each line. */
#include <pthread.h>
#include <rocblas.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static sem_t has_called, may_end;

static void call(int count) {
    float alpha = 1, x;
    for (int n = 0; n < count; n++) rocblas_sscal(0, n, &alpha, &x, 1);
}

static void *thread(void *argument) {
    call(*(int *)argument);
    sem_post(&has_called);
    sem_wait(&may_end);
    return 0;
}

int main(void) {
    char line[64];
    pthread_t other;
    int count;
    setvbuf(stdout, 0, _IOLBF, 0);
    sem_init(&has_called, 0, 0);
    sem_init(&may_end, 0, 0);
    rocblas_handle handle;
    if (rocblas_create_handle(&handle)) return 1;
    printf("ready %d\n", getpid());
    while (fgets(line, sizeof line, stdin)) {
        if (sscanf(line, "call %d", &count) == 1) {
            call(count);
        } else if (sscanf(line, "begin %d", &count) == 1) {
            if (pthread_create(&other, 0, thread, &count)) return 1;
            sem_wait(&has_called);
        } else {
            sem_post(&may_end);
            pthread_join(other, 0);
        }
        printf("done\n");
    }
    return 0;
}
