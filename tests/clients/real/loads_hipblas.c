/* The minimal client of hipBLAS. */
#include <stdio.h>

int hipblasCreate(void **handle);
int hipblasDestroy(void *handle);

int main(void) {
    void *handle = 0;
    printf("hipblasCreate=%d\n", hipblasCreate(&handle));
    printf("hipblasDestroy=%d\n", hipblasDestroy(handle));
    return 0;
}
