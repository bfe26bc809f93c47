/* Measures the cost of traces and checks on a GPU: rounds without a trace and with several kinds of trace, alternating
 * in one process.
 *
 *   timed DIRECTORY ROUNDS CALLS OPTIONS...
 *
 * Each round enqueues CALLS half products of 4096 x 1 x 4096 and waits for the last; then as many batched solves of
 * 64 x 64 x 4, and of 128 x 128 x 4; then makes the same calls and waits for each. For each of these (`products`, `solves`,
 * `larger-solves`, and with `awaited-` before it) and each of OPTIONS (`off`: no trace) prints
 * `products OPTIONS: MEDIAN us, LEAST us a call, RATIO`: RATIO is the median over the rounds of the time relative to
 * that of the first of OPTIONS in the same round. Each round starts with a different one. */
#include "rocblas.h"
#include "rocblas_shim.h"
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <unistd.h>
#include <vector>

extern "C" {
int hipMalloc(void **, size_t);
int hipMemcpyAsync(void *, const void *, size_t, int kind, hipStream_t);
int hipMemsetAsync(void *, int, size_t, hipStream_t);
int hipStreamCreateWithFlags(hipStream_t *, unsigned);
int hipStreamSynchronize(hipStream_t);
int hipPeekAtLastError();
}

static void need(int error, const char *what) {
    if (error) {
        fprintf(stderr, "%s: error %d\n", what, error);
        _exit(3);
    }
}
#define NEED(call) need(call, #call)

enum { TO_DEVICE = 1, NON_BLOCKING = 1, ROWS = 4096, N = 64, LARGER = 128, BATCH = 4, WARM_UP = 1500 };

static rocblas_handle handle;
static hipStream_t stream;
static void *matrix, *vector, *result;
static float **triangles, **solutions;

static void *zeros(size_t size) {
    void *memory;
    NEED(hipMalloc(&memory, size));
    NEED(hipMemsetAsync(memory, 0, size, stream));
    return memory;
}

static void product() {
    const rocblas_half one = {0x3c00}, zero = {0};
    need(rocblas_gemm_ex(handle, rocblas_operation_transpose, rocblas_operation_none, ROWS, 1, ROWS, &one, matrix,
                         rocblas_datatype_f16_r, ROWS, vector, rocblas_datatype_f16_r, ROWS, &zero, result,
                         rocblas_datatype_f16_r, ROWS, result, rocblas_datatype_f16_r, ROWS,
                         rocblas_datatype_f16_r, rocblas_gemm_algo_standard, 0, 0),
         "rocblas_gemm_ex");
}

static void solve(int n) {
    const float one = 1;
    need(rocblas_strsm_batched(handle, rocblas_side_right, rocblas_fill_upper, rocblas_operation_none,
                               rocblas_diagonal_unit, n, n, &one, triangles, n, solutions, n, BATCH),
         "rocblas_strsm_batched");
}

static void small_solve() { solve(N); }
static void larger_solve() { solve(LARGER); }

/* The time of a call in microseconds, in a sequence of calls or of calls that are each waited for. */
static double measure(void (*call)(), int calls, bool is_awaited = false) {
    auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < calls; i++) {
        call();
        if (is_awaited) NEED(hipStreamSynchronize(stream));
    }
    NEED(hipStreamSynchronize(stream));
    std::chrono::duration<double, std::micro> time = std::chrono::steady_clock::now() - begin;
    return time.count() / calls;
}

static const struct {
    const char *name;
    void (*call)();
    bool is_awaited;
} MEASURED[] = {
    {"products", product, false},
    {"solves", small_solve, false},
    {"larger-solves", larger_solve, false},
    {"awaited-products", product, true},
    {"awaited-solves", small_solve, true},
    {"awaited-larger-solves", larger_solve, true},
};
enum { COUNT = sizeof MEASURED / sizeof *MEASURED };

int main(int argc, char **argv) {
    if (argc < 5) return 2;
    int rounds = atoi(argv[2]), calls = atoi(argv[3]), kinds = argc - 4;
    NEED(hipStreamCreateWithFlags(&stream, NON_BLOCKING));
    need(rocblas_create_handle(&handle), "rocblas_create_handle");
    need(rocblas_set_stream(handle, stream), "rocblas_set_stream");
    matrix = zeros(2l * ROWS * ROWS), vector = zeros(2 * ROWS), result = zeros(2 * ROWS);
    float *memory = (float *)zeros(4l * 2 * LARGER * LARGER * BATCH), *pointers[2 * BATCH];
    for (int i = 0; i < 2 * BATCH; i++) pointers[i] = memory + i * LARGER * LARGER;
    triangles = (float **)zeros(sizeof pointers);
    NEED(hipMemcpyAsync(triangles, pointers, sizeof pointers, TO_DEVICE, stream));
    solutions = triangles + BATCH;
    measure(product, 100), measure(small_solve, 100), measure(larger_solve, 100);

    std::vector<std::vector<double>> times(COUNT * kinds);
    for (int round = 0; round < rounds; round++)
        for (int place = 0; place < kinds; place++) {
            int kind = (round + place) % kinds;
            const char *options = argv[4 + kind];
            bool is_traced = strcmp(options, "off");
            if (is_traced && rocblas_shim_trace_start(argv[1], options)) return 4;
            // The first calls of a trace create its files, and touch each page of the ring once.
            measure(product, WARM_UP), measure(small_solve, WARM_UP);
            for (int what = 0; what < COUNT; what++)
                times[what * kinds + kind].push_back(measure(MEASURED[what].call, calls, MEASURED[what].is_awaited));
            if (is_traced) rocblas_shim_trace_stop();
        }
    std::vector<std::vector<double>> ratios = times;
    for (int i = 0; i < COUNT * kinds; i++)
        for (int round = 0; round < rounds; round++) ratios[i][round] /= times[i / kinds * kinds][round];
    for (int i = 0; i < COUNT * kinds; i++) {
        std::sort(times[i].begin(), times[i].end());
        std::sort(ratios[i].begin(), ratios[i].end());
        printf("%s %s: %.3f us, %.3f us a call, %.5f\n", MEASURED[i / kinds].name, argv[4 + i % kinds],
               times[i][rounds / 2], times[i][0], ratios[i][rounds / 2]);
    }
    return hipPeekAtLastError();
}
