/* Shared by the clients of real libraries: prints each call's name and status to stdout, and writes its name to
 * the recording runtime's log before the call's own entries. */
#pragma once
#include <stdio.h>
#include <stdlib.h>

int hipMalloc(void **memory, size_t size);
int hipFree(void *memory);
int hipStreamCreate(void **stream);

static void call_begins(const char *name) {
    const char *path = getenv("RECORDING_HIP_LOG");
    FILE *log = path ? fopen(path, "a") : 0;
    if (!log) return;
    fprintf(log, "call %s\n", name);
    fclose(log);
}

/* CALL(label, f(...)): calls and prints `label: STATUS`. */
#define CALL(label, call)                          \
    do {                                           \
        call_begins(label);                        \
        int status_ = (int)(call);                 \
        printf("%s: %d\n", label, status_);        \
    } while (0)

/* Device memory, which is only reserved until it is used. */
static inline void *device(size_t bytes) {
    void *memory = 0;
    if (hipMalloc(&memory, bytes)) abort();
    return memory;
}

/* An array in device memory with pointers to `count` blocks of device memory. The recording runtime's
 * device memory is host memory. */
static inline void **batch(size_t count, size_t bytes) {
    void **pointers = device(count * sizeof *pointers);
    for (size_t i = 0; i < count; i++) pointers[i] = device(bytes);
    return pointers;
}
