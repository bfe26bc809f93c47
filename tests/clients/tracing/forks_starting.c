/* Forks while another thread is starting a trace and is in mkdir, which this program replaces. The fork waits
 * for that thread, because the child could not complete its work.
 *
 * forks_starting DIRECTORY */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static atomic_int halfway;

int mkdir(const char *path, mode_t mode) {
    int (*next)(const char *, mode_t) = (int (*)(const char *, mode_t))dlsym(RTLD_NEXT, "mkdir");
    atomic_store(&halfway, 1);
    usleep(200000);
    atomic_store(&halfway, 0);
    return next(path, mode);
}

static void *starts(void *directory) {
    return (void *)rocblas_shim_trace_start(directory, "");
}

int main(int argc, char **argv) {
    pthread_t thread;
    void *failed;
    int status;
    /* A trace requires an open backend. */
    rocblas_sscal(0, 0, 0, 0, 1);
    pthread_create(&thread, 0, starts, argv[1]);
    while (!atomic_load(&halfway)) {}
    const pid_t child = fork();
    if (child == 0) _exit(atomic_load(&halfway));
    waitpid(child, &status, 0);
    pthread_join(thread, &failed);
    return status != 0 || failed;
}
