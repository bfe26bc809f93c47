/* Preloaded: a rocBLAS function that the loader resolves through an IFUNC, which takes half a second. */
#include <unistd.h>

static int foreign(void) { return 55; }

static int (*resolve(void))(void) {
    usleep(500 * 1000);
    return foreign;
}

int rocblas_dscal(void) __attribute__((ifunc("resolve")));
