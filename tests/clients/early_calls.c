/* Calls before main: from preinit_array, before any library is initialised and before libc has set up the
 * environment, and from a constructor. Also calls after main, from a destructor. */
#include <rocblas.h>
#include <stdio.h>
#include <unistd.h>

static int from_preinit, from_constructor;

static void preinit(void) { from_preinit = rocblas_sscal(0, 0, 0, 0, 0); }
__attribute__((section(".preinit_array"), used)) static void (*at_preinit)(void) = preinit;

__attribute__((constructor)) static void construct(void) {
    from_constructor = rocblas_sscal(0, 0, 0, 0, 0);
}

__attribute__((destructor)) static void destruct(void) {
    printf("destructor=%d\n", rocblas_sscal(0, 0, 0, 0, 0));
}

int main(void) {
    printf("preinit=%d\nconstructor=%d\n", from_preinit, from_constructor);
    return 0;
}
