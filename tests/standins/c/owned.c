/* A backend, number ID, that recognises its own handles: with another backend's handle every function returns
 * ANOTHERS, a unique value. Handles are allocated by the process's malloc, so that one backend's handle may get the
 * address of another's. It has one function for each way in which the shim finds the backend of a call. */
#include <rocblas.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ANOTHERS = 1000, OWN = 100 + ID };

struct _rocblas_handle {
    int owner;
    /* As large as a real one. */
    char rest[500];
};

static rocblas_status own(rocblas_handle handle) {
    if (!handle) return rocblas_status_invalid_handle;
    return (rocblas_status)(handle->owner == ID ? OWN : ANOTHERS);
}

#ifdef UNIQUE
/* Like GCC for variables in inline functions. */
__asm__(".pushsection .data\n"
        ".globl joined_data\n"
        ".type joined_data, @gnu_unique_object\n"
        ".size joined_data, 4\n"
        "joined_data: .long 7\n"
        ".popsection\n");
#endif

#ifdef COLLIDES
/* Handles at addresses 2^44 apart, bits that the shim's hash does not use. Aligned, and never freed. */
#include <sys/mman.h>
static rocblas_handle allocate(void) {
    static unsigned long next;
    unsigned long number = __sync_fetch_and_add(&next, 1);
    void *wanted = (void *)((number / 64 + 1) << 44 | 0x10000000 + number % 64 * 0x1000);
    void *got = mmap(wanted, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return got == MAP_FAILED ? 0 : got;
}
static void release(rocblas_handle handle) { handle->owner = 0; }
#else
static rocblas_handle allocate(void) { return malloc(sizeof(struct _rocblas_handle)); }
static void release(rocblas_handle handle) {
    handle->owner = 0;
    free(handle);
}
#endif

rocblas_status rocblas_create_handle(rocblas_handle *handle) {
    if (!handle) return rocblas_status_invalid_handle;
    *handle = allocate();
    if (!*handle) return rocblas_status_memory_error;
    (*handle)->owner = ID;
    return rocblas_status_success;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
    if (own(handle) != (rocblas_status)OWN) return own(handle);
    release(handle);
    return rocblas_status_success;
}

rocblas_status rocblas_sscal(rocblas_handle handle, rocblas_int n, const float *alpha, float *x,
                             rocblas_int incx) {
    return own(handle);
}

rocblas_status rocblas_get_pointer_mode(rocblas_handle handle, rocblas_pointer_mode *mode) {
    *mode = rocblas_pointer_mode_host;
    return own(handle) == (rocblas_status)OWN ? rocblas_status_success : own(handle);
}

#ifdef HAS_GEMM
/* 14 arguments, eight of them on the stack. */
rocblas_status rocblas_sgemm(rocblas_handle handle, rocblas_operation transA,
                             rocblas_operation transB, rocblas_int m, rocblas_int n, rocblas_int k,
                             const float *alpha, const float *A, rocblas_int lda, const float *B,
                             rocblas_int ldb, const float *beta, float *C, rocblas_int ldc) {
    return m == 1 && n == 2 && k == 3 && lda == 4 && ldb == 5 && ldc == 6 ? own(handle) : 2000;
}
#endif

/* C++: a handle in the second register, and one in the first with numbers in vector registers. */
rocblas_status check_numerics(const char *name, rocblas_handle handle, int64_t n)
    __asm__("_Z47rocblas_internal_check_numerics_vector_templateIPfE15rocblas_status_PKcP15_"
            "rocblas_handlelT_llllib");
rocblas_status check_numerics(const char *name, rocblas_handle handle, int64_t n) {
    return own(handle);
}

rocblas_status axpy(rocblas_handle handle, int n, double a, float b, double c)
    __asm__("_Z30rocblas_internal_axpy_launcherIiLi256EdPKdS1_PdE15rocblas_status_P15_rocblas_handleT_"
            "T2_lT3_lS6_lT4_lS6_lS6_");
rocblas_status axpy(rocblas_handle handle, int n, double a, float b, double c) {
    return a == 1.5 && b == 2.5f && c == 3.5 ? own(handle) : (rocblas_status)2000;
}

/* An object that contains its handle. */
struct rocblas_device_malloc_base {
    rocblas_handle handle;
    size_t count;
};

rocblas_status rocblas_device_malloc_alloc(rocblas_handle handle,
                                           struct rocblas_device_malloc_base **res, size_t count,
                                           ...) {
    if (own(handle) != (rocblas_status)OWN) return own(handle);
    va_list sizes;
    va_start(sizes, count);
    for (size_t i = 0; i < count; i++)
        if (va_arg(sizes, size_t) != i + 1) return (rocblas_status)2000;
    va_end(sizes);
    *res = malloc(sizeof **res);
    (*res)->handle = handle;
    return rocblas_status_success;
}

bool rocblas_device_malloc_success(struct rocblas_device_malloc_base *ptr) {
    return ptr && own(ptr->handle) == (rocblas_status)OWN;
}

rocblas_status rocblas_device_malloc_free(struct rocblas_device_malloc_base *ptr) {
    if (!ptr) return rocblas_status_success;
    rocblas_status status = own(ptr->handle);
    free(ptr);
    return status == (rocblas_status)OWN ? rocblas_status_success : status;
}

/* Without a handle: sizes, of which the shim returns the largest, and settings for all backends. */
size_t gemv_size(rocblas_operation trans, int m, int n, int batch)
    __asm__("_Z43rocblas_internal_gemv_kernel_workspace_sizeIfEm18rocblas_operation_iii");
size_t gemv_size(rocblas_operation trans, int m, int n, int batch) {
    return ID * 1000 + m;
}

rocblas_status trsm_sizes(rocblas_side side, rocblas_operation trans, int m, int n, int lda,
                          int batch, size_t *a, size_t *b, size_t *c, size_t *d, size_t *e)
    __asm__("_Z36rocblas_internal_trsm_workspace_sizeIfE15rocblas_status_13rocblas_side_18rocblas_"
            "operation_iiiiPmS3_S3_S3_S3_");
rocblas_status trsm_sizes(rocblas_side side, rocblas_operation trans, int m, int n, int lda,
                          int batch, size_t *a, size_t *b, size_t *c, size_t *d, size_t *e) {
    *a = ID;
    *b = 100 - ID;
    *c = *d = batch;
    *e = ID * ID;
    return rocblas_status_success;
}

/* 13 arguments, of which it uses the last. */
rocblas_status trsm_batched_sizes(rocblas_side side, rocblas_operation trans, int64_t m, int64_t n,
                                  int64_t lda, int64_t ldb, int64_t batch, int64_t more, size_t *a,
                                  size_t *b, size_t *c, size_t *d, size_t *e)
    __asm__("_Z47rocblas_internal_trsm_batched_workspace_size_64IfE15rocblas_status_13rocblas_side_18"
            "rocblas_operation_llllllPmS3_S3_S3_S3_");
rocblas_status trsm_batched_sizes(rocblas_side side, rocblas_operation trans, int64_t m, int64_t n,
                                  int64_t lda, int64_t ldb, int64_t batch, int64_t more, size_t *a,
                                  size_t *b, size_t *c, size_t *d, size_t *e) {
    /* The first backend reports that no memory is needed. */
    if (ID == 1) return rocblas_status_continue;
    *e = 10 * ID;
    return rocblas_status_success;
}

void rocblas_device_malloc_set_default_memory_size(size_t size) {
    printf("backend %d is told %zu\n", ID, size);
    fflush(stdout);
}

rocblas_status rocblas_get_version_string(char *buffer, size_t size) {
    snprintf(buffer, size, "%s.%d", VERSION, ID);
    return rocblas_status_success;
}

/* Prints the environment that it sees. */
rocblas_status rocblas_set_stream(rocblas_handle handle, hipStream_t stream) {
    const char *kernels = getenv("ROCBLAS_TENSILE_LIBPATH");
    printf("kernels of backend %d: %s\n", ID, kernels ? kernels : "(unset)");
    fflush(stdout);
    return own(handle);
}
