/* rocBLAS's functions implemented with cuBLAS: a backend that computes on a real GPU, asynchronously, on the
 * handle's stream. Like a release of rocBLAS it has kernels for one target, TARGET, and fails on devices with other
 * targets like rocBLAS: with a line on stderr and an internal error, from the first call that needs a kernel.
 * VERSION is its version string.
 *
 * With BAD defined, sgemm rounds its sums differently, and GPU_FAULT plants a fault in sgemm and strsm_batched:
 *
 *   nan          one element is NaN in an sgemm of 37 x 41
 *   large-n      sgemm leaves the columns from the 65th on as they were
 *   stale-beta   sgemm uses the beta of the sgemm before it; the first one takes 0
 *   triangle     strsm_batched reads the triangle that it must not read
 *   race         the halves of an sgemm of 37 x 41 are on two streams, in the wrong order
 *
 * The scalars of such a library are in host memory. */
#include "rocblas.h"
#include <cublas_v2.h>
#include <cuda_runtime.h>
#include <new>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" int hipGetDevice(int *);
extern "C" int hipGetDevicePropertiesR0600(char *, int);

struct _rocblas_handle {
    cublasHandle_t blas;
    cudaStream_t stream;
    bool has_kernels;
};

static rocblas_status status(cublasStatus_t of) {
    switch (of) {
    case CUBLAS_STATUS_SUCCESS: return rocblas_status_success;
    case CUBLAS_STATUS_INVALID_VALUE: return rocblas_status_invalid_value;
    case CUBLAS_STATUS_ALLOC_FAILED: return rocblas_status_memory_error;
    case CUBLAS_STATUS_NOT_SUPPORTED: return rocblas_status_not_implemented;
    default: return rocblas_status_internal_error;
    }
}

static cublasOperation_t transposed(rocblas_operation of) {
    return of == rocblas_operation_none        ? CUBLAS_OP_N
           : of == rocblas_operation_transpose ? CUBLAS_OP_T
                                               : CUBLAS_OP_C;
}

static cublasSideMode_t side_of(rocblas_side of) {
    return of == rocblas_side_left ? CUBLAS_SIDE_LEFT : CUBLAS_SIDE_RIGHT;
}

static cublasFillMode_t triangle(rocblas_fill of) {
    return of == rocblas_fill_upper ? CUBLAS_FILL_MODE_UPPER : CUBLAS_FILL_MODE_LOWER;
}

static cublasDiagType_t diagonal(rocblas_diagonal of) {
    return of == rocblas_diagonal_unit ? CUBLAS_DIAG_UNIT : CUBLAS_DIAG_NON_UNIT;
}

static cudaDataType_t type_of(rocblas_datatype of) {
    switch (of) {
    case rocblas_datatype_f16_r: return CUDA_R_16F;
    case rocblas_datatype_bf16_r: return CUDA_R_16BF;
    case rocblas_datatype_f64_r: return CUDA_R_64F;
    default: return CUDA_R_32F;
    }
}

static cublasComputeType_t computed(rocblas_datatype in) {
    switch (in) {
    case rocblas_datatype_f16_r: return CUBLAS_COMPUTE_16F;
    case rocblas_datatype_f64_r: return CUBLAS_COMPUTE_64F;
    default: return CUBLAS_COMPUTE_32F;
    }
}

/* The message of rocBLAS 6 and 7 if a library has no kernel for a GPU. */
#define NEEDS_KERNELS(handle)                                                                        \
    if (!handle) return rocblas_status_invalid_handle;                                               \
    if (!handle->has_kernels) {                                                                      \
        fprintf(stderr, "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n");  \
        return rocblas_status_internal_error;                                                        \
    }

/* A column of blocks for each vector. */
static __global__ void copy_each(int n, const float *const *from, float *const *to) {
    int step = gridDim.x * blockDim.x;
    for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step)
        to[blockIdx.y][i] = from[blockIdx.y][i];
}

static bool has_fault(const char *name) {
#ifdef BAD
    const char *planted = getenv("GPU_FAULT");
    return planted && !strcmp(planted, name);
#else
    (void)name;
    return false;
#endif
}

static __global__ void write_nan(float *to) { *to = __int_as_float(0x7fc00000); }

/* The beta of the previous product. */
static const float *stale(const float *beta) {
    static float before, used;
    used = before, before = *beta;
    return &used;
}

/* Runs two parts of a call on two streams in the wrong order, as if an event between them were missing and the second
 * part had won the race. */
