/* peers LIBRARY WAY COUNT [BLAS]: calls a function of 14 parameters COUNT times, 13 for libblastrampoline, and
 * prints nanoseconds of processor time per call. The ways:
 *   direct      LIBRARY's function
 *   dlsym       LIBRARY's function, looked up by dlsym in each call
 *   routed      LIBRARY is the shim, and a second backend is open
 *   traced      LIBRARY is the shim, and each call is recorded into a ring
 *   lbt         LIBRARY is libblastrampoline, which forwards to BLAS
 *   blas        BLAS's function, as libblastrampoline calls it */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef int sgemm(void *, int, int, int, int, int, const float *, const void *, int, const void *, int,
                  const float *, void *, int);
typedef void fortran(const char *, const char *, const int *, const int *, const int *, const float *,
                     const float *, const int *, const float *, const int *, const float *, float *,
                     const int *);

static void *library;

static void *find(void *in, const char *name) {
    void *found = dlsym(in, name);
    if (!found) fprintf(stderr, "no %s\n", name), exit(1);
    return found;
}

static void *open_library(const char *path) {
    void *opened = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (!opened) fprintf(stderr, "%s\n", dlerror()), exit(1);
    return opened;
}

static int by_dlsym(void *handle, int a, int b, int m, int n, int k, const float *alpha, const void *A, int lda,
                    const void *B, int ldb, const float *beta, void *C, int ldc) {
    return ((sgemm *)dlsym(library, "rocblas_sgemm"))(handle, a, b, m, n, k, alpha, A, lda, B, ldb, beta, C, ldc);
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return time.tv_sec * 1e9 + time.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    const char *way = argv[2];
    long count = atol(argv[3]);
    float one = 1, matrix = 0;
    int size = 1;
    library = open_library(argv[1]);
    double start, end;
    if (!strcmp(way, "lbt") || !strcmp(way, "blas")) {
        void *blas = find(open_library(argv[4]), "sgemm_");
        fortran *volatile call = (fortran *)blas;
        if (!strcmp(way, "lbt")) {
            int (*set)(const char *, const void *, int, int, int, int) = find(library, "lbt_set_forward");
            if (set("sgemm_", blas, 32, 0, 0, 0)) return 1;
            call = (fortran *)find(library, "sgemm_");
        }
        start = now();
        for (long i = 0; i < count; i++)
            call("N", "N", &size, &size, &size, &one, &one, &size, &one, &size, &one, &matrix, &size);
        end = now();
    } else {
        void *handle = 0;
        sgemm *volatile call = !strcmp(way, "dlsym") ? by_dlsym : (sgemm *)find(library, "rocblas_sgemm");
        int (*create)(void **) = find(library, "rocblas_create_handle");
        if (create(&handle)) return 1;
        if (!strcmp(way, "routed")) {
            int (*use)(const char *) = find(library, "rocblas_shim_backend_use");
            void *other;
            if (use("other") || create(&other)) return 1;
        }
        if (!strcmp(way, "traced")) {
            const char *(*trace)(const char *, const char *) = find(library, "rocblas_shim_trace_start");
            const char *why = trace("traces", "ring=1M,errors=off");
            if (why) return fprintf(stderr, "%s\n", why), 1;
        }
        start = now();
        for (long i = 0; i < count; i++)
            call(handle, 111, 111, 64, 64, 64, &one, &one, 64, &one, 64, &one, &matrix, 64);
        end = now();
    }
    printf("%.2f\n", (end - start) / count);
    return 0;
}
