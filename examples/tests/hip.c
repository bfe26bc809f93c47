/* A HIP runtime as far as the clients use it: its memory is the host's, so that a rocBLAS on the CPU
 * can read it, but copies must go the way they say. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SUCCESS = 0, INVALID_VALUE = 1, TO_DEVICE = 1, TO_HOST = 2, MOST = 64 };

static struct { char *start; size_t size; } blocks[MOST];
static int allocated, freed;

static int is_device(const void *start, size_t size) {
    for (int i = 0; i < allocated; i++)
        if (blocks[i].start == start && blocks[i].size == size) return 1;
    return 0;
}

int hipMalloc(void **place, size_t size) {
    if (allocated == MOST) return INVALID_VALUE;
    *place = malloc(size);
    blocks[allocated].start = *place;
    blocks[allocated].size = size;
    allocated++;
    return SUCCESS;
}

int hipFree(void *place) {
    for (int i = 0; i < allocated; i++)
        if (blocks[i].start == place) {
            blocks[i].start = NULL;
            free(place);
            freed++;
            return SUCCESS;
        }
    return INVALID_VALUE;
}

int hipMemcpy(void *to, const void *from, size_t size, int kind) {
    const void *device = kind == TO_DEVICE ? to : kind == TO_HOST ? from : NULL;
    const void *host = kind == TO_DEVICE ? from : to;
    if (!is_device(device, size) || is_device(host, size)) return INVALID_VALUE;
    memcpy(to, from, size);
    return SUCCESS;
}

__attribute__((destructor)) static void report(void) {
    fprintf(stderr, "hip: %d allocated, %d freed\n", allocated, freed);
}
