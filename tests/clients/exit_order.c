/* A handle that lives as long as the program: created in main, destroyed at exit by a function that
 * a constructor has registered, like the destructor of a static object. */
#include <rocblas.h>
#include <stdio.h>
#include <stdlib.h>

static rocblas_handle handle;

static void destroy(void) { printf("destroy=%d\n", rocblas_destroy_handle(handle)); }

__attribute__((constructor)) static void construct(void) { atexit(destroy); }

int main(void) {
    printf("create=%d\n", rocblas_create_handle(&handle));
    return 0;
}
