/* Makes its first call while the process has no free file descriptor, and its second when it has one. */
#include <fcntl.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(void) {
    if (strcmp(rocblas_shim_mode(), "cold") != 0) return 2;
    setenv("ROCBLAS_SHIM_BACKEND", getenv("BACKEND_LATER"), 1);
    int first = open("/dev/null", O_RDONLY), last = first;
    for (int fd; (fd = dup(first)) >= 0; last = fd) {}
    int without = rocblas_sscal(0, 0, 0, 0, 0);
    for (int fd = first; fd <= last; fd++) close(fd);
    printf("without=%d\nwith=%d\n", without, rocblas_sscal(0, 0, 0, 0, 0));
    return 0;
}
