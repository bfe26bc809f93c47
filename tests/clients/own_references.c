/* Exits with the number of the backend's references to its own functions that resolve elsewhere, and lets it
 * print its environment. */
#include <rocblas.h>

int main(void) {
    rocblas_set_stream(0, 0);
    return rocblas_sgemm(0, rocblas_operation_none, rocblas_operation_none, 0, 0, 0, 0, 0, 0, 0, 0,
                         0, 0, 0);
}
