/* Two calls, and one in which the backend crashes. */
#include <rocblas.h>

int main(void) {
    float alpha = 1, x;
    double y, result;
    rocblas_sscal(0, 1, &alpha, &x, 1);
    rocblas_sscal(0, 2, &alpha, &x, 1);
    rocblas_dasum(0, 42, &y, 1, &result);
    return 0;
}
