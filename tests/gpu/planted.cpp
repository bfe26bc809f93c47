/* Calls whose operands depend on their numbers alone: products and batched solves that follow one another without
 * waiting in an asynchronous stream, every tenth product captured into a graph instead.
 *
 *   planted CALLS
 *
 * Makes CALLS calls and prints a line for each, `NUMBER FUNCTION MxN ...`, with its number in a trace: creating the
 * handle has number 0, the handle and its device 1 and 2, setting its stream 3. */
#include "rocblas.h"
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <unistd.h>
#include <vector>

extern "C" {
int hipMalloc(void **, size_t);
int hipMemcpyAsync(void *, const void *, size_t, int kind, hipStream_t);
int hipStreamCreateWithFlags(hipStream_t *, unsigned);
int hipStreamSynchronize(hipStream_t);
int hipStreamBeginCapture(hipStream_t, int mode);
int hipStreamEndCapture(hipStream_t, void **graph);
int hipGraphInstantiate(void **exec, void *graph, void *, void *, size_t);
int hipGraphLaunch(void *exec, hipStream_t);
int hipGraphExecDestroy(void *exec);
int hipGraphDestroy(void *graph);
}

enum { TO_DEVICE = 1, ON_DEVICE = 3, NON_BLOCKING = 1, RELAXED = 2 };
/* The maximum size, and the number of solves in a batch. */
enum { MOST = 96, BATCH = 3 };

static void need(int error, const char *what) {
    if (error) {
        fprintf(stderr, "%s: error %d\n", what, error);
        _exit(3);
    }
}
#define NEED(call) need(call, #call)

static uint64_t state;
static unsigned below(unsigned limit) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return (state >> 33) % limit;
}

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int calls = atoi(argv[1]);
    hipStream_t stream;
    rocblas_handle handle;
    NEED(hipStreamCreateWithFlags(&stream, NON_BLOCKING));
    need(rocblas_create_handle(&handle), "rocblas_create_handle");
    need(rocblas_set_stream(handle, stream), "rocblas_set_stream");

    /* Small numbers, so that a triangle with ones on its diagonal is far from singular. */
    const size_t count = (size_t)MOST * MOST * BATCH;
    std::vector<float> numbers(count);
    state = 1;
    for (float &number : numbers) number = ((int)below(2001) - 1000) / 1e5f;
    float *a, *b, *kept, *c;
    for (float **matrix : {&a, &b, &kept, &c}) {
        NEED(hipMalloc((void **)matrix, count * sizeof(float)));
        NEED(hipMemcpyAsync(*matrix, numbers.data(), count * sizeof(float), TO_DEVICE, stream));
    }
    float *pointers[2 * BATCH], **tables;
    for (int i = 0; i < BATCH; i++) pointers[i] = a + i * MOST * MOST, pointers[BATCH + i] = c + i * MOST * MOST;
    NEED(hipMalloc((void **)&tables, sizeof pointers));
    NEED(hipMemcpyAsync(tables, pointers, sizeof pointers, TO_DEVICE, stream));
    NEED(hipStreamSynchronize(stream));

    const rocblas_operation none = rocblas_operation_none;
    for (int call = 0; call < calls; call++) {
        state = call * 0x100000001b3u + 8;
        below(1);
        int m = 1 + below(64), n = 1 + below(64), k = 1 + below(MOST), number = call + 4;
        if (call == calls / 2) m = 37, n = 41;
        if (call % 100 == 50) n = 65 + below(31);
        const float alpha = 1 + below(3), beta = below(2) * 0.5f;
        NEED(hipMemcpyAsync(c, kept, count * sizeof(float), ON_DEVICE, stream));
        if (call % 4 == 3) {
            need(rocblas_strsm_batched(handle, rocblas_side_right, rocblas_fill_upper, none, rocblas_diagonal_unit, m,
                                       n, &alpha, tables, MOST, tables + BATCH, MOST, BATCH),
                 "rocblas_strsm_batched");
            printf("%d strsm_batched %dx%d\n", number, m, n);
            continue;
        }
        bool is_captured = call % 10 == 4;
        if (is_captured) NEED(hipStreamBeginCapture(stream, RELAXED));
        need(rocblas_sgemm(handle, none, none, m, n, k, &alpha, a, MOST, b, MOST, &beta, c, MOST), "rocblas_sgemm");
        if (is_captured) {
            void *graph, *exec;
            NEED(hipStreamEndCapture(stream, &graph));
            NEED(hipGraphInstantiate(&exec, graph, nullptr, nullptr, 0));
            NEED(hipGraphLaunch(exec, stream));
            NEED(hipStreamSynchronize(stream));
            NEED(hipGraphExecDestroy(exec));
            NEED(hipGraphDestroy(graph));
        }
        printf("%d %s %dx%d beta %g\n", number, is_captured ? "captured" : "sgemm", m, n, beta);
    }
    NEED(hipStreamSynchronize(stream));
    need(rocblas_destroy_handle(handle), "rocblas_destroy_handle");
}