template <class Early, class Late> static cublasStatus_t race_won_by(rocblas_handle handle, Early early, Late late) {
    static cudaStream_t other;
    static cudaEvent_t before, after;
    if (!other && (cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking) ||
                   cudaEventCreateWithFlags(&before, cudaEventDisableTiming) ||
                   cudaEventCreateWithFlags(&after, cudaEventDisableTiming)))
        return CUBLAS_STATUS_INTERNAL_ERROR;
    /* Waits for earlier calls; later calls wait for this one. */
    cudaEventRecord(before, handle->stream);
    cudaStreamWaitEvent(other, before, 0);
    cublasSetStream(handle->blas, other);
    cublasStatus_t done = early();
    cudaEventRecord(after, other);
    cublasSetStream(handle->blas, handle->stream);
    cudaStreamWaitEvent(handle->stream, after, 0);
    return done == CUBLAS_STATUS_SUCCESS ? late() : done;
}

extern "C" {

rocblas_status rocblas_create_handle(rocblas_handle *place) {
    if (!place) return rocblas_status_invalid_handle;
    char own[PROPERTIES];
    int device = 0;
    if (hipGetDevice(&device) || hipGetDevicePropertiesR0600(own, device))
        return rocblas_status_internal_error;
    rocblas_handle handle = new (std::nothrow) _rocblas_handle();
    if (!handle) return rocblas_status_memory_error;
    handle->has_kernels = strcmp(own + TARGET_AT, TARGET) == 0;
    rocblas_status created = status(cublasCreate(&handle->blas));
    if (created == rocblas_status_success)
        *place = handle;
    else
        delete handle;
    return created;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
    if (!handle) return rocblas_status_invalid_handle;
    rocblas_status destroyed = status(cublasDestroy(handle->blas));
    delete handle;
    return destroyed;
}

rocblas_status rocblas_set_stream(rocblas_handle handle, hipStream_t stream) {
    if (!handle) return rocblas_status_invalid_handle;
    handle->stream = (cudaStream_t)stream;
    return status(cublasSetStream(handle->blas, handle->stream));
}

rocblas_status rocblas_get_stream(rocblas_handle handle, hipStream_t *stream) {
    if (!handle) return rocblas_status_invalid_handle;
    *stream = (hipStream_t)handle->stream;
    return rocblas_status_success;
}

rocblas_status rocblas_set_pointer_mode(rocblas_handle handle, rocblas_pointer_mode mode) {
    if (!handle) return rocblas_status_invalid_handle;
    return status(cublasSetPointerMode(handle->blas, mode == rocblas_pointer_mode_host
                                                         ? CUBLAS_POINTER_MODE_HOST
                                                         : CUBLAS_POINTER_MODE_DEVICE));
}

rocblas_status rocblas_get_pointer_mode(rocblas_handle handle, rocblas_pointer_mode *mode) {
    if (!handle) return rocblas_status_invalid_handle;
    cublasPointerMode_t of;
    rocblas_status got = status(cublasGetPointerMode(handle->blas, &of));
    *mode = of == CUBLAS_POINTER_MODE_HOST ? rocblas_pointer_mode_host : rocblas_pointer_mode_device;
    return got;
}

rocblas_status rocblas_set_atomics_mode(rocblas_handle handle, rocblas_atomics_mode) {
    return handle ? rocblas_status_success : rocblas_status_invalid_handle;
}

rocblas_status rocblas_get_version_string_size(size_t *size) {
    *size = sizeof VERSION;
    return rocblas_status_success;
}

rocblas_status rocblas_get_version_string(char *text, size_t size) {
    if (size < sizeof VERSION) return rocblas_status_invalid_size;
    memcpy(text, VERSION, sizeof VERSION);
    return rocblas_status_success;
}

void rocblas_initialize(void) {}

rocblas_status rocblas_sscal(rocblas_handle handle, rocblas_int n, const float *alpha, float *x,
                             rocblas_int incx) {
    NEEDS_KERNELS(handle)
    return status(cublasSscal(handle->blas, n, alpha, x, incx));
}

rocblas_status rocblas_scopy_batched(rocblas_handle handle, rocblas_int n, const float *const x[],
                                     rocblas_int incx, float *const y[], rocblas_int incy,
                                     rocblas_int batch_count) {
    NEEDS_KERNELS(handle)
    if (incx != 1 || incy != 1) return rocblas_status_not_implemented;
    if (n <= 0 || batch_count <= 0) return rocblas_status_success;
    dim3 blocks(n < 256 * 64 ? (n + 255) / 256 : 64, batch_count);
    copy_each<<<blocks, 256, 0, handle->stream>>>(n, x, y);
    return cudaGetLastError() == cudaSuccess ? rocblas_status_success : rocblas_status_internal_error;
}

rocblas_status rocblas_sgemm(rocblas_handle handle, rocblas_operation transA, rocblas_operation transB,
                             rocblas_int m, rocblas_int n, rocblas_int k, const float *alpha,
                             const float *A, rocblas_int lda, const float *B, rocblas_int ldb,
                             const float *beta, float *C, rocblas_int ldc) {
    NEEDS_KERNELS(handle)
    if (has_fault("stale-beta")) beta = stale(beta);
    int columns = has_fault("large-n") && n > 64 ? 64 : n;
    int terms = k;
#ifdef BAD
    terms = k / 2;
#endif
    cublasOperation_t ta = transposed(transA), tb = transposed(transB);
    auto first = [&] {
        return cublasSgemm(handle->blas, ta, tb, m, columns, terms, alpha, A, lda, B, ldb, beta, C, ldc);
    };
    auto second = [&] {
        const float one = 1;
        const float *a = A + (ta == CUBLAS_OP_N ? (size_t)terms * lda : terms);
        const float *b = B + (tb == CUBLAS_OP_N ? terms : (size_t)terms * ldb);
        return cublasSgemm(handle->blas, ta, tb, m, columns, k - terms, alpha, a, lda, b, ldb, &one, C, ldc);
    };
    if (has_fault("race") && m == 37 && n == 41) return status(race_won_by(handle, second, first));
    cublasStatus_t done = first();
    if (done == CUBLAS_STATUS_SUCCESS && terms < k) done = second();
    if (done == CUBLAS_STATUS_SUCCESS && has_fault("nan") && m == 37 && n == 41)
        write_nan<<<1, 1, 0, handle->stream>>>(C + 5 * ldc + 3);
    return status(done);
}

rocblas_status rocblas_gemm_ex(rocblas_handle handle, rocblas_operation transA, rocblas_operation transB,
                               rocblas_int m, rocblas_int n, rocblas_int k, const void *alpha,
                               const void *a, rocblas_datatype a_type, rocblas_int lda, const void *b,
                               rocblas_datatype b_type, rocblas_int ldb, const void *beta, const void *c,
                               rocblas_datatype c_type, rocblas_int ldc, void *d, rocblas_datatype d_type,
                               rocblas_int ldd, rocblas_datatype compute_type, rocblas_gemm_algo,
                               int32_t, uint32_t) {
    NEEDS_KERNELS(handle)
    /* cuBLAS has no separate D. */
    if (c != d || c_type != d_type || ldc != ldd) return rocblas_status_not_implemented;
    return status(cublasGemmEx(handle->blas, transposed(transA), transposed(transB), m, n, k, alpha, a,
                               type_of(a_type), lda, b, type_of(b_type), ldb, beta, d, type_of(d_type),
                               ldd, computed(compute_type), CUBLAS_GEMM_DEFAULT));
}

rocblas_status rocblas_gemm_strided_batched_ex(
    rocblas_handle handle, rocblas_operation transA, rocblas_operation transB, rocblas_int m, rocblas_int n,
    rocblas_int k, const void *alpha, const void *a, rocblas_datatype a_type, rocblas_int lda,
    rocblas_stride stride_a, const void *b, rocblas_datatype b_type, rocblas_int ldb,
    rocblas_stride stride_b, const void *beta, const void *c, rocblas_datatype c_type, rocblas_int ldc,
    rocblas_stride stride_c, void *d, rocblas_datatype d_type, rocblas_int ldd, rocblas_stride stride_d,
    rocblas_int batch_count, rocblas_datatype compute_type, rocblas_gemm_algo, int32_t, uint32_t) {
    NEEDS_KERNELS(handle)
    if (c != d || c_type != d_type || ldc != ldd || stride_c != stride_d)
        return rocblas_status_not_implemented;
    return status(cublasGemmStridedBatchedEx(handle->blas, transposed(transA), transposed(transB), m, n, k,
                                             alpha, a, type_of(a_type), lda, stride_a, b, type_of(b_type),
                                             ldb, stride_b, beta, d, type_of(d_type), ldd, stride_d,
                                             batch_count, computed(compute_type), CUBLAS_GEMM_DEFAULT));
}

rocblas_status rocblas_strsm_batched(rocblas_handle handle, rocblas_side side, rocblas_fill uplo,
                                     rocblas_operation transA, rocblas_diagonal diag, rocblas_int m,
                                     rocblas_int n, const float *alpha, const float *const *A,
                                     rocblas_int lda, float *const *B, rocblas_int ldb,
                                     rocblas_int batch_count) {
    NEEDS_KERNELS(handle)
    if (has_fault("triangle"))
        uplo = uplo == rocblas_fill_upper ? rocblas_fill_lower : rocblas_fill_upper;
    return status(cublasStrsmBatched(handle->blas, side_of(side), triangle(uplo), transposed(transA),
                                     diagonal(diag), m, n, alpha, A, lda, B, ldb, batch_count));
}

const char *rocblas_status_to_string(rocblas_status of) {
    return of == rocblas_status_internal_error ? "rocblas_status_internal_error" : "another status";
}
}
