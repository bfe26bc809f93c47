/* Opens the shim, calls, closes it, calls again by a kept pointer, and opens it again. */
#include <dlfcn.h>
#include <rocblas.h>
#include <stdio.h>

int main(void) {
    __typeof(rocblas_sscal) *scal[2];
    __typeof(rocblas_set_stream) *print_environment = 0;
    for (int round = 0; round < 2; round++) {
        void *shim = dlopen("librocblas.so.5", RTLD_NOW);
        if (!shim) return puts(dlerror()), 2;
        scal[round] = (__typeof(rocblas_sscal) *)dlsym(shim, "rocblas_sscal");
        print_environment = (__typeof(rocblas_set_stream) *)dlsym(shim, "rocblas_set_stream");
        printf("open=%d\n", scal[round](0, 0, 0, 0, 0));
        dlclose(shim);
        printf("closed=%d\n", scal[round](0, 0, 0, 0, 0));
        print_environment(0, 0); /* through the getenv that the shim bound */
    }
    printf("same=%d\n", scal[0] == scal[1]);
    return 0;
}
