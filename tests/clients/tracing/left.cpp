// Calls that are left: by an exception, and by a jump; then ordinary ones from the same frame, from one
// further down, and a call from within one.
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

int main() {
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
