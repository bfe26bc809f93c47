/* Loads one library of rocBLAS functions globally, another one locally as its backend, and exits
 * with the number of the second one's references to its own functions that resolve to the first. */
#include <dlfcn.h>
#include <rocblas.h>
#include <stdio.h>

int main(int argc, char **argv) {
    void *front = dlopen(argv[1], RTLD_LAZY | RTLD_GLOBAL);
    void *backend = dlopen(argv[2], RTLD_LAZY | RTLD_LOCAL);
    if (!front || !backend) return puts(dlerror()), 99;
    __typeof(rocblas_sgemm) *gemm = (__typeof(rocblas_sgemm) *)dlsym(backend, "rocblas_sgemm");
    return gemm(0, rocblas_operation_none, rocblas_operation_none, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
}
