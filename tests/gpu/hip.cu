/* HIP's functions implemented with CUDA: those that the shim, `installer selftest` and the clients in this
 * directory call. Streams, events, graphs, memory and errors are CUDA's own; HIP's numbers for errors, copies
 * and capture are the same.
 *
 *   GPU_TARGETS   the targets of the devices, in order: `gfx906,gfx1100`. If there are more targets than GPUs, a
 *                 GPU represents several devices.
 *
 * Built with the places in hipDeviceProp_tR0600: PROPERTIES (its size), NAME_END, TARGET_AT and TARGET_END. */
#include <cuda.h>
#include <cuda_runtime.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static thread_local int current;

static int gpus() {
    static int count = [] {
        int n = 0;
        return cudaGetDeviceCount(&n) == cudaSuccess ? n : 0;
    }();
    return count;
}

static const char *targets() {
    const char *names = getenv("GPU_TARGETS");
    return names && *names ? names : "gfx906";
}

static int devices() {
    int count = 1;
    for (const char *at = targets(); *at; at++) count += *at == ',';
    return gpus() == 0 ? 0 : count > gpus() ? count : gpus();
}

/* The name of a device in `text`; the last name applies to all further devices. */
static void target(int device, char *text, size_t size) {
    const char *at = targets();
    while (device-- > 0 && strchr(at, ',')) at = strchr(at, ',') + 1;
    snprintf(text, size, "%.*s", (int)strcspn(at, ","), at);
}

extern "C" {

cudaError_t hipGetDeviceCount(int *count) {
    *count = devices();
    return *count ? cudaSuccess : cudaErrorNoDevice;
}

cudaError_t hipSetDevice(int device) {
    if (device < 0 || device >= devices()) return cudaErrorInvalidDevice;
    current = device;
    return cudaSetDevice(device % gpus());
}

cudaError_t hipGetDevice(int *device) {
    *device = current;
    return cudaSuccess;
}

cudaError_t hipDeviceGetName(char *name, int size, int device) {
    cudaDeviceProp properties;
    cudaError_t error = cudaGetDeviceProperties(&properties, device % gpus());
    if (error == cudaSuccess) snprintf(name, size, "%s", properties.name);
    return error;
}

cudaError_t hipGetDevicePropertiesR0600(char *properties, int device) {
    if (device < 0 || device >= devices()) return cudaErrorInvalidDevice;
    memset(properties, 0, PROPERTIES);
    target(device, properties + TARGET_AT, TARGET_END - TARGET_AT);
    return hipDeviceGetName(properties, NAME_END, device);
}

cudaError_t hipDeviceGetPCIBusId(char *address, int size, int device) {
    if (device < 0 || device >= devices()) return cudaErrorInvalidDevice;
    return cudaDeviceGetPCIBusId(address, size, device % gpus());
}

#define SAME(name, parameters, arguments) \
    cudaError_t hip##name parameters { return cuda##name arguments; }

SAME(DeviceSynchronize, (void), ())
SAME(GetLastError, (void), ())
SAME(PeekAtLastError, (void), ())
const char *hipGetErrorName(cudaError_t error) { return cudaGetErrorName(error); }
const char *hipGetErrorString(cudaError_t error) { return cudaGetErrorString(error); }

SAME(Malloc, (void **place, size_t size), (place, size))
SAME(Free, (void *memory), (memory))
SAME(Memcpy, (void *to, const void *from, size_t size, cudaMemcpyKind kind), (to, from, size, kind))
SAME(MemcpyAsync, (void *to, const void *from, size_t size, cudaMemcpyKind kind, cudaStream_t stream),
     (to, from, size, kind, stream))
SAME(Memcpy2D, (void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                cudaMemcpyKind kind),
     (to, to_pitch, from, from_pitch, width, height, kind))
SAME(Memcpy2DAsync, (void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                     size_t height, cudaMemcpyKind kind, cudaStream_t stream),
     (to, to_pitch, from, from_pitch, width, height, kind, stream))
SAME(MemsetAsync, (void *memory, int value, size_t size, cudaStream_t stream), (memory, value, size, stream))

cudaError_t hipHostMalloc(void **place, size_t size, unsigned flags) {
    return cudaHostAlloc(place, size, flags);
}
cudaError_t hipHostFree(void *memory) { return cudaFreeHost(memory); }

SAME(StreamCreateWithFlags, (cudaStream_t * stream, unsigned flags), (stream, flags))
SAME(StreamDestroy, (cudaStream_t stream), (stream))
/* Of CUDA's driver, which the runtime has loaded. */
cudaError_t hipStreamWriteValue64(cudaStream_t stream, void *to, uint64_t value, unsigned) {
    using Write = CUresult(CUstream, CUdeviceptr, cuuint64_t, unsigned);
    static auto write = (Write *)dlsym(dlopen("libcuda.so.1", RTLD_NOW), "cuStreamWriteValue64_v2");
    if (!write) return cudaErrorNotSupported;
    return write(stream, (CUdeviceptr)to, value, CU_STREAM_WRITE_VALUE_DEFAULT) == CUDA_SUCCESS ? cudaSuccess
                                                                                                : cudaErrorNotSupported;
}

SAME(StreamSynchronize, (cudaStream_t stream), (stream))
SAME(StreamIsCapturing, (cudaStream_t stream, cudaStreamCaptureStatus *status), (stream, status))
SAME(StreamBeginCapture, (cudaStream_t stream, cudaStreamCaptureMode mode), (stream, mode))
SAME(StreamEndCapture, (cudaStream_t stream, cudaGraph_t *graph), (stream, graph))

cudaError_t hipGraphInstantiate(cudaGraphExec_t *exec, cudaGraph_t graph, void *, void *, size_t) {
    return cudaGraphInstantiate(exec, graph, 0);
}
SAME(GraphGetNodes, (cudaGraph_t graph, cudaGraphNode_t *nodes, size_t *count), (graph, nodes, count))
SAME(GraphLaunch, (cudaGraphExec_t exec, cudaStream_t stream), (exec, stream))
SAME(GraphExecDestroy, (cudaGraphExec_t exec), (exec))
SAME(GraphDestroy, (cudaGraph_t graph), (graph))

SAME(ThreadExchangeStreamCaptureMode, (cudaStreamCaptureMode * mode), (mode))

cudaError_t hipEventCreate(cudaEvent_t *event) { return cudaEventCreate(event); }
SAME(EventCreateWithFlags, (cudaEvent_t * event, unsigned flags), (event, flags))
SAME(EventDestroy, (cudaEvent_t event), (event))
SAME(EventRecord, (cudaEvent_t event, cudaStream_t stream), (event, stream))
SAME(EventQuery, (cudaEvent_t event), (event))
SAME(EventSynchronize, (cudaEvent_t event), (event))
SAME(EventElapsedTime, (float *milliseconds, cudaEvent_t start, cudaEvent_t end), (milliseconds, start, end))
}
