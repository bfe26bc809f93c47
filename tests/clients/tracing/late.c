/* Prints that it is ready, and creates a handle and makes three calls once a line arrives on stdin.
 *
 * late [fork]: a child does so, and its PID is printed */
#define _GNU_SOURCE
#include <rocblas.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    char line[64];
    float alpha = 1, x;
    rocblas_handle handle = 0;
    setvbuf(stdout, 0, _IOLBF, 0);
    if (argc > 1 && strcmp(argv[1], "fork") == 0) {
        pid_t child = fork();
        if (child > 0) {
            int status;
            waitpid(child, &status, 0);
            return WEXITSTATUS(status);
        }
    }
    printf("ready %d\n", getpid());
    while (fgets(line, sizeof line, stdin)) {
        if (!handle && rocblas_create_handle(&handle)) return 1;
        for (int n = 1; n <= 3; n++) rocblas_sscal(handle, n, &alpha, &x, 1);
        printf("called\n");
    }
    return handle ? rocblas_destroy_handle(handle) : 0;
}
