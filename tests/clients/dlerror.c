/* Prints whether the loader's error of this thread is set: after the shim has been loaded, and after
 * the first call. */
#include <dlfcn.h>
#include <rocblas.h>
#include <stdio.h>
#include <stdlib.h>

static void print(const char *when) {
    const char *error = dlerror();
    printf("%s: %s\n", when, error ? error : "no error");
}

int main(void) {
    print("loaded");
    const char *later = getenv("BACKEND_LATER");
    if (later) setenv("ROCBLAS_SHIM_BACKEND", later, 1);
    rocblas_handle handle;
    rocblas_create_handle(&handle);
    print("called");
    return 0;
}
