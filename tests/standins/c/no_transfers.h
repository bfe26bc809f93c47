/* HIP's functions that copy memory, which all fail: without them the shim does not accept a runtime. */
#include <stddef.h>

int hipMemcpy(void *to, const void *from, size_t size, int kind) { return 1; }
int hipMemcpyAsync(void *to, const void *from, size_t size, int kind, void *stream) { return 1; }
int hipMemcpy2D(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                size_t height, int kind) {
    return 1;
}
int hipMemcpy2DAsync(void *to, size_t to_pitch, const void *from, size_t from_pitch, size_t width,
                     size_t height, int kind, void *stream) {
    return 1;
}
