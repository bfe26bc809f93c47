/* Scalars in every place that a program may have them: on the stack, in data, on the heap, in device memory, at a
 * null pointer, and at unreadable addresses below and above the stack; and of a caller on another stack. */
#include <rocblas.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <ucontext.h>

static const float in_data = 3;
static rocblas_handle handle;
/* After the last page that a process can have. */
static float *const above = (float *)0x7ffffffff000;
/* Also unreadable, and between a stack in the program's data and that of the thread. */
static float *between;

static void call_elsewhere(void) {
    float alpha = 5, x[4] = {1, 2, 3, 4};
    rocblas_sscal(handle, 4, &alpha, x, 1);
    rocblas_sscal(handle, 0, above, x, 1);
    rocblas_sscal(handle, 0, between, x, 1);
}

static void change_stacks(void) {
    static char stack[64 << 10];
    static ucontext_t here, there;
    getcontext(&there);
    there.uc_stack.ss_sp = stack;
    there.uc_stack.ss_size = sizeof stack;
    there.uc_link = &here;
    makecontext(&there, call_elsewhere, 0);
    swapcontext(&here, &there);
}

int main(void) {
    float x[4] = {1, 2, 3, 4}, y[4] = {4, 3, 2, 1}, result;
    struct {
        float alpha;
        volatile unsigned somebody_elses;
    } on_stack = {2, 0xfeedface};
    float *on_heap = malloc(sizeof *on_heap);
    float *unreadable = (float *)0x10;
    const rocblas_float_complex complex_alpha = {1.5f, -2};
    rocblas_float_complex c[2] = {{1, 0}, {0, 1}};
    double param[5] = {-2, 1, 0, 0, 1}, u[2] = {1, 2}, v[2] = {3, 4};
    *on_heap = 4;
    between = mmap(0, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (between == MAP_FAILED) return 1;
    if (rocblas_create_handle(&handle)) return 1;
    rocblas_sscal(handle, 4, &on_stack.alpha, x, 1);
    rocblas_sscal(handle, 4, &in_data, x, 1);
    rocblas_sscal(handle, 4, on_heap, x, 1);
    rocblas_sscal(handle, 4, 0, x, 1);
    /* There is nothing to do, so the scalar is not read. */
    rocblas_sscal(handle, 0, unreadable, x, 1);
    rocblas_sscal(handle, 0, above, x, 1);
    change_stacks();
    rocblas_cscal(handle, 2, &complex_alpha, c, 1);
    rocblas_sdot(handle, 4, x, 1, y, 1, &result);
    rocblas_drotm(handle, 2, u, 1, v, 1, param);
    rocblas_set_pointer_mode(handle, rocblas_pointer_mode_device);
    rocblas_sscal(handle, 4, &on_stack.alpha, x, 1);
    rocblas_set_pointer_mode(handle, rocblas_pointer_mode_host);
    rocblas_sscal(handle, 4, &on_stack.alpha, x, 1);
    rocblas_set_stream(handle, (hipStream_t)0x500);
    rocblas_saxpy(handle, 4, &on_stack.alpha, x, 1, y, 1);
    rocblas_sscal(0, 4, &on_stack.alpha, x, 1);
    free(on_heap);
    return rocblas_destroy_handle(handle);
}
