/* Refers to every C function of the ABI: links only when none is undefined. ALL is the list. */
#include <rocblas.h>
#include <stdio.h>

static const void *const functions[] = {ALL};

int main(void) {
    int null = 0;
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) null += functions[i] == 0;
    printf("%zu functions, %d null\n", sizeof functions / sizeof *functions, null);
    return null != 0;
}
