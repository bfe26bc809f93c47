/* A rocBLAS of a few functions, each scenario's trait switched on by a macro:
 *
 *   SLEEP_MS=N      the constructor takes N milliseconds, holding the loader's lock
 *   CALLS_BACK      the constructor calls an exported function of this library
 *   CALLS_MISSING   the constructor calls a function that this library lacks
 *   USES_HIP        it copies with HIP, prints errors and returns success, as 4.3.0 does
 *   CRASHES         dasum writes to an unmapped address
 *   CALLS_X         dcopy calls the function that is passed as x with n, and returns n
 *   REFUSES_MODES   for a handle that it did not create it stores host mode but returns an error; a null
 *                   handle ends the program
 *   MORTAL          its state is torn down at exit, like C++ statics
 *   VERSION="..."   its version string; "4.3.0.pliable" if not given
 *   VTABLE          it has the vtable that AMD's test program imports
 *   RESOLVES_LATE   a thread of its constructor calls dscal through the PLT slot
 *
 * It has hidden aliases of its own functions, so that it can check whether its references to itself resolve to
 * itself. It is written in C, because C compilers call exported functions through the PLT. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <pthread.h>
#include <rocblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef VERSION
#define VERSION "4.3.0.pliable"
#endif

#define HIDDEN_ALIAS(name) \
    extern __typeof(name) own_##name __attribute__((alias(#name), visibility("hidden")))

/* Set once the constructor has finished its slow part. */
static int constructed;
static int dead;
static int from_constructor = -1;

/* Values that no error path returns. */
enum { SCAL_ANSWER = 77, NOT_CONSTRUCTED = 99 };

rocblas_status rocblas_sscal(rocblas_handle handle, rocblas_int n, const float *alpha, float *x,
                             rocblas_int incx) {
    return (rocblas_status)(constructed ? SCAL_ANSWER : NOT_CONSTRUCTED);
}
HIDDEN_ALIAS(rocblas_sscal);

/* Its address is never taken, so that the linker gives it a PLT slot. */
rocblas_status rocblas_dscal(rocblas_handle handle, rocblas_int n, const double *alpha, double *x,
                             rocblas_int incx) {
    return (rocblas_status)SCAL_ANSWER;
}
HIDDEN_ALIAS(rocblas_dscal);

/* R_X86_64_64, which the compiler must not fold. */
static __typeof(rocblas_sscal) *volatile pointer_in_data = rocblas_sscal;

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

/* The word that the PLT jumps through for a function of this name. */
static void *jump_slot(const char *wanted) {
    Dl_info info;
    struct link_map *map = 0;
    dladdr1(_DYNAMIC, &info, (void **)&map, RTLD_DL_LINKMAP);
    const ElfW(Rela) *relocations = 0;
    const ElfW(Sym) *symbols = 0;
    const char *strings = 0;
    size_t size = 0;
    for (ElfW(Dyn) *entry = _DYNAMIC; entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_JMPREL) relocations = (void *)entry->d_un.d_ptr;
        if (entry->d_tag == DT_PLTRELSZ) size = entry->d_un.d_val;
        if (entry->d_tag == DT_SYMTAB) symbols = (void *)entry->d_un.d_ptr;
        if (entry->d_tag == DT_STRTAB) strings = (void *)entry->d_un.d_ptr;
    }
    for (size_t i = 0; i < size / sizeof *relocations; i++) {
        const ElfW(Sym) *symbol = &symbols[ELF64_R_SYM(relocations[i].r_info)];
        if (strcmp(strings + symbol->st_name, wanted) == 0)
            return *(void **)(map->l_addr + relocations[i].r_offset);
    }
    return 0;
}

/* Returns which kinds of references to an own function resolve elsewhere: 1 GLOB_DAT, 2 a pointer in data,
 * 4 the PLT slot. 8: the call did not arrive here. */
rocblas_status rocblas_sgemm(rocblas_handle handle, rocblas_operation transA,
                             rocblas_operation transB, rocblas_int m, rocblas_int n, rocblas_int k,
                             const float *alpha, const float *A, rocblas_int lda, const float *B,
                             rocblas_int ldb, const float *beta, float *C, rocblas_int ldc) {
    int foreign = 0;
    if ((int)rocblas_sscal(handle, n, alpha, C, 1) != SCAL_ANSWER) foreign |= 8;
    __typeof(rocblas_sscal) *volatile by_got = rocblas_sscal;
    if (by_got != own_rocblas_sscal) foreign |= 1;
    if (pointer_in_data != own_rocblas_sscal) foreign |= 2;
    rocblas_dscal(handle, n, 0, 0, 1);
    if (jump_slot("rocblas_dscal") != (void *)own_rocblas_dscal) foreign |= 4;
    return (rocblas_status)foreign;
}

