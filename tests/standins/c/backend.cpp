// A rocBLAS in C++ that does what breaks if C++ libraries are loaded carelessly: it throws, writes to
// std::cout, and returns memory that its caller frees.
#include <cstdlib>
#include <iostream>
#include <rocblas.h>
#include <stdexcept>

extern "C" rocblas_status rocblas_create_handle(rocblas_handle *handle) {
    std::cout << "backend: " << 4.3 << std::endl;
    *handle = reinterpret_cast<rocblas_handle>(handle);
    return rocblas_status_success;
}

extern "C" rocblas_status rocblas_destroy_handle(rocblas_handle) {
    throw std::runtime_error("thrown by the backend");
}

extern "C" rocblas_status rocblas_device_malloc_ptr(rocblas_device_malloc_base *, void **res) {
    *res = std::malloc(100);
    return rocblas_status_success;
}

// Where a debugger stops.
extern "C" rocblas_status rocblas_sscal(rocblas_handle, rocblas_int n, const float *, float *,
                                        rocblas_int) {
    asm volatile("" ::: "memory");
    return static_cast<rocblas_status>(n);
}

extern "C" void standin_constructor_marker() { asm volatile("" ::: "memory"); }

namespace {
struct Constructed {
    Constructed() { standin_constructor_marker(); }
} constructed;
}
