/* A backend, number ID, that keeps the words of each thread's latest call and counts the thread's calls, so that
 * a call that is lost, made twice or made of another backend is seen at once (`tests/src/soak`). Handles are of
 * the process's malloc: one backend's gets the address that another's had. Its HIP runtime does everything at
 * once, in the host's memory. With PLANTED it loses calls and leaves descriptors open.
 *
 * FUNCTION(INDEX, IS_STATUS, NAME) for each export that behaves as any other is in `counted.h`, which the test writes.
 * It returns what `answer` in `tests/src/soak/backends.rs` says: a status is success. */
#include <rocblas.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { REGISTERS = 6, WORDS = 30 };

/* `tests::soak::backends::Latest` */
struct latest {
    uint64_t calls, index, words[WORDS];
};

static __thread struct latest latest;

struct latest *counted_latest(void) { return &latest; }

/* `words` are the six registers, the return address, and the stack. Returns what the call returns. */
__attribute__((used)) static uint64_t keep(const uint64_t *words, uint64_t function) {
    uint64_t index = function & 0xffff, is_status = function >> 16;
#ifdef PLANTED
    static __thread int calls;
    if (++calls % 500 == 0) return 0;
#endif
    latest.calls++;
    latest.index = index;
    memcpy(latest.words, words, REGISTERS * sizeof *words);
    memcpy(latest.words + REGISTERS, words + REGISTERS + 1, (WORDS - REGISTERS) * sizeof *words);
    uint64_t answer = (index + 1) * 0x9e3779b97f4a7c15 | 1;
    return is_status ? answer >> 32 << 32 : answer;
}

#define FUNCTION(index, is_status, name)                  \
    ".globl " #name "\n.type " #name ", @function\n" #name \
    ": mov $" #is_status " * 0x10000 + " #index ", %r11d\njmp counted_record\n"

__asm__(".text\n"
#include "counted.h"
        /* The stack is aligned by seven words: six and the return address are odd. */
        "counted_record:\n"
        "push %r9\npush %r8\npush %rcx\npush %rdx\npush %rsi\npush %rdi\n"
        "mov %rsp, %rdi\n"
        "mov %r11d, %esi\n"
        "sub $8, %rsp\n"
        "call keep\n"
        "add $56, %rsp\n"
        "ret\n");

struct _rocblas_handle {
    int owner;
    /* As large as a real one. */
    char rest[500];
};

rocblas_status rocblas_create_handle(rocblas_handle *handle) {
    *handle = malloc(sizeof **handle);
    if (!*handle) return rocblas_status_memory_error;
    (*handle)->owner = ID;
    return rocblas_status_success;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
    if (handle->owner != ID) return rocblas_status_invalid_handle;
    handle->owner = 0;
#ifdef PLANTED
    dup(1);
#endif
    free(handle);
    return rocblas_status_success;
}

rocblas_status rocblas_get_pointer_mode(rocblas_handle handle, rocblas_pointer_mode *mode) {
    *mode = rocblas_pointer_mode_host;
    return rocblas_status_success;
}

rocblas_status rocblas_get_atomics_mode(rocblas_handle handle, rocblas_atomics_mode *mode) {
    *mode = rocblas_atomics_not_allowed;
    return rocblas_status_success;
}

rocblas_status rocblas_get_stream(rocblas_handle handle, hipStream_t *stream) {
    *stream = 0;
    return rocblas_status_success;
}

rocblas_status rocblas_get_version_string(char *buffer, size_t size) {
    snprintf(buffer, size, "4.3.0.%d", ID);
    return rocblas_status_success;
}

rocblas_status rocblas_get_version_string_size(size_t *size) {
    *size = sizeof "4.3.0.0";
    return rocblas_status_success;
}

/* By which the shim gathers the outputs of a batched call. */
rocblas_status rocblas_scopy_batched(rocblas_handle handle, rocblas_int n, const float *const x[], rocblas_int incx,
                                     float *const y[], rocblas_int incy, rocblas_int batch_count) {
    for (rocblas_int b = 0; b < batch_count; b++)
        for (rocblas_int i = 0; i < n; i++) y[b][(long)i * incy] = x[b][(long)i * incx];
    return rocblas_status_success;
}

static void copy(char *to, size_t to_pitch, const char *from, size_t from_pitch, size_t width, size_t height) {
    for (size_t i = 0; i < height; i++) memcpy(to + i * to_pitch, from + i * from_pitch, width);
}

int hipMemcpy(void *to, const void *from, size_t size, int kind) {
    copy(to, 0, from, 0, size, 1);
    return 0;
}
int hipMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) {
    return hipMemcpy(to, from, size, kind);
}
int hipMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width, size_t height,
                int kind) {
    copy(to, to_pitch, from, from_pitch, width, height);
    return 0;
}
int hipMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                     size_t height, int kind, void *stream) {
    return hipMemcpy2D(to, to_pitch, from, from_pitch, width, height, kind);
}
int hipMalloc(void **memory, size_t size) { return !(*memory = calloc(1, size)); }
int hipHostMalloc(void **memory, size_t size, unsigned flags) {
    return !(*memory = aligned_alloc(4096, (size + 4095) / 4096 * 4096));
}
int hipHostFree(void *memory) {
    free(memory);
    return 0;
}
int hipStreamSynchronize(void *stream) { return 0; }
int hipStreamIsCapturing(void *stream, int *status) { return *status = 0; }
int hipPeekAtLastError(void) { return 0; }
int hipGetLastError(void) { return 0; }
int hipGetDevice(int *device) { return *device = 0; }
int hipGetDevicePropertiesR0600(char *properties, int device) { return 1; }
int hipEventCreate(void **event) { return !(*event = malloc(1)); }
int hipEventDestroy(void *event) {
    free(event);
    return 0;
}
int hipEventRecord(void *event, void *stream) { return 0; }
int hipEventElapsedTime(float *milliseconds, void *start, void *end) {
    *milliseconds = 0.001f;
    return 0;
}