/* Prints the environment that it sees, one variable per line. */
rocblas_status rocblas_set_stream(rocblas_handle handle, hipStream_t stream) {
    const char *names[] = {"ROCBLAS_TENSILE_LIBPATH", "ROCBLAS_TENSILE_GEMM_OVERRIDE_PATH",
                           "ROCBLAS_USE_HIPBLASLT", "ROCBLAS_DEFAULT_ATOMICS_MODE",
                           "ROCBLAS_LAYER"};
    for (int i = 0; i < 5; i++) {
        const char *value = getenv(names[i]);
        printf("%s=%s\n", names[i], value ? value : "(unset)");
    }
    const char *secret = secure_getenv("STANDIN_SECRET");
    printf("secret=%s\n", secret ? secret : "(unset)");
    return rocblas_status_success;
}

rocblas_status rocblas_create_handle(rocblas_handle *handle) {
    if (dead) return rocblas_status_internal_error;
    *handle = (rocblas_handle)&dead;
    return rocblas_status_success;
}

rocblas_status rocblas_destroy_handle(rocblas_handle handle) {
    return dead ? rocblas_status_internal_error : rocblas_status_success;
}

/* Returns the result of the constructor's call. */
rocblas_status rocblas_get_stream(rocblas_handle handle, hipStream_t *stream) {
    return (rocblas_status)from_constructor;
}

/* Like 4.3.0, refuses the query without matrices. */
rocblas_status rocblas_gemm_ex_get_solutions(
    rocblas_handle handle, rocblas_operation transA, rocblas_operation transB, rocblas_int m,
    rocblas_int n, rocblas_int k, const void *alpha, const void *a, rocblas_datatype a_type,
    rocblas_int lda, const void *b, rocblas_datatype b_type, rocblas_int ldb, const void *beta,
    const void *c, rocblas_datatype c_type, rocblas_int ldc, void *d, rocblas_datatype d_type,
    rocblas_int ldd, rocblas_datatype compute_type, rocblas_gemm_algo algo, uint32_t flags,
    rocblas_int *list_array, rocblas_int *list_size) {
    if (!a || !b || !c || !d) return rocblas_status_invalid_pointer;
    *list_size = lda + ldb + ldc + ldd;
    return rocblas_status_success;
}

#ifdef USES_HIP
int hipMemcpy(void *to, const void *from, size_t size, int kind);

rocblas_status rocblas_set_vector(rocblas_int n, rocblas_int elem_size, const void *x,
                                  rocblas_int incx, void *y, rocblas_int incy) {
    int error = hipMemcpy(y, x, (size_t)n * elem_size, 1);
    if (error) printf("HIP error %d\n", error);
    return rocblas_status_success;
}
#endif

rocblas_status rocblas_get_version_string(char *buf, size_t len) {
    snprintf(buf, len, "%s", VERSION);
    return rocblas_status_success;
}

#ifdef CRASHES
rocblas_status rocblas_dasum(rocblas_handle handle, rocblas_int n, const double *x, rocblas_int incx,
                             double *result) {
    *(volatile int *)8 = n;
    return rocblas_status_success;
}
#endif

#ifdef CALLS_X
rocblas_status rocblas_dcopy(rocblas_handle handle, rocblas_int n, const double *x, rocblas_int incx,
                             double *y, rocblas_int incy) {
    ((void (*)(int))x)(n);
    return (rocblas_status)n;
}
#endif

#ifdef REFUSES_MODES
rocblas_status rocblas_get_pointer_mode(rocblas_handle handle, rocblas_pointer_mode *mode) {
    if (!handle) abort();
    *mode = rocblas_pointer_mode_host;
    return handle == (rocblas_handle)&dead ? rocblas_status_success : rocblas_status_invalid_handle;
}
#endif

#ifdef MORTAL
static void tear_down(void) { dead = 1; }
#endif

#ifdef VTABLE
const void *_ZTV24rocblas_internal_ostream[4] = {&dead, &dead, &dead, &dead};
#endif

#ifdef RESOLVES_LATE
static void *resolve(void *argument) {
    rocblas_dscal(0, 0, 0, 0, 0);
    return argument;
}
#endif

__attribute__((constructor)) static void set_up(void) {
#ifdef SLEEP_MS
    usleep(SLEEP_MS * 1000);
#endif
    constructed = 1;
#ifdef CALLS_BACK
    from_constructor = rocblas_sscal(0, 0, 0, 0, 0);
#endif
#ifdef CALLS_MISSING
    rocblas_dasum(0, 0, 0, 0, 0);
#endif
#ifdef RESOLVES_LATE
    pthread_t thread;
    pthread_create(&thread, 0, resolve, 0);
    usleep(100 * 1000); /* the thread is in the loader by now */
#endif
#ifdef MORTAL
    atexit(tear_down);
#endif
}
