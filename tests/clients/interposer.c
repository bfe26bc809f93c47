/* A malloc whose free accepts only its own blocks: freeing memory from another malloc ends the program. */
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

static _Alignas(64) unsigned char arena[64 << 20];
static size_t used;

void *malloc(size_t size) {
    size_t whole = (size + 16 + 63) & ~(size_t)63;
    size_t at = __atomic_fetch_add(&used, whole, __ATOMIC_RELAXED);
    if (at + whole > sizeof arena) return 0;
    *(size_t *)(arena + at) = size;
    return arena + at + 16;
}

void free(void *memory) {
    if (memory && ((unsigned char *)memory < arena || (unsigned char *)memory >= arena + used)) {
        static const char text[] = "free of memory from another malloc\n";
        _exit(write(2, text, sizeof text - 1) > 0 ? 99 : 98);
    }
}

void *calloc(size_t count, size_t size) { return malloc(count * size); }

void *realloc(void *memory, size_t size) {
    void *larger = malloc(size);
    if (memory && larger) {
        size_t old = *(size_t *)((unsigned char *)memory - 16);
        memcpy(larger, memory, old < size ? old : size);
    }
    return larger;
}

void *aligned_alloc(size_t alignment, size_t size) {
    uintptr_t memory = (uintptr_t)malloc(size + alignment);
    return (void *)((memory + alignment - 1) & ~(uintptr_t)(alignment - 1));
}

int posix_memalign(void **memory, size_t alignment, size_t size) {
    *memory = aligned_alloc(alignment, size);
    return *memory ? 0 : 12;
}
