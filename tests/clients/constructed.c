/* Prints the result that the backend's constructor got when it called a function of its own. */
#include <rocblas.h>
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    const char *later = getenv("BACKEND_LATER");
    if (later) setenv("ROCBLAS_SHIM_BACKEND", later, 1);
    printf("from the constructor: %d\n", rocblas_get_stream(0, 0));
    return 0;
}
