/* What the clients of real libraries share: each call's name and status on stdout, and its name in
 * the recording runtime's log before what the call does there. */
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

/* Device memory, which takes no room until it is touched. */
static inline void *device(size_t bytes) {
    void *memory = 0;
    if (hipMalloc(&memory, bytes)) abort();
    return memory;
}

/* An array in device memory of pointers to `count` pieces of device memory. The recording runtime's
 * device memory is the host's. */
static inline void **batch(size_t count, size_t bytes) {
    void **pointers = device(count * sizeof *pointers);
    for (size_t i = 0; i < count; i++) pointers[i] = device(bytes);
    return pointers;
}
