/* Prints the effect of each promise on a program, one line each. */
#include "calls.h"
#include <dlfcn.h>
#include <rocblas.h>
#include <string.h>

/* An offset in hipDeviceProp_t of HIP 6 and 7. */
enum { WARP_SIZE_AT = 308 };

static void device_properties(rocblas_handle handle) {
    const char *(*get)(rocblas_handle) =
        dlsym(RTLD_DEFAULT, "_Z32rocblas_internal_get_device_propP15_rocblas_handle");
    const char *properties = get ? get(handle) : 0;
    int warp_size = 0;
    if (properties) memcpy(&warp_size, properties + WARP_SIZE_AT, sizeof warp_size);
    printf("device-properties: %s, warp size %d\n", properties ? properties : "none", warp_size);
}

int main(void) {
    const char *(*active)(void) = dlsym(RTLD_DEFAULT, "rocblas_shim_compat");
    rocblas_handle handle = 0;
    CALL("create_handle", rocblas_create_handle(&handle));
    printf("active: %s\n", active ? active() : "no shim");

    rocblas_atomics_mode mode = -1;
    rocblas_get_atomics_mode(handle, &mode);
    printf("atomics: %d\n", mode);

    float host[64] = {0}, *memory = device(1 << 20);
    CALL("transfers", rocblas_set_vector(64, sizeof *host, host, 1, memory, 1));
    CALL("transfers of rows", rocblas_set_matrix(8, 8, sizeof *host, host, 8, memory, 16));
    CALL("transfers back", rocblas_get_vector(64, sizeof *host, memory, 1, host, 1));

    char version[128] = "";
    rocblas_get_version_string(version, sizeof version);
    printf("version: %s\n", version);

    device_properties(handle);

    rocblas_int count = 0;
    const float one = 1, zero = 0;
    const rocblas_datatype f32 = rocblas_datatype_f32_r;
    CALL("solutions",
         rocblas_gemm_ex_get_solutions(handle, rocblas_operation_none, rocblas_operation_none, 64,
                                       64, 64, &one, 0, f32, 64, 0, f32, 64, &zero, 0, f32, 64, 0,
                                       f32, 64, f32, rocblas_gemm_algo_solution_index, 0, 0,
                                       &count));
    printf("solutions found: %d\n", count > 0);

    CALL("syrk-ex", rocblas_syrk_ex(0, rocblas_fill_upper, rocblas_operation_none, 64, 64, &one,
                                    memory, f32, 64, &zero, memory, f32, 64, f32));

    CALL("tensile", rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 512, 512,
                                  512, &one, memory, 512, memory, 512, &zero, memory, 512));
    return 0;
}
