/* Computes on several devices at the same time, each thread with its own handle and stream, and compares every
 * result with the expected one. All entries are small integers, so that results are exact in any order of
 * summation.
 *
 *   streams DEVICES THREADS ROUNDS
 *
 * prints for each device `device D: C calls, W wrong, S other statuses, G nodes, backend NAME`, where G is the number of
 * nodes in the graphs of captured calls. */
#include "rocblas.h"
#include "rocblas_shim.h"
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unistd.h>
#include <vector>

extern "C" {
int hipSetDevice(int);
int hipMalloc(void **, size_t);
int hipFree(void *);
int hipHostMalloc(void **, size_t, unsigned);
int hipHostFree(void *);
int hipMemcpyAsync(void *, const void *, size_t, int kind, hipStream_t);
int hipMemsetAsync(void *, int, size_t, hipStream_t);
int hipStreamCreateWithFlags(hipStream_t *, unsigned);
int hipStreamDestroy(hipStream_t);
int hipStreamSynchronize(hipStream_t);
int hipStreamBeginCapture(hipStream_t, int mode);
int hipStreamEndCapture(hipStream_t, void **graph);
int hipGraphGetNodes(void *graph, void **nodes, size_t *count);
int hipGraphInstantiate(void **exec, void *graph, void *, void *, size_t);
int hipGraphLaunch(void *exec, hipStream_t);
int hipGraphExecDestroy(void *exec);
int hipGraphDestroy(void *graph);
}

enum { TO_DEVICE = 1, TO_HOST = 2, NON_BLOCKING = 1, RELAXED = 2 };
enum { N = 96, BATCH = 3, REPLAYS = 10 };

static void need(int error, const char *what) {
    if (error) {
        fprintf(stderr, "%s: error %d\n", what, error);
        _exit(3);
    }
}
#define NEED(call) need(call, #call)

/* Freeing memory and handles waits for the whole GPU, which may represent both devices, and this invalidates a
 * capture on any of its streams. */
static std::shared_mutex captures;
static std::unique_lock<std::shared_mutex> without_captures() {
    return std::unique_lock<std::shared_mutex>(captures);
}

struct Counts {
    std::atomic<long> calls{0}, wrong{0}, statuses{0}, nodes{0};
    std::atomic<const char *> backend{""};
};

/* Device memory, and the same amount of host memory for asynchronous copies. */
template <class T> struct Both {
    T *there = nullptr, *here = nullptr;
    size_t count;
    explicit Both(size_t count) : count(count) {
        auto lock = without_captures();
        NEED(hipMalloc((void **)&there, count * sizeof(T)));
        NEED(hipHostMalloc((void **)&here, count * sizeof(T), 0));
    }
    ~Both() {
        auto lock = without_captures();
        hipFree(there);
        hipHostFree(here);
    }
    Both(const Both &) = delete;
    void up(hipStream_t stream) { NEED(hipMemcpyAsync(there, here, count * sizeof(T), TO_DEVICE, stream)); }
    void down(hipStream_t stream) { NEED(hipMemcpyAsync(here, there, count * sizeof(T), TO_HOST, stream)); }
};

static float entry(unsigned seed, unsigned at) { return (float)((at * 2654435761u + seed * 40503u) >> 13 & 7) - 3; }

/* A half that is a small integer. */
static rocblas_half half(float value) {
    rocblas_half bits = {0};
    if (value != 0) {
        int exponent;
        float fraction = std::frexp(std::fabs(value), &exponent);
        bits.data = (uint16_t)((value < 0) << 15 | (exponent + 14) << 10 | (int)(fraction * 2048) - 1024);
    }
    return bits;
}

static void count(Counts &counts, rocblas_status status) {
    counts.calls++;
    counts.statuses += status != rocblas_status_success;
}

/* C = A B by sgemm, by gemm_ex from halves, and a batch of them. */
static void products(rocblas_handle handle, hipStream_t stream, unsigned seed, Counts &counts) {
    const float one = 1, zero = 0;
    Both<float> a(N * N), b(N * N), c(N * N), d(N * N), e(N * N * BATCH);
    Both<rocblas_half> ha(N * N), hb(N * N);
    for (unsigned i = 0; i < N * N; i++) {
        ha.here[i] = half(a.here[i] = entry(seed, i));
        hb.here[i] = half(b.here[i] = entry(seed + 1, i));
    }
    a.up(stream), b.up(stream), ha.up(stream), hb.up(stream);
    const rocblas_operation none = rocblas_operation_none;
    count(counts, rocblas_sgemm(handle, none, none, N, N, N, &one, a.there, N, b.there, N, &zero, c.there, N));
    count(counts, rocblas_gemm_ex(handle, none, none, N, N, N, &one, ha.there, rocblas_datatype_f16_r, N,
                                  hb.there, rocblas_datatype_f16_r, N, &zero, d.there, rocblas_datatype_f32_r, N,
                                  d.there, rocblas_datatype_f32_r, N, rocblas_datatype_f32_r,
                                  rocblas_gemm_algo_standard, 0, 0));
    count(counts, rocblas_gemm_strided_batched_ex(
                      handle, none, none, N, N, N, &one, a.there, rocblas_datatype_f32_r, N, 0, b.there,
                      rocblas_datatype_f32_r, N, 0, &zero, e.there, rocblas_datatype_f32_r, N, N * N, e.there,
                      rocblas_datatype_f32_r, N, N * N, BATCH, rocblas_datatype_f32_r,
                      rocblas_gemm_algo_standard, 0, 0));
    c.down(stream), d.down(stream), e.down(stream);
    NEED(hipStreamSynchronize(stream));
    for (int column = 0; column < N; column++)
        for (int row = 0; row < N; row++) {
            float sum = 0;
            for (int i = 0; i < N; i++) sum += a.here[i * N + row] * b.here[column * N + i];
            int at = column * N + row;
            counts.wrong += c.here[at] != sum;
            counts.wrong += d.here[at] != sum;
            for (int k = 0; k < BATCH; k++) counts.wrong += e.here[k * N * N + at] != sum;
        }
}

