/* Prints the results of a program's first calls, and of the shim's own functions. */
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>

int main(void) {
    rocblas_handle handle = 0;
    printf("create_handle=%d\n", rocblas_create_handle(&handle));
    printf("sgemm=%d\n", rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 0, 0,
                                       0, 0, 0, 0, 0, 0, 0, 0, 0));
    printf("dgemm=%d\n", rocblas_dgemm(handle, rocblas_operation_none, rocblas_operation_none, 0, 0,
                                       0, 0, 0, 0, 0, 0, 0, 0, 0));
    printf("dgemm again=%d\n", rocblas_dgemm(handle, rocblas_operation_none, rocblas_operation_none,
                                             0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0));
    printf("status_to_string=%s\n", rocblas_status_to_string(rocblas_status_not_implemented));
    printf("malloc_success=%d\n", rocblas_device_malloc_success(0));
    printf("pointer_mode=%d\n", rocblas_pointer_to_mode(0));
    rocblas_set_stream(handle, 0);
    printf("mode=%s\n", rocblas_shim_mode());
    printf("version=%s\n", rocblas_shim_version());
    printf("backend=%s\n", rocblas_shim_backend_name());
    printf("path=%s\n", rocblas_shim_backend_path());
    printf("backend_version=%s\n", rocblas_shim_backend_version());
    printf("missing=%zu\n", rocblas_shim_missing_count());
    const char *name = rocblas_shim_missing_name(0);
    printf("first missing=%s\n", name ? name : "NULL");
    printf("past the end=%d\n", rocblas_shim_missing_name(rocblas_shim_missing_count()) != 0);
    printf("error=%s\n", rocblas_shim_error());
    return 0;
}
