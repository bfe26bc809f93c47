/* Computes once. */
#include "ggml-hip.h"

#include <stdio.h>

int main(void) {
    const int status = solve_tri();
    printf("SOLVE_TRI: %d\n", status);
    return status;
}
