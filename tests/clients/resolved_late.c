/* Prints the backend's count of its references to itself, like own_references.c: after the first handle has been
 * created, and after another one, a second later. */
#include <rocblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void print(const char *when) {
    rocblas_handle handle;
    int created = rocblas_create_handle(&handle);
    int foreign = rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 1, 1, 1, 0, 0,
                                1, 0, 1, 0, 0, 1);
    printf("%s: create=%d foreign=%d\n", when, created, foreign);
}

int main(void) {
    setenv("ROCBLAS_SHIM_BACKEND", getenv("BACKEND_LATER"), 1);
    print("first");
    sleep(1);
    print("later");
    return 0;
}
