/* Creates a handle, prints that, and scales and copies a vector repeatedly until stdin ends. After a line on stdin one
 * element is NaN. */
#include <math.h>
#include <poll.h>
#include <rocblas.h>
#include <stdio.h>
#include <unistd.h>

int main(void) {
    float alpha = 1, x[4] = {1, 2, 3, 4}, y[4];
    struct pollfd input = {.fd = 0, .events = POLLIN};
    char line[64];
    rocblas_handle handle;
    setvbuf(stdout, 0, _IOLBF, 0);
    if (rocblas_create_handle(&handle)) return 1;
    printf("ready %d\n", getpid());
    for (;;) {
        rocblas_sscal(handle, 4, &alpha, x, 1);
        rocblas_scopy(handle, 4, x, 1, y, 1);
        if (poll(&input, 1, 1) > 0) {
            if (read(0, line, sizeof line) <= 0) return rocblas_destroy_handle(handle);
            x[2] = NAN;
            printf("NaN\n");
        }
    }
}
