/* Forks while a thread opens a backend without the lock, because its wait for another thread's attempt timed
 * out. Arguments: the path of the settings, a backend whose constructor takes seconds.
 *
 * The settings are a FIFO, which blocks the first thread; another FIFO replaces it for the second thread.
 * The first one finds no free descriptor for the backend and gives up; the second one opens it. */
#include <fcntl.h>
#include <pthread.h>
#include <rocblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void *call(void *argument) { return (void *)(long)rocblas_sscal(0, 0, 0, 0, 0); }

/* Makes the next thread wait for settings. The descriptor is open once the thread waits. */
static int hold_up(const char *settings, pthread_t *thread) {
    char next[4096];
    snprintf(next, sizeof next, "%s.next", settings);
    if (mkfifo(next, 0600) || rename(next, settings)) exit(2);
    pthread_create(thread, 0, call, 0);
    return open(settings, O_WRONLY);
}

static void let_go(int fifo, const char *backend) {
    dprintf(fifo, "backend = \"%s\"\n", backend);
    close(fifo);
}

int main(int argc, char **argv) {
    pthread_t first, second;
    int of_first = hold_up(argv[1], &first);
    int of_second = hold_up(argv[1], &second);
    struct rlimit limit, none;
    getrlimit(RLIMIT_NOFILE, &limit);
    none = limit;
    none.rlim_cur = 0;
    setrlimit(RLIMIT_NOFILE, &none);
    let_go(of_first, argv[2]);
    void *result;
    pthread_join(first, &result);
    printf("first=%ld\n", (long)result);
    setrlimit(RLIMIT_NOFILE, &limit);
    let_go(of_second, argv[2]);
    usleep(300 * 1000); /* the second is in the constructor */
    unlink(argv[1]);
    let_go(open(argv[1], O_WRONLY | O_CREAT, 0600), argv[2]); /* for the child: a plain file */
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        _exit(rocblas_sscal(0, 0, 0, 0, 0));
    }
    int status;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) printf("child killed by signal %d\n", WTERMSIG(status));
    else printf("child=%d\n", WEXITSTATUS(status));
    pthread_join(second, &result);
    printf("second=%ld\n", (long)result);
    return 0;
}
