// A call for a debugger to stop in, at a known depth.
#include <cstdlib>
#include <rocblas.h>
#include <rocblas_shim.h>

__attribute__((noinline)) static int calls_rocblas(int n) {
    int status = rocblas_sscal(nullptr, n, nullptr, nullptr, 1);
    asm volatile("" ::: "memory");
    return status;
}

int main() {
    if (const char *later = std::getenv("BACKEND_LATER"))
        setenv("ROCBLAS_SHIM_BACKEND", later, 1);
    return calls_rocblas(41) + calls_rocblas(42) == 83 ? 0 : 1;
}
