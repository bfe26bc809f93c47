// Writes to std::cout, as its backend does, and frees memory that the backend allocated. As a non-PIE program
// it has a copy relocation for std::cout.
#include <cstdlib>
#include <iostream>
#include <rocblas.h>

int main() {
    rocblas_handle handle = nullptr;
    std::cout << "client: " << 7.0 << std::endl;
    int status = rocblas_create_handle(&handle);
    void *memory = nullptr;
    rocblas_device_malloc_ptr(nullptr, &memory);
    std::free(memory);
    std::cout << "status " << status << ", memory " << (memory ? "freed" : "none") << std::endl;
}
