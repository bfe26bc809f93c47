/* A rocBLAS that answers success to everything and leaves every matrix as it is. Without a header:
 * one body does for calls with any arguments. */
#define IDLE(name) int name(void) { return 0; }

IDLE(rocblas_create_handle)
IDLE(rocblas_destroy_handle)
IDLE(rocblas_get_version_string)
IDLE(rocblas_strsm_batched)
IDLE(rocblas_sgemm)
IDLE(rocblas_gemm_ex)
IDLE(rocblas_gemm_batched_ex)
IDLE(rocblas_gemm_strided_batched_ex)

const char *rocblas_status_to_string(int status) { return status ? "" : "rocblas_status_success"; }
