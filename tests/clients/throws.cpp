// Catches what the backend throws through the stub: on a lazy first call, and on later ones.
#include <cstdlib>
#include <cstring>
#include <iostream>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdexcept>

int main() {
    if (const char *later = std::getenv("BACKEND_LATER")) {
        if (std::strcmp(rocblas_shim_mode(), "cold") != 0) return 2;
        setenv("ROCBLAS_SHIM_BACKEND", later, 1);
    }
    for (int i = 0; i < 3; i++) {
        try {
            rocblas_destroy_handle(nullptr);
            return 3;
        } catch (const std::runtime_error &error) {
            std::cout << i << ": " << error.what() << std::endl;
        }
    }
}
