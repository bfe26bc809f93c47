/* Closes every descriptor that it did not open, as daemons do, and opens files in a directory, which get the
 * freed numbers. When a line arrives on stdin, it checks in this process, and in a child that it then forks,
 * whether the descriptors still refer to its files.
 *
 * own_files DIRECTORY [without-threads]
 *   without-threads  no thread can be created until the files are open
 *
 * It prints `ready PID` with its first handle, `opened` after a line, and after another line for each process
 * `all` or the name of the first file that is not its own. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <rocblas.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define FILES 12
static int files[FILES], without_threads;
static struct stat opened[FILES];

int pthread_create(pthread_t *thread, const pthread_attr_t *how, void *(*start)(void *), void *with) {
    int (*real)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        dlsym(RTLD_NEXT, "pthread_create");
    return without_threads ? EAGAIN : real(thread, how, start, with);
}

static void check(void) {
    for (int i = 0; i < FILES; i++) {
        struct stat now;
        char text[8] = "";
        if (fstat(files[i], &now) || now.st_dev != opened[i].st_dev || now.st_ino != opened[i].st_ino) {
            printf("file %d was closed\n", i);
            return;
        }
        if (pread(files[i], text, sizeof text, 0) != 5 || strcmp(text, "mine\n")) {
            printf("file %d was written\n", i);
            return;
        }
    }
    printf("all\n");
}

int main(int argc, char **argv) {
    char line[16];
    without_threads = argc > 2;
    setvbuf(stdout, 0, _IOLBF, 0);
    rocblas_handle handle;
    if (rocblas_create_handle(&handle)) return 1;
    printf("ready %d\n", getpid());
    if (!fgets(line, sizeof line, stdin)) return 1;
    close_range(3, ~0U, 0);
    for (int i = 0; i < FILES; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/file-%d", argv[1], i);
        files[i] = open(path, O_RDWR | O_CREAT, 0666);
        if (write(files[i], "mine\n", 5) != 5 || fstat(files[i], &opened[i])) return 1;
    }
    printf("opened\n");
    if (!fgets(line, sizeof line, stdin)) return 1;
    without_threads = 0;
    check();
    pid_t child = fork();
    if (child == 0) {
        check();
        fflush(stdout);
        _exit(0);
    }
    waitpid(child, 0, 0);
    check();
    return 0;
}
