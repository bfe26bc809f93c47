/* Exits with the backend's count of references to its own functions that lead elsewhere, and lets
 * it print its environment. */
#include <rocblas.h>

int main(void) {
    rocblas_set_stream(0, 0);
    return rocblas_sgemm(0, rocblas_operation_none, rocblas_operation_none, 0, 0, 0, 0, 0, 0, 0, 0,
                         0, 0, 0);
}
