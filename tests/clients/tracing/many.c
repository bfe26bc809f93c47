/* Calls sscal as often as is asked, with the number of the call as its dimension.
 *
 * many COUNT [MICROSECONDS between calls] */
#include <rocblas.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv) {
    float alpha = 1, x;
    for (int n = 0; n < atoi(argv[1]); n++) {
        rocblas_sscal(0, n, &alpha, &x, 1);
        if (argc > 2) usleep(atoi(argv[2]));
    }
    return 0;
}
