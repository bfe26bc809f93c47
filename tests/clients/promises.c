/* Prints the effect of each promise of rocBLAS 5.0.2 on a program, one line each. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>
#include <string.h>

/* HIP's functions, from the runtime that the backend loaded. */
static void *hip(const char *name) {
    void *runtime = dlopen("libamdhip64.so.7", RTLD_LAZY | RTLD_NOLOAD);
    return runtime ? dlsym(runtime, name) : 0;
}

int main(void) {
    rocblas_handle handle = 0;
    printf("compat=%s\n", rocblas_shim_compat());
    printf("create=%d\n", rocblas_create_handle(&handle));

    rocblas_atomics_mode mode = (rocblas_atomics_mode)9;
    int status = rocblas_get_atomics_mode(handle, &mode);
    printf("atomics=%d %d\n", status, mode);

    char version[64] = "";
    size_t size = 0;
    rocblas_get_version_string_size(&size);
    status = rocblas_get_version_string(version, sizeof version);
    printf("version=%d %s %d\n", status, version, size == strlen(version) + 1);
    printf("version null=%d small=%d\n", rocblas_get_version_string(0, 64),
           rocblas_get_version_string(version, 3));

    size = 0;
    status = rocblas_get_commit_hash_string_size(&size);
    printf("commit=%d %d\n", status, size > 1);

    printf("syrk_ex=%d %d\n",
           rocblas_syrk_ex(handle, rocblas_fill_upper, rocblas_operation_none, -1, 1, 0, 0,
                           rocblas_datatype_f16_r, 1, 0, 0, rocblas_datatype_f16_r, 1,
                           rocblas_datatype_f32_r),
           rocblas_syrk_ex(handle, rocblas_fill_upper, rocblas_operation_none, 1, 1, version,
                           version, rocblas_datatype_f16_r, 1, version, version,
                           rocblas_datatype_f16_r, 1, rocblas_datatype_f32_r));

    rocblas_int solutions = -1;
    status = rocblas_gemm_ex_get_solutions(
        handle, rocblas_operation_none, rocblas_operation_none, 1, 2, 3, version, 0,
        rocblas_datatype_f32_r, 1, 0, rocblas_datatype_f32_r, 20, version, 0,
        rocblas_datatype_f32_r, 300, 0, rocblas_datatype_f32_r, 4000, rocblas_datatype_f32_r,
        rocblas_gemm_algo_standard, 0, 0, &solutions);
    printf("solutions=%d %d\n", status, solutions);

    char host[8] = "abcdefg", back[8] = "";
    void *device = 0;
    int (*allocate)(void **, size_t) = (int (*)(void **, size_t))hip("hipMalloc");
    if (allocate) allocate(&device, sizeof host);
    printf("transfer=%d\n", rocblas_set_vector(sizeof host, 1, host, 1, device ? device : back, 1));
    printf("to nowhere=%d\n", rocblas_set_vector(sizeof host, 1, host, 1, back, 1));
    printf("sizes=%d %d %d\n", rocblas_set_vector(0, 0, 0, 0, 0, 0),
           rocblas_set_vector(-1, 1, host, 1, back, 1), rocblas_set_vector(1, 1, 0, 1, back, 1));

    const int *(*properties)(rocblas_handle) = (const int *(*)(rocblas_handle))dlsym(
        RTLD_DEFAULT, "_Z32rocblas_internal_get_device_propP15_rocblas_handle");
    const int *found = properties(handle);
    /* A stand-in may return a small number here. */
    if ((uintptr_t)found < 4096) found = 0;
    printf("warp=%d %d\n", found ? found[308 / 4] : 0, found && found == properties(handle));

    rocblas_set_stream(handle, 0); /* prints the backend's environment */
    printf("destroy=%d\n", rocblas_destroy_handle(handle));
    return 0;
}
