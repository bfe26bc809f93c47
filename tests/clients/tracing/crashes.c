/* Makes some calls, and one in which the backend crashes.
 *
 * crashes COUNT */
#include <rocblas.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    float alpha = 1, x;
    double y, result;
    for (int n = 0; n < atoi(argv[1]); n++) rocblas_sscal(0, n, &alpha, &x, 1);
    rocblas_dasum((rocblas_handle)0x1000, 42, &y, 1, &result);
    return 0;
}
