// How many instructions of the shim's assembly a call executes, and how many calls it makes out of it: of the
// backend's function, and of what is not assembly.
//
// path_lengths: prints a line for a function of 2 and one of 14 parameters, `INSTRUCTIONS CALLS`. SECOND_BACKEND
// names a backend to be opened besides, whose the handle is.
#include "stepping.h"
#include <rocblas.h>
#include <rocblas_shim.h>

static rocblas_handle handle = reinterpret_cast<rocblas_handle>(0x1000);
static float x;
static long instructions, calls;

static void count(uintptr_t instruction) {
    const unsigned char *code = reinterpret_cast<const unsigned char *>(instruction);
    instructions++;
    // call rel32; call r/m64, with or without a prefix.
    if (*code == 0x41) code++;
    calls += code[0] == 0xe8 || (code[0] == 0xff && (code[1] >> 3 & 7) == 2);
}

static rocblas_status two() { return rocblas_set_stream(handle, nullptr); }

static rocblas_status fourteen() {
    // On the stack, where most programs have them: a trace reads them without asking the kernel.
    float alpha = 1, beta = 2;
    return rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 1, 2, 3, &alpha, &x, 5, &x, 7,
                         &beta, &x, 8);
}

static void measure(rocblas_status (*call)()) {
    // The first ones resolve names, make a thread's file and look at the handle.
    for (int i = 0; i < 3; i++)
        if (call()) std::abort();
    instructions = calls = 0;
    stepping::start();
    rocblas_status status = call();
    stepping::stop();
    if (status) std::abort();
    std::printf("%ld %ld\n", instructions, calls);
}

int main() {
    if (const char *second = std::getenv("SECOND_BACKEND")) {
        if (rocblas_shim_backend_use(second)) return 4;
        two(); // So that the handle is known.
    }
    stepping::prepare(count);
    measure(two);
    measure(fourteen);
}
