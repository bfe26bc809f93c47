/* A rocBLAS of a few functions, one of which fails sometimes:
 *
 *   FAILS_AT=N      the N-th call of sscal in a process, from 1, is an internal error
 *   SLEEP_US=N      each call of sscal takes N microseconds */
#include <rocblas.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

#ifndef FAILS_AT
#define FAILS_AT 0
#endif

static atomic_int calls;

rocblas_status rocblas_sscal(rocblas_handle handle, rocblas_int n, const float *alpha, float *x,
                             rocblas_int incx) {
#ifdef SLEEP_US
    usleep(SLEEP_US);
#endif
    return ++calls == FAILS_AT ? rocblas_status_internal_error : rocblas_status_success;
}

rocblas_status rocblas_dscal(rocblas_handle handle, rocblas_int n, const double *alpha, double *x,
                             rocblas_int incx) {
    return rocblas_status_success;
}

rocblas_status rocblas_get_version_string(char *buf, size_t len) {
    snprintf(buf, len, "4.3.0.failing");
    return rocblas_status_success;
}
