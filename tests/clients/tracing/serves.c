/* Creates a handle, prints that, and calls sscal repeatedly until stdin ends, with the number of the call as its
 * dimension. At the end it prints how many calls it made.
 *
 * serves [close | fork]
 *   close  first closes all descriptors that it did not open, as daemons do
 *   fork   a child does the same, and its PID is printed */
#define _GNU_SOURCE
#include <poll.h>
#include <rocblas.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static int serve(rocblas_handle handle) {
    float alpha = 1, x;
    int n = 0;
    struct pollfd stdin_ends = {.fd = 0, .events = POLLIN};
    do rocblas_sscal(handle, n++, &alpha, &x, 1);
    while (poll(&stdin_ends, 1, 1) == 0);
    printf("%d calls\n", n);
    return rocblas_destroy_handle(handle);
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    setvbuf(stdout, 0, _IOLBF, 0);
    rocblas_handle handle;
    if (rocblas_create_handle(&handle)) return 1;
    if (strcmp(what, "close") == 0) close_range(3, ~0U, 0);
    if (strcmp(what, "fork") == 0) {
        pid_t child = fork();
        if (child == 0) {
            rocblas_handle own;
            if (rocblas_create_handle(&own)) return 1;
            printf("ready %d\n", getpid());
            return serve(own);
        }
        int status = serve(handle);
        waitpid(child, 0, 0);
        return status;
    }
    printf("ready %d\n", getpid());
    return serve(handle);
}
