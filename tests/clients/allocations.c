/* Counts the calls of the C library's allocator and of mmap during rocBLAS calls: this program's functions of
 * the same names interpose them.
 *
 * allocations: prints the counts for 1,000 calls of functions of 2 and of 14 parameters. SECOND_BACKEND names
 * a second backend to open, to which the handle then belongs. */
#define _GNU_SOURCE
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

static volatile int counts;
static volatile long count;

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

void *malloc(size_t size) {
    count += counts;
    return __libc_malloc(size);
}
void *calloc(size_t number, size_t size) {
    count += counts;
    return __libc_calloc(number, size);
}
void *realloc(void *memory, size_t size) {
    count += counts;
    return __libc_realloc(memory, size);
}
void *aligned_alloc(size_t alignment, size_t size) {
    count += counts;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void **memory, size_t alignment, size_t size) {
    count += counts;
    return !(*memory = __libc_memalign(alignment, size));
}
void free(void *memory) {
    count += counts;
    __libc_free(memory);
}
void *mmap(void *address, size_t length, int access, int flags, int file, off_t offset) {
    count += counts;
    return (void *)syscall(SYS_mmap, address, length, access, flags, file, offset);
}

int main(void) {
    const rocblas_handle handle = (rocblas_handle)0x1000;
    const char *second = getenv("SECOND_BACKEND");
    const int is_planted = getenv("PLANTED") != 0;
    float x, alpha = 1, beta = 2;
    if (second && rocblas_shim_backend_use(second)) return 4;
    for (int i = -10; i < 1000; i++) {
        counts = i >= 0;
        if (rocblas_set_stream(handle, 0)) return 1;
        if (rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 1, 2, 3, &alpha, &x, 5, &x, 7,
                          &beta, &x, 8))
            return 2;
        if (is_planted && i == 500) free(malloc(1));
    }
    counts = 0;
    printf("%ld\n", count);
    return 0;
}
