/* Functions with 2, 14 and 30 parameters that return immediately, so that only the call itself is measured; the
 * two functions with which a tracer queries a handle; and with HAS_HIP a runtime that immediately reports that a
 * stream is not being captured. With HAS_HANDLES it creates handles. */
#include <rocblas.h>
#include <stdlib.h>

#ifdef HAS_HANDLES
rocblas_status rocblas_create_handle(rocblas_handle *handle) {
    /* As large as a real one. */
    *handle = malloc(512);
    return *handle ? rocblas_status_success : rocblas_status_memory_error;
}
#endif

rocblas_status rocblas_set_stream(rocblas_handle handle, hipStream_t stream) {
    return rocblas_status_success;
}

rocblas_status rocblas_get_pointer_mode(rocblas_handle handle, rocblas_pointer_mode *mode) {
    if (!handle) return rocblas_status_invalid_handle;
    *mode = rocblas_pointer_mode_host;
    return rocblas_status_success;
}

rocblas_status rocblas_get_stream(rocblas_handle handle, hipStream_t *stream) {
#ifdef HAS_HIP
    *stream = (hipStream_t)handle;
#else
    *stream = 0;
#endif
    return rocblas_status_success;
}

#ifdef HAS_HIP
int hipStreamIsCapturing(void *stream, int *status) {
    *status = 0;
    return 0;
}

static __thread int last_error;
int hipPeekAtLastError(void) { return last_error; }
int hipGetLastError(void) {
    int error = last_error;
    last_error = 0;
    return error;
}

/* Without these the shim does not accept the runtime. */
int hipGetDevice(int *device) { return 1; }
int hipGetDevicePropertiesR0600(void *properties, int device) { return 1; }
#include "no_transfers.h"
#endif

rocblas_status rocblas_sgemm(rocblas_handle handle, rocblas_operation transA,
                             rocblas_operation transB, rocblas_int m, rocblas_int n, rocblas_int k,
                             const float *alpha, const float *A, rocblas_int lda, const float *B,
                             rocblas_int ldb, const float *beta, float *C, rocblas_int ldc) {
    return rocblas_status_success;
}

rocblas_status rocblas_gemm_strided_batched_ex_get_solutions(
    rocblas_handle handle, rocblas_operation transA, rocblas_operation transB, rocblas_int m,
    rocblas_int n, rocblas_int k, const void *alpha, const void *a, rocblas_datatype a_type,
    rocblas_int lda, rocblas_stride stride_a, const void *b, rocblas_datatype b_type,
    rocblas_int ldb, rocblas_stride stride_b, const void *beta, const void *c,
    rocblas_datatype c_type, rocblas_int ldc, rocblas_stride stride_c, void *d,
    rocblas_datatype d_type, rocblas_int ldd, rocblas_stride stride_d, rocblas_int batch_count,
    rocblas_datatype compute_type, rocblas_gemm_algo algo, uint32_t flags, rocblas_int *list_array,
    rocblas_int *list_size) {
    return rocblas_status_success;
}

/* One that writes a result, and one without a handle. */
rocblas_status rocblas_sdot(rocblas_handle handle, rocblas_int n, const float *x, rocblas_int incx,
                            const float *y, rocblas_int incy, float *result) {
    *result = 0;
    return rocblas_status_success;
}

rocblas_status rocblas_get_version_string_size(size_t *len) {
    *len = 1;
    return rocblas_status_success;
}
