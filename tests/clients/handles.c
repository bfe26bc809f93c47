/* Creates a handle three times, printing each status, and queries the device properties of a null handle. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rocblas.h>
#include <stdio.h>

int main(void) {
    const void *(*properties)(rocblas_handle) = (const void *(*)(rocblas_handle))dlsym(
        RTLD_DEFAULT, "_Z32rocblas_internal_get_device_propP15_rocblas_handle");
    for (int i = 0; i < 3; i++) {
        rocblas_handle handle = 0;
        printf("create=%d\n", rocblas_create_handle(&handle));
    }
    printf("of null=%s\n", properties(0) ? "some" : "none");
    return 0;
}
