/* A backend with its own HIP runtime, whose GPU is a thread: work on a stream is done later, in order, and not before
 * the program has made many calls or destroys its handle.
 * Device memory is host memory. The stream `CAPTURING` is being captured, and nothing may be enqueued on it; queries of
 * the default stream fail, as they do while another stream is being captured.
 *
 * HIP has no `hipStreamWriteValue64`, as before ROCm 5.1; with WRITES=1 it has it, with WRITES=0 it refuses to write.
 *
 * `rocblas_destroy_handle` waits for the GPU and prints the runtime's calls other than those of the program: copies,
 * allocations, calls by threads other than the program's, and HIP's last error. */
#include <rocblas.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CAPTURING = 0x100, MOST = 4096 };

static struct work {
    enum { SCALE, SCALE_BATCH, MOVE, MOVE_BATCH, WRITE } kind;
    void *to;
    const void *from;
    unsigned long value;
    size_t size, count;
    float alpha;
} queue[MOST];
static int head, tail, is_at_work;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static int copies, writes, allocations, foreign, captured;
static __thread int is_program, last_error;

static void called(void) { foreign += !is_program; }

static void *gpu(void *argument) {
    for (;;) {
        pthread_mutex_lock(&lock);
        while (head == tail || !is_at_work) pthread_cond_wait(&changed, &lock);
        struct work *work = &queue[head % MOST];
        pthread_mutex_unlock(&lock);
        usleep(100);
        float *x = work->to;
        float **xs = work->to;
        switch (work->kind) {
        case SCALE:
            for (size_t i = 0; i < work->size; i++) x[i] *= work->alpha;
            break;
        case SCALE_BATCH:
            for (size_t b = 0; b < work->count; b++)
                for (size_t i = 0; i < work->size; i++) xs[b][i] *= work->alpha;
            break;
        case WRITE: *(unsigned long *)work->to = work->value; break;
        case MOVE: memcpy(work->to, work->from, work->size); break;
        case MOVE_BATCH:
            for (size_t b = 0; b < work->count; b++)
                memcpy(xs[b], ((float **)work->from)[b], work->size * sizeof(float));
        }
        pthread_mutex_lock(&lock);
        head++;
        pthread_cond_broadcast(&changed);
        pthread_mutex_unlock(&lock);
    }
    return argument;
}

static void put(void *stream, struct work work) {
    captured += (size_t)stream == CAPTURING;
    pthread_mutex_lock(&lock);
    queue[tail++ % MOST] = work;
    is_at_work |= tail > 20;
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

rocblas_status rocblas_create_handle(rocblas_handle *handle) {
    pthread_t thread;
    is_program = 1;
    *handle = calloc(1, 64);
    return pthread_create(&thread, 0, gpu, 0) ? rocblas_status_internal_error : rocblas_status_success;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
    pthread_mutex_lock(&lock);
    is_at_work = 1;
    pthread_cond_broadcast(&changed);
    while (head != tail) pthread_cond_wait(&changed, &lock);
    pthread_mutex_unlock(&lock);
    printf("copies %d, writes %d, allocations %d, foreign %d, captured %d, error %d\n", copies, writes, allocations,
           foreign, captured, last_error);
    free(handle);
    return rocblas_status_success;
}

static void *stream_of(rocblas_handle handle) { return *(void **)handle; }

rocblas_status rocblas_set_stream(rocblas_handle handle, hipStream_t stream) {
    *(hipStream_t *)handle = stream;
    return rocblas_status_success;
}

rocblas_status rocblas_get_stream(rocblas_handle handle, hipStream_t *stream) {
    *stream = *(hipStream_t *)handle;
    return rocblas_status_success;
}

rocblas_status rocblas_get_pointer_mode(rocblas_handle handle, rocblas_pointer_mode *mode) {
    *mode = rocblas_pointer_mode_host;
    return rocblas_status_success;
}

rocblas_status rocblas_sscal(rocblas_handle handle, rocblas_int n, const float *alpha, float *x, rocblas_int incx) {
    if ((size_t)stream_of(handle) != CAPTURING)
        put(stream_of(handle), (struct work){.kind = SCALE, .to = x, .size = (size_t)n, .alpha = *alpha});
    return rocblas_status_success;
}

rocblas_status rocblas_sscal_batched(rocblas_handle handle, rocblas_int n, const float *alpha, float *const x[],
                                     rocblas_int incx, rocblas_int batch_count) {
    put(stream_of(handle), (struct work){.kind = SCALE_BATCH, .to = (void *)x, .size = (size_t)n,
                                         .count = (size_t)batch_count, .alpha = *alpha});
    return rocblas_status_success;
}

rocblas_status rocblas_scopy_batched(rocblas_handle handle, rocblas_int n, const float *const x[], rocblas_int incx,
                                     float *const y[], rocblas_int incy, rocblas_int batch_count) {
    copies++;
    put(stream_of(handle), (struct work){.kind = MOVE_BATCH, .to = (void *)y, .from = x, .size = (size_t)n,
                                         .count = (size_t)batch_count});
    return rocblas_status_success;
}

int hipMemcpy(void *to, const void *from, size_t size, int kind) { return 1; }
int hipMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height, int kind) {
    return 1;
}

int hipMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
    called();
    copies++;
    put(stream, (struct work){.kind = MOVE, .to = to, .from = from, .size = size});
    return 0;
}

int hipMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                     int kind, void *stream) {
    called();
    for (size_t i = 0; i < height; i++)
        put(stream, (struct work){.kind = MOVE, .to = (char *)to + i * to_pitch, .from = (char *)from + i * from_pitch,
                                  .size = width});
    return 0;
}

#ifdef WRITES
int hipStreamWriteValue64(void *stream, void *to, unsigned long value, unsigned flags) {
    called();
    if (!WRITES) return last_error = 801;
    writes++;
    put(stream, (struct work){.kind = WRITE, .to = to, .value = value});
    return 0;
}
#endif

int hipMalloc(void **memory, size_t size) {
    called();
    allocations++;
    *memory = calloc(1, size);
    return 0;
}

int hipHostMalloc(void **memory, size_t size, unsigned flags) {
    called();
    allocations++;
    *memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096);
    return 0;
}

int hipHostFree(void *memory) {
    called();
    free(memory);
    return 0;
}

int hipStreamIsCapturing(void *stream, int *status) {
    called();
    *status = (size_t)stream == CAPTURING;
    return stream ? 0 : (last_error = 906);
}

int hipPeekAtLastError(void) {
    called();
    return last_error;
}

int hipGetLastError(void) {
    called();
    int error = last_error;
    last_error = 0;
    return error;
}

int hipStreamSynchronize(void *stream) {
    called();
    return 0;
}

int hipGetDevice(int *device) {
    *device = 0;
    return 0;
}
int hipGetDevicePropertiesR0600(char *properties, int device) { return 1; }
