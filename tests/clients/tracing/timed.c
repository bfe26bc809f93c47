/* Calls `standins/c/timed.c`, the library named by BACKEND.
 *
 *   errors     prints HIP's last error after each call
 *   times N    N scalings of 1, 2, 3 ... us, the stream synchronised after every 8th
 *   captured   scalings on streams that are being captured
 *   pending    a scaling while an error is pending
 *   behind N   N scalings without a synchronisation
 *   stopped N  N scalings, then the trace is stopped before the handle is destroyed
 *
 * At the end it prints the numbers of HIP calls. */
#include <rocblas.h>
#include <rocblas_shim.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static rocblas_handle handle;
static const float alpha = 2;
static float x[4];
static int (*peek)(void), (*take)(void), (*synchronize)(void *);

static void scale(int microseconds) {
    if (rocblas_sscal(handle, microseconds, &alpha, x, 1)) exit(2);
}

static void solve(int m) {
    if (rocblas_strsm(handle, rocblas_side_left, rocblas_fill_upper, rocblas_operation_none,
                      rocblas_diagonal_non_unit, m, 4, &alpha, x, m, x, m))
        exit(3);
}

int main(int argc, char **argv) {
    int count = argc > 2 ? atoi(argv[2]) : 0;
    void *backend = dlopen(getenv("BACKEND"), RTLD_NOW);
    if (!backend) return puts(dlerror()), 4;
    peek = (int (*)(void))dlsym(backend, "hipPeekAtLastError");
    take = (int (*)(void))dlsym(backend, "hipGetLastError");
    synchronize = (int (*)(void *))dlsym(backend, "hipStreamSynchronize");
    if (rocblas_create_handle(&handle)) return 5;
    if (!strcmp(argv[1], "errors")) {
        rocblas_handle kept;
        rocblas_create_handle(&kept);
        scale(1);
        printf("%d ", peek());
        solve(16);
        printf("%d ", peek());
        scale(2);
        printf("%d ", take());
        rocblas_sasum(handle, 1, x, 1, x);
        printf("%d ", take());
        solve(64), solve(32), take(), solve(16);
        printf("%d\n", take());
    } else if (!strcmp(argv[1], "times")) {
        for (int i = 1; i <= count; i++) {
            scale(i);
            if (i % 8 == 0) synchronize(0);
        }
    } else if (!strcmp(argv[1], "captured")) {
        for (size_t stream = 0x100; stream <= 0x300; stream += 0x100) {
            rocblas_set_stream(handle, (hipStream_t)stream);
            for (int i = 1; i <= 4; i++) scale(i);
        }
        synchronize(0);
    } else if (!strcmp(argv[1], "pending")) {
        solve(16);
        scale(7);
        printf("%d\n", take());
        scale(8);
        synchronize(0);
    } else if (!strcmp(argv[1], "behind")) {
        for (int i = 1; i <= count; i++) scale(i);
    } else if (!strcmp(argv[1], "stopped")) {
        for (int i = 1; i <= count; i++) scale(i);
        synchronize(0);
        if (rocblas_shim_trace_stop()) return 6;
    }
    int error = take();
    rocblas_destroy_handle(handle);
    struct { int made, recorded, asked, taken, exchanged; } *calls = dlsym(backend, "hip_calls");
    printf("made %d, recorded %d, error %d\n", calls->made, calls->recorded, error);
    return 0;
}
