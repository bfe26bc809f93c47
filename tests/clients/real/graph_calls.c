/* A graph as llama.cpp makes one: calls on a stream, the same again while it captures in the strictest mode,
 * and two launches. The calls before the capture make rocBLAS load its kernels and get its workspace. Each
 * line ends with the status of HIP or hipBLAS. */
#include "calls.h"
#include "hipblas.h"

int hipStreamBeginCapture(void *stream, int mode);
int hipStreamEndCapture(void *stream, void **graph);
int hipGraphInstantiate(void **executable, void *graph, void **node, char *log, size_t size);
int hipGraphLaunch(void *executable, void *stream);
int hipGraphExecDestroy(void *executable);
int hipGraphDestroy(void *graph);
int hipStreamSynchronize(void *stream);

enum { GLOBAL = 0, N = 64, PROBLEMS = 4 };

static const float one = 1, zero = 0, two = 2;
static void *a, *b, *c, **as, **bs, **cs;

static void work(hipblas_handle handle) {
    CALL("Sgemm", hipblasSgemm(handle, OP_T, OP_N, N, N, N, &one, a, N, b, N, &zero, c, N));
    CALL("GemmEx", hipblasGemmEx(handle, OP_T, OP_N, N, N, N, &one, a, R_16F, N, b, R_16F, N, &zero,
                                 c, R_32F, N, COMPUTE_32F, GEMM_DEFAULT));
    CALL("GemmBatchedEx",
         hipblasGemmBatchedEx(handle, OP_T, OP_N, N, N, N, &one, as, R_16F, N, bs, R_16F, N, &zero, cs,
                              R_32F, N, PROBLEMS, COMPUTE_32F, GEMM_DEFAULT));
    CALL("GemmStridedBatchedEx",
         hipblasGemmStridedBatchedEx(handle, OP_T, OP_N, N, N, N, &one, a, R_16F, N, N * N, b, R_16F,
                                     N, N * N, &zero, c, R_32F, N, N * N, PROBLEMS, COMPUTE_32F,
                                     GEMM_DEFAULT));
    CALL("StrsmBatched", hipblasStrsmBatched(handle, RIGHT, UPPER, OP_N, NON_UNIT, N, N, &one, as, N, bs,
                                             N, PROBLEMS));
    CALL("ScalEx", hipblasScalEx(handle, N, &two, R_32F, c, R_32F, 1, R_32F));
}

int main(void) {
    hipblas_handle handle = 0;
    void *stream = 0, *graph = 0, *executable = 0;
    const size_t bytes = (size_t)N * N * PROBLEMS * sizeof(float);
    a = device(bytes), b = device(bytes), c = device(bytes);
    as = batch(PROBLEMS, bytes), bs = batch(PROBLEMS, bytes), cs = batch(PROBLEMS, bytes);
    CALL("Create", hipblasCreate(&handle));
    CALL("hipStreamCreate", hipStreamCreate(&stream));
    CALL("SetStream", hipblasSetStream(handle, stream));
    work(handle);
    CALL("hipStreamSynchronize", hipStreamSynchronize(stream));
    CALL("hipStreamBeginCapture", hipStreamBeginCapture(stream, GLOBAL));
    work(handle);
    CALL("hipStreamEndCapture", hipStreamEndCapture(stream, &graph));
    CALL("hipGraphInstantiate", hipGraphInstantiate(&executable, graph, 0, 0, 0));
    CALL("hipGraphLaunch", hipGraphLaunch(executable, stream));
    CALL("hipGraphLaunch again", hipGraphLaunch(executable, stream));
    CALL("hipStreamSynchronize", hipStreamSynchronize(stream));
    CALL("hipGraphExecDestroy", hipGraphExecDestroy(executable));
    CALL("hipGraphDestroy", hipGraphDestroy(graph));
    /* Skipped calls are counted, and later calls are examined again. */
    work(handle);
    CALL("Destroy", hipblasDestroy(handle));
    return 0;
}
