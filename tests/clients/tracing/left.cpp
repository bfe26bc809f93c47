// Calls that are abandoned by an exception and by a jump; then ordinary ones from the same frame and from a
// deeper one, and a nested call. With an argument, many abandoned calls, then many ordinary ones.
#include <csetjmp>
#include <rocblas.h>
#include <stdexcept>

static float alpha = 1, x;

static void ordinary(int n) { rocblas_sscal(nullptr, n, &alpha, &x, 1); }

__attribute__((noinline)) static void throws() {
    volatile char room[1000];
    room[0] = 0;
    rocblas_destroy_handle(nullptr);
}

static void many() {
    void *memory;
    for (int i = 0; i < 2000; i++) {
        try {
            throws();
        } catch (const std::runtime_error &) {
        }
    }
    for (int i = 0; i < 700; i++) rocblas_device_malloc_ptr(nullptr, &memory);
}

int main(int argc, char **) {
    if (argc > 1) return many(), 0;
    ordinary(1);
    try {
        throws();
        return 1;
    } catch (const std::runtime_error &) {
    }
    ordinary(2);
    try {
        rocblas_destroy_handle(nullptr);
        return 1;
    } catch (const std::runtime_error &) {
        ordinary(3);
    }
    ordinary(4);
}
