/* A backend with its own HIP runtime. The stream `CAPTURING` is being captured, queries of the stream `UNKNOWN`
 * fail, and other streams are not captured. Each handle has a stream, null at first. It counts the queries;
 * `rocblas_sscal` returns the count as its result. */
#include <rocblas.h>
#include "no_transfers.h"
#include <stdlib.h>

enum { CAPTURING = 0x100, UNKNOWN = 0x200 };

static int asked;

rocblas_status rocblas_create_handle(rocblas_handle *handle) {
    *handle = calloc(1, 64);
    return *handle ? rocblas_status_success : rocblas_status_memory_error;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
    free(handle);
    return rocblas_status_success;
}

rocblas_status rocblas_set_stream(rocblas_handle handle, hipStream_t stream) {
    *(hipStream_t *)handle = stream;
    return rocblas_status_success;
}

rocblas_status rocblas_get_stream(rocblas_handle handle, hipStream_t *stream) {
    if (!handle) return rocblas_status_invalid_handle;
    *stream = *(hipStream_t *)handle;
    return rocblas_status_success;
}

rocblas_status rocblas_sscal(rocblas_handle handle, rocblas_int n, const float *alpha, float *x,
                             rocblas_int incx) {
    if (n > 1) x[0] = (float)asked;
    return rocblas_status_success;
}

int hipStreamIsCapturing(void *stream, int *status) {
    asked++;
    *status = (size_t)stream == CAPTURING;
    return (size_t)stream == UNKNOWN ? 906 : 0;
}

int hipStreamSynchronize(void *stream) { return 0; }
int hipGetDevice(int *device) {
    *device = 0;
    return 0;
}
int hipGetDevicePropertiesR0600(char *properties, int device) { return 1; }
