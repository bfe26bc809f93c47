/* Its constructor calls rocBLAS after a while. */
#include <rocblas.h>
#include <unistd.h>

int plugin_answer;

__attribute__((constructor)) static void construct(void) {
    usleep(300 * 1000);
    plugin_answer = rocblas_sscal(0, 0, 0, 0, 0);
}
