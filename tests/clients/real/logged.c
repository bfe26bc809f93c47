/* Calls with scalars in host and in device memory, and one without any. They use one handle, because a second
 * one would truncate the log. */
#include "calls.h"
#include <rocblas.h>

int main(void) {
    rocblas_handle handle;
    float alpha = 2, result, *x = device(4096);
    CALL("create", rocblas_create_handle(&handle));
    CALL("sscal", rocblas_sscal(handle, 16, &alpha, x, 1));
    CALL("sdot", rocblas_sdot(handle, 16, x, 1, x, 1, &result));
    CALL("scopy", rocblas_scopy(handle, 16, x, 1, x + 16, 1));
    CALL("set_pointer_mode", rocblas_set_pointer_mode(handle, rocblas_pointer_mode_device));
    CALL("sscal by device", rocblas_sscal(handle, 16, x, x, 1));
    CALL("destroy", rocblas_destroy_handle(handle));
    return 0;
}