/* X A = B with ones on A's diagonal and next to it, so that A's inverse consists of 1 and -1. */
static void systems(rocblas_handle handle, hipStream_t stream, unsigned seed, Counts &counts) {
    const float one = 1;
    Both<float> a(N * N), x(N * N * BATCH);
    Both<float *> as(BATCH), xs(BATCH);
    for (int i = 0; i < N * N; i++) a.here[i] = i / N == i % N || i / N == i % N + 1;
    for (int k = 0; k < BATCH; k++) {
        as.here[k] = a.there, xs.here[k] = x.there + k * N * N;
        for (int column = 0; column < N; column++)
            for (int row = 0; row < N; row++) {
                float before = column ? entry(seed + k, (column - 1) * N + row) : 0;
                x.here[k * N * N + column * N + row] = entry(seed + k, column * N + row) + before;
            }
    }
    a.up(stream), x.up(stream), as.up(stream), xs.up(stream);
    count(counts, rocblas_strsm_batched(handle, rocblas_side_right, rocblas_fill_upper, rocblas_operation_none,
                                        rocblas_diagonal_non_unit, N, N, &one, as.there, N, xs.there, N, BATCH));
    x.down(stream);
    NEED(hipStreamSynchronize(stream));
    for (int k = 0; k < BATCH; k++)
        for (unsigned i = 0; i < N * N; i++) counts.wrong += x.here[k * N * N + i] != entry(seed + k, i);
}

/* C = A B + C, captured twice into a graph that is then launched a few times. */
static void graph(rocblas_handle handle, hipStream_t stream, unsigned seed, Counts &counts) {
    const float one = 1;
    Both<float> a(N * N), b(N * N), c(N * N);
    for (unsigned i = 0; i < N * N; i++) a.here[i] = entry(seed, i), b.here[i] = entry(seed + 1, i);
    a.up(stream), b.up(stream);
    NEED(hipMemsetAsync(c.there, 0, N * N * sizeof(float), stream));
    NEED(hipStreamSynchronize(stream));
    void *graph, *exec;
    size_t nodes = 0;
    std::shared_lock<std::shared_mutex> capturing(captures);
    NEED(hipStreamBeginCapture(stream, RELAXED));
    for (int i = 0; i < 2; i++)
        count(counts, rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, N, N, N, &one, a.there,
                                    N, b.there, N, &one, c.there, N));
    NEED(hipStreamEndCapture(stream, &graph));
    capturing.unlock();
    NEED(hipGraphGetNodes(graph, nullptr, &nodes));
    counts.nodes += (long)nodes;
    NEED(hipGraphInstantiate(&exec, graph, nullptr, nullptr, 0));
    for (int i = 0; i < REPLAYS; i++) NEED(hipGraphLaunch(exec, stream));
    c.down(stream);
    NEED(hipStreamSynchronize(stream));
    NEED(hipGraphExecDestroy(exec));
    NEED(hipGraphDestroy(graph));
    for (int column = 0; column < N; column++)
        for (int row = 0; row < N; row++) {
            float sum = 0;
            for (int i = 0; i < N; i++) sum += a.here[i * N + row] * b.here[column * N + i];
            counts.wrong += c.here[column * N + row] != 2 * REPLAYS * sum;
        }
}

static void work(int device, unsigned seed, int rounds, Counts &counts) {
    NEED(hipSetDevice(device));
    hipStream_t stream;
    NEED(hipStreamCreateWithFlags(&stream, NON_BLOCKING));
    for (int round = 0; round < rounds; round++) {
        rocblas_handle handle;
        auto lock = without_captures();
        need(rocblas_create_handle(&handle), "rocblas_create_handle");
        lock.unlock();
        need(rocblas_set_stream(handle, stream), "rocblas_set_stream");
        counts.backend = rocblas_shim_backend_of(handle);
        products(handle, stream, seed + round, counts);
        systems(handle, stream, seed + round, counts);
        graph(handle, stream, seed + round, counts);
        lock.lock();
        need(rocblas_destroy_handle(handle), "rocblas_destroy_handle");
    }
    NEED(hipStreamDestroy(stream));
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    int devices = atoi(argv[1]), threads = atoi(argv[2]), rounds = atoi(argv[3]);
    std::vector<Counts> counts(devices);
    std::vector<std::thread> all;
    for (int i = 0; i < devices * threads; i++)
        all.emplace_back(work, i % devices, 1000u * i, rounds, std::ref(counts[i % devices]));
    for (auto &thread : all) thread.join();
    for (int d = 0; d < devices; d++)
        printf("device %d: %ld calls, %ld wrong, %ld other statuses, %ld nodes, backend %s\n", d,
               counts[d].calls.load(), counts[d].wrong.load(), counts[d].statuses.load(),
               counts[d].nodes.load(), counts[d].backend.load());
    return 0;
}
