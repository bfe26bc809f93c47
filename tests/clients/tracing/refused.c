/* Scalars with a handle, with one that the backend did not create, and with none: twice each, because the first
 * call with a handle takes another path than the next one. */
#include <rocblas.h>

int main(void) {
    float alpha = 2, x;
    rocblas_handle own;
    if (rocblas_create_handle(&own)) return 1;
    const rocblas_handle handles[] = {own, (rocblas_handle)&x, 0};
    for (int i = 0; i < 6; i++) rocblas_sscal(handles[i / 2], i, &alpha, &x, 1);
    return 0;
}
