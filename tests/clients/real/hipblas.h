/* The parts of hipBLAS 3 that the clients use: prototypes and values of its public interface. */
#pragma once
#include <stddef.h>
#include <stdint.h>

typedef void *hipblas_handle;
enum { OP_N = 111, OP_T = 112 };
enum { UPPER = 121, LOWER = 122, NON_UNIT = 131, UNIT = 132, LEFT = 141, RIGHT = 142 };
/* hipDataType */
enum { R_32F = 0, R_64F = 1, R_16F = 2, R_8I = 3, C_32F = 4, C_64F = 5, R_32I = 10, R_16BF = 14 };
/* hipblasComputeType_t */
enum { COMPUTE_16F = 0, COMPUTE_32F = 2, COMPUTE_64F = 7, COMPUTE_32I = 9 };
enum { GEMM_DEFAULT = 160 };

int hipblasCreate(hipblas_handle *handle);
int hipblasDestroy(hipblas_handle handle);
int hipblasSetStream(hipblas_handle handle, void *stream);
int hipblasSgemm(hipblas_handle handle, int a_op, int b_op, int m, int n, int k, const float *alpha,
                 const float *a, int lda, const float *b, int ldb, const float *beta, float *c,
                 int ldc);
int hipblasGemmEx(hipblas_handle handle, int a_op, int b_op, int m, int n, int k, const void *alpha,
                  const void *a, int a_type, int lda, const void *b, int b_type, int ldb,
                  const void *beta, void *c, int c_type, int ldc, int compute, int algo);
int hipblasGemmBatchedEx(hipblas_handle handle, int a_op, int b_op, int m, int n, int k,
                         const void *alpha, void *const *a, int a_type, int lda, void *const *b,
                         int b_type, int ldb, const void *beta, void *const *c, int c_type, int ldc,
                         int count, int compute, int algo);
int hipblasGemmStridedBatchedEx(hipblas_handle handle, int a_op, int b_op, int m, int n, int k,
                                const void *alpha, const void *a, int a_type, int lda,
                                int64_t a_stride, const void *b, int b_type, int ldb,
                                int64_t b_stride, const void *beta, void *c, int c_type, int ldc,
                                int64_t c_stride, int count, int compute, int algo);
int hipblasStrsmBatched(hipblas_handle handle, int side, int uplo, int op, int diag, int m, int n,
                        const float *alpha, void *const *a, int lda, void *const *b, int ldb,
                        int count);
int hipblasAxpyEx(hipblas_handle handle, int n, const void *alpha, int alpha_type, const void *x,
                  int x_type, int incx, void *y, int y_type, int incy, int compute);
int hipblasDotEx(hipblas_handle handle, int n, const void *x, int x_type, int incx, const void *y,
                 int y_type, int incy, void *result, int result_type, int compute);
int hipblasNrm2Ex(hipblas_handle handle, int n, const void *x, int x_type, int incx, void *result,
                  int result_type, int compute);
int hipblasRotEx(hipblas_handle handle, int n, void *x, int x_type, int incx, void *y, int y_type,
                 int incy, const void *c, const void *s, int cs_type, int compute);
int hipblasScalEx(hipblas_handle handle, int n, const void *alpha, int alpha_type, void *x,
                  int x_type, int incx, int compute);
int hipblasTrsmEx(hipblas_handle handle, int side, int uplo, int op, int diag, int m, int n,
                  const void *alpha, void *a, int lda, void *b, int ldb, const void *inverse,
                  int inverse_size, int compute);
