/* Calls on streams of `standins/c/capturing.c`. Prints how often HIP was queried about a stream. */
#include <rocblas.h>
#include <stdio.h>

int main(void) {
    rocblas_handle handle;
    float alpha = 2, x = 0;
    rocblas_create_handle(&handle);
    rocblas_sscal(handle, 0, &alpha, &x, 1);
    for (size_t stream = 0x100; stream <= 0x300; stream += 0x100) {
        rocblas_set_stream(handle, (hipStream_t)stream);
        rocblas_sscal(handle, 1, &alpha, &x, 1);
    }
    rocblas_sscal(handle, 2, &alpha, &x, 1);
    printf("asked %d times\n", (int)x);
    return rocblas_destroy_handle(handle);
}
