/* Carries out its arguments in order, and prints a line for each:
 *   use NAME          new handles belong to that backend from now on; `-`: to the one that the settings choose
 *   create / destroy  another handle / the latest
 *   call              sscal, check_numerics, axpy and device_malloc with each handle, after the name of its
 *                     backend
 *   null / unknown    sscal with no handle / with one that no backend has made
 *   sizes             queries that go to all backends
 *   tell              settings that go to all backends
 *   stream            set_stream with the latest
 *   gemm              sgemm with the latest
 *   mode / name       the shim's mode / the backend's name
 *   fork              carries out the other arguments in a child, and then also in the parent
 *   device N          hipSetDevice
 *   pause             waits for a line on stdin
 *   start DIR / stop  a trace */
#define _GNU_SOURCE
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

rocblas_status check_numerics(const char *name, rocblas_handle handle, int64_t n)
    __asm__("_Z47rocblas_internal_check_numerics_vector_templateIPfE15rocblas_status_PKcP15_"
            "rocblas_handlelT_llllib");
rocblas_status axpy(rocblas_handle handle, int n, double a, float b, double c)
    __asm__("_Z30rocblas_internal_axpy_launcherIiLi256EdPKdS1_PdE15rocblas_status_P15_rocblas_handleT_"
            "T2_lT3_lS6_lT4_lS6_lS6_");
size_t gemv_size(rocblas_operation trans, int m, int n, int batch)
    __asm__("_Z43rocblas_internal_gemv_kernel_workspace_sizeIfEm18rocblas_operation_iii");
rocblas_status trsm_sizes(rocblas_side side, rocblas_operation trans, int m, int n, int lda,
                          int batch, size_t *a, size_t *b, size_t *c, size_t *d, size_t *e)
    __asm__("_Z36rocblas_internal_trsm_workspace_sizeIfE15rocblas_status_13rocblas_side_18rocblas_"
            "operation_iiiiPmS3_S3_S3_S3_");

rocblas_status trsm_batched_sizes(rocblas_side side, rocblas_operation trans, int64_t m, int64_t n,
                                  int64_t lda, int64_t ldb, int64_t batch, int64_t more, size_t *a,
                                  size_t *b, size_t *c, size_t *d, size_t *e)
    __asm__("_Z47rocblas_internal_trsm_batched_workspace_size_64IfE15rocblas_status_13rocblas_side_18"
            "rocblas_operation_llllllPmS3_S3_S3_S3_");

#ifdef USES_HIP
int hipSetDevice(int device);
#endif

enum { MOST = 4096 };
static rocblas_handle handles[MOST];
static int count;

static void call(rocblas_handle handle) {
    struct rocblas_device_malloc_base *memory = 0;
    int alloc = rocblas_device_malloc_alloc(handle, &memory, 3, (size_t)1, (size_t)2, (size_t)3);
    int good = rocblas_device_malloc_success(memory);
    int freed = rocblas_device_malloc_free(memory);
    printf("%s: %d %d %d, memory %d %d %d\n", rocblas_shim_backend_of(handle),
           rocblas_sscal(handle, 1, 0, 0, 1), check_numerics("x", handle, 1),
           axpy(handle, 1, 1.5, 2.5f, 3.5), alloc, good, freed);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i];
        rocblas_handle latest = count ? handles[count - 1] : 0;
        if (!strcmp(word, "use")) {
            const char *name = argv[++i];
            printf("use %s=%d\n", name, rocblas_shim_backend_use(*name == '-' ? 0 : name));
        } else if (!strcmp(word, "create")) {
            int status = rocblas_create_handle(&handles[count]);
            if (status)
                printf("create=%d\n", status);
            else
                count++;
        } else if (!strcmp(word, "destroy")) {
            int status = rocblas_destroy_handle(handles[--count]);
            if (status) printf("destroy=%d\n", status);
        } else if (!strcmp(word, "call")) {
            for (int at = 0; at < count; at++) call(handles[at]);
        } else if (!strcmp(word, "null")) {
            printf("null: %d\n", rocblas_sscal(0, 1, 0, 0, 1));
        } else if (!strcmp(word, "unknown")) {
            static int strange[200];
            void *handle = strange;
            const char *owner = rocblas_shim_backend_of(handle);
            printf("unknown `%s`: %d\n", owner, rocblas_sscal(handle, 1, 0, 0, 1));
        } else if (!strcmp(word, "sizes")) {
            size_t s[5] = {0};
            int status = trsm_sizes(rocblas_side_left, rocblas_operation_none, 7, 8, 9, 10, &s[0],
                                    &s[1], &s[2], &s[3], &s[4]);
            printf("sizes: %zu, %d %zu %zu %zu %zu %zu\n",
                   gemv_size(rocblas_operation_none, 5, 6, 7), status, s[0], s[1], s[2], s[3], s[4]);
            size_t t[5] = {77, 77, 77, 77, 77};
            status = trsm_batched_sizes(rocblas_side_left, rocblas_operation_none, 1, 2, 3, 4, 5, 6,
                                        &t[0], &t[1], 0, &t[3], &t[4]);
            printf("batched: %d %zu %zu\n", status, t[2], t[4]);
        } else if (!strcmp(word, "tell")) {
            rocblas_device_malloc_set_default_memory_size(12);
        } else if (!strcmp(word, "stream")) {
            rocblas_set_stream(latest, 0);
        } else if (!strcmp(word, "gemm")) {
            float one = 1;
            printf("gemm: %d\n", rocblas_sgemm(latest, rocblas_operation_none,
                                               rocblas_operation_none, 1, 2, 3, &one, 0, 4, 0, 5,
                                               &one, 0, 6));
        } else if (!strcmp(word, "mode")) {
            printf("mode: %s\n", rocblas_shim_mode());
        } else if (!strcmp(word, "name")) {
            printf("name: %s\n", rocblas_shim_backend_name());
        } else if (!strcmp(word, "fork")) {
            fflush(stdout);
            pid_t child = fork();
            int status = 0;
            if (child) waitpid(child, &status, 0);
            printf(child ? "parent, after %d\n" : "child\n", status);
#ifdef USES_HIP
        } else if (!strcmp(word, "device")) {
            hipSetDevice(atoi(argv[++i]));
#endif
        } else if (!strcmp(word, "pause")) {
            puts("paused");
            fflush(stdout);
            while (getchar() != '\n') continue;
        } else if (!strcmp(word, "start")) {
            const char *why = rocblas_shim_trace_start(argv[++i], 0);
            if (why) printf("start: %s\n", why);
        } else if (!strcmp(word, "stop")) {
            const char *why = rocblas_shim_trace_stop();
            if (why) printf("stop: %s\n", why);
        } else {
            printf("what is %s?\n", word);
            return 1;
        }
        fflush(stdout);
    }
    return 0;
}
