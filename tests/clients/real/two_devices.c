/* Calls of rocSOLVER, hipBLAS and rocBLAS with a handle on each of the named devices, alternating between the
 * devices. */
#include "calls.h"
#include "hipblas.h"
#include <rocblas.h>
#include <string.h>

int hipSetDevice(int device);

enum { EIGENVECTORS = 211, N = 128, MOST = 2 };

#define DECLARE(s, type)                                                                       \
    int rocsolver_##s##getrf(rocblas_handle, int, int, type *, int, int *, int *);             \
    int rocsolver_##s##potrf(rocblas_handle, int, int, type *, int, int *);                    \
    int rocsolver_##s##geqrf(rocblas_handle, int, int, type *, int, type *);                   \
    int rocsolver_##s##syevd(rocblas_handle, int, int, int, type *, int, type *, type *, int *);
DECLARE(s, float)
DECLARE(d, double)

/* The handles and memory of one device. */
struct device {
    int number;
    rocblas_handle handle;
    hipblas_handle hipblas;
    void *a, *b, *c;
    int *pivots, *info;
};

/* A call on each device. */
#define ON_EACH(name, call)                                            \
    for (int at = 0; at < count; at++) {                               \
        struct device *d = &devices[at];                               \
        char label[64];                                                \
        snprintf(label, sizeof label, name " on %d", d->number);       \
        if (hipSetDevice(d->number)) abort();                          \
        CALL(label, call);                                             \
    }

static const float one = 1, zero = 0;
static const double two = 2;

/* Whether the first member of rocblas_device_malloc_alloc's object is the handle. */
static int layout(rocblas_handle handle) {
    struct rocblas_device_malloc_base *memory = 0;
    int status = rocblas_device_malloc_alloc(handle, &memory, 1, (size_t)64);
    if (status) return status;
    int is_first = memcmp(memory, &handle, sizeof handle) == 0;
    int is_good = rocblas_device_malloc_success(memory);
    if (rocblas_device_malloc_free(memory)) return 1000;
    return is_first && is_good ? 0 : 1001;
}

int main(int argc, char **argv) {
    struct device devices[MOST];
    int count = argc - 1 < MOST ? argc - 1 : MOST;
    for (int at = 0; at < count; at++) {
        struct device *d = &devices[at];
        d->number = atoi(argv[at + 1]);
        if (hipSetDevice(d->number)) abort();
        d->a = device(N * N * 8), d->b = device(N * N * 8), d->c = device(N * N * 8);
        d->pivots = device(N * 4), d->info = device(64);
    }
    ON_EACH("create", rocblas_create_handle(&d->handle));
    ON_EACH("hipblasCreate", hipblasCreate(&d->hipblas));
    ON_EACH("layout", layout(d->handle));
    ON_EACH("sgetrf", rocsolver_sgetrf(d->handle, N, N, d->a, N, d->pivots, d->info));
    ON_EACH("dgetrf", rocsolver_dgetrf(d->handle, N, N, d->a, N, d->pivots, d->info));
    ON_EACH("spotrf", rocsolver_spotrf(d->handle, rocblas_fill_lower, N, d->a, N, d->info));
    ON_EACH("dgeqrf", rocsolver_dgeqrf(d->handle, N, N, d->a, N, d->b));
    ON_EACH("ssyevd", rocsolver_ssyevd(d->handle, EIGENVECTORS, rocblas_fill_upper, N, d->a, N, d->b,
                                       d->c, d->info));
    ON_EACH("hipblasSgemm",
            hipblasSgemm(d->hipblas, OP_T, OP_N, N, N, N, &one, d->a, N, d->b, N, &zero, d->c, N));
    ON_EACH("sgemm", rocblas_sgemm(d->handle, rocblas_operation_none, rocblas_operation_none, N, 8, N,
                                   &one, d->a, N, d->b, N, &zero, d->c, N));
    ON_EACH("dscal", rocblas_dscal(d->handle, N, &two, d->a, 1));
    ON_EACH("strsm", rocblas_strsm(d->handle, rocblas_side_left, rocblas_fill_upper,
                                   rocblas_operation_none, rocblas_diagonal_unit, N, 64, &one, d->a, N,
                                   d->b, N));
    ON_EACH("hipblasDestroy", hipblasDestroy(d->hipblas));
    ON_EACH("destroy", rocblas_destroy_handle(d->handle));
    return 0;
}
