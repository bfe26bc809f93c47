/* Scales a vector of 80 kB. */
#include <rocblas.h>

int main(void) {
    static double x[10000];
    double alpha = 2;
    rocblas_handle handle;
    if (rocblas_create_handle(&handle)) return 1;
    return rocblas_dscal(handle, 10000, &alpha, x, 1);
}
