/* Scales vectors on the CPU; one of them gets NaN.
 *
 * checked fork     a call with NaN before a fork and one in the child
 * checked after N  N correct calls after one with NaN, with a pause after each
 * checked stale    the gaps between elements are NaN, and so is the output of a call that fails */
#include <math.h>
#include <rocblas.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    float x[7] = {1, NAN, 3, NAN, 5, NAN, 7}, y[4] = {1, 2, 3, 4}, alpha = 2;
    rocblas_handle handle;
    if (rocblas_create_handle(&handle)) return 1;
    if (!strcmp(argv[1], "stale")) {
        rocblas_sscal(handle, 4, &alpha, x, 2);
        rocblas_sscal(handle, 4, 0, x, 1);
        return rocblas_sscal(handle, 0, &alpha, x, 1);
    }
    rocblas_sscal(handle, 4, &alpha, x, 1);
    if (!strcmp(argv[1], "fork")) {
        pid_t child = fork();
        if (child == 0) {
            rocblas_sscal(handle, 6, &alpha, x, 1);
            exit(0);
        }
        int status = 1;
        waitpid(child, &status, 0);
        return status;
    }
    for (int i = atoi(argv[2]); i > 0; i--) {
        rocblas_sscal(handle, 4, &alpha, y, 1);
        usleep(1000);
    }
    return 0;
}
