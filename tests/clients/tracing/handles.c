/* Handles that are older than the trace, each first used in a call with or without scalars.
 *
 * handles DIRECTORY */
#include <rocblas.h>
#include <rocblas_shim.h>

enum { HANDLES = 5 };

int main(int argc, char **argv) {
    rocblas_handle handles[HANDLES];
    float x = 1, y = 2, alpha = 3;
    for (int i = 0; i < HANDLES; i++) {
        if (rocblas_create_handle(&handles[i])) return 1;
        rocblas_set_stream(handles[i], (hipStream_t)(0x500L + i));
    }
    if (rocblas_shim_trace_start(argv[1], "")) return 1;
    for (int n = 0; n < 2 * HANDLES; n++) {
        rocblas_handle handle = handles[n % HANDLES];
        if (n % 2)
            rocblas_sscal(handle, n, &alpha, &x, 0);
        else
            rocblas_scopy(handle, n, &x, 0, &y, 0);
    }
    return 0;
}
