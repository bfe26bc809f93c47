/* Calls the backend of standins/c/staged.c: a scaling that yields NaN, three on a stream that is being captured, two
 * on the default stream, one of a batch that yields infinity in its second problem, and a given number of correct
 * ones. */
#include <math.h>
#include <rocblas.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    static float x[8] = {1, 2, NAN, 4, 5, 6, 7, 8}, y[2][4] = {{1, 2, 3, 4}, {5, 6, 3e38f, 8}}, z[4];
    static float *batch[] = {y[0], y[1]};
    rocblas_handle handle;
    float alpha = 2;
    if (rocblas_create_handle(&handle)) return 1;
    rocblas_set_stream(handle, (hipStream_t)0x200);
    rocblas_sscal(handle, 8, &alpha, x, 1);
    rocblas_set_stream(handle, (hipStream_t)0x100);
    for (int i = 0; i < 3; i++) rocblas_sscal(handle, 8, &alpha, x, 1);
    rocblas_set_stream(handle, 0);
    for (int i = 0; i < 2; i++) rocblas_sscal(handle, 8, &alpha, x, 1);
    rocblas_set_stream(handle, (hipStream_t)0x200);
    rocblas_sscal_batched(handle, 4, &alpha, batch, 1, 2);
    for (int i = argc > 1 ? atoi(argv[1]) : 0; i > 0; i--) rocblas_sscal(handle, 4, &alpha, z, 1);
    return rocblas_destroy_handle(handle);
}
