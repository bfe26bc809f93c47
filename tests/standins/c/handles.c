/* A backend that only creates and destroys handles, each at a new address. */
#include <rocblas.h>
#include <stdlib.h>

rocblas_status rocblas_create_handle(rocblas_handle *handle) {
    *handle = malloc(64);
    return *handle ? rocblas_status_success : rocblas_status_memory_error;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
    free(handle);
    return rocblas_status_success;
}
