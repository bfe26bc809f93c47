/* Prints the promises that are kept. */
#include <rocblas_shim.h>
#include <stdio.h>

int main(void) {
    printf("compat=%s\n", rocblas_shim_compat());
    return 0;
}
