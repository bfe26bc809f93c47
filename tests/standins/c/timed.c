/* A backend with a HIP runtime in it that has errors, events and a clock of its own.
 *
 * Each handle has a stream, null at first: CAPTURING is being captured, queries of BLOCKED fail, and other streams
 * are not captured. `rocblas_sscal` takes n microseconds on its stream. `rocblas_strsm` prints error 98 and returns
 * success if m < 64, and otherwise takes 100 us. `rocblas_sasum` raises error 1 and returns its status.
 *
 * An event completes once the stream is synchronised after it was recorded; a query before that is an error that
 * hipGetLastError returns, as in HIP 6. Recording an event on a stream that is being captured aborts. `hip_calls`
 * counts calls. */
#include <rocblas.h>
#include "no_transfers.h"
#include <stdio.h>
#include <stdlib.h>

enum { CAPTURING = 0x100, BLOCKED = 0x200 };
enum { INVALID_VALUE = 1, INVALID_DEVICE_FUNCTION = 98, NOT_READY = 600, IMPLICIT = 906 };

static __thread int last_error;
/* Microseconds, of all streams together. */
static double now;
static int recorded, happened;

struct event {
    double at;
    int number;
};

/* Events created, recorded and queried, errors cleared, and exchanges of the capture mode. */
struct calls {
    int made, recorded, asked, taken, exchanged;
} hip_calls;

static int answer(int error) {
    if (error) last_error = error;
    return error;
}

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
    now += n;
    return rocblas_status_success;
}

rocblas_status rocblas_strsm(rocblas_handle handle, rocblas_side side, rocblas_fill uplo,
                             rocblas_operation transA, rocblas_diagonal diag, rocblas_int m, rocblas_int n,
                             const float *alpha, const float *A, rocblas_int lda, float *B, rocblas_int ldb) {
    if (m < 64) {
        answer(INVALID_DEVICE_FUNCTION);
        fputs("rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n", stderr);
    } else {
        now += 100;
    }
    return rocblas_status_success;
}

rocblas_status rocblas_sasum(rocblas_handle handle, rocblas_int n, const float *x, rocblas_int incx,
                             float *result) {
    answer(INVALID_VALUE);
    return rocblas_status_internal_error;
}

int hipPeekAtLastError(void) { return last_error; }

int hipGetLastError(void) {
    int error = last_error;
    last_error = 0;
    hip_calls.taken += error != 0;
    return error;
}

int hipStreamIsCapturing(void *stream, int *status) {
    *status = (size_t)stream == CAPTURING;
    return answer((size_t)stream == BLOCKED ? IMPLICIT : 0);
}

int hipThreadExchangeStreamCaptureMode(int *mode) {
    static __thread int current;
    int before = current;
    current = *mode;
    *mode = before;
    hip_calls.exchanged++;
    return 0;
}

int hipEventCreate(struct event **event) {
    *event = calloc(1, sizeof **event);
    hip_calls.made++;
    return 0;
}

int hipEventDestroy(struct event *event) {
    free(event);
    return 0;
}

int hipEventRecord(struct event *event, void *stream) {
    if ((size_t)stream == CAPTURING || (size_t)stream == BLOCKED) abort();
    event->at = now;
    event->number = ++recorded;
    hip_calls.recorded++;
    return 0;
}

int hipEventElapsedTime(float *milliseconds, struct event *start, struct event *end) {
    hip_calls.asked++;
    if (!start->number || !end->number) return answer(INVALID_VALUE);
    if (start->number > happened || end->number > happened) return answer(NOT_READY);
    *milliseconds = (float)((end->at - start->at) / 1e3);
    return 0;
}

int hipStreamSynchronize(void *stream) {
    happened = recorded;
    return 0;
}

int hipGetDevice(int *device) {
    *device = 0;
    return 0;
}

int hipGetDevicePropertiesR0600(char *properties, int device) { return 1; }
