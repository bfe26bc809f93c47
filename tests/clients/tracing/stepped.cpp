// Traced calls, one instruction at a time.
//
// stepped throws CALL    throws an exception at the first instruction, and in the next call at the first one at
//                        which none was thrown yet, until the call returns. After each exception, makes two
//                        ordinary calls from the same frame.
// stepped unwinds CALL   takes a backtrace at each instruction, which must reach main.
// Prints the number of instructions, and of ordinary calls.
// CALL may be followed by `threads` or `processes`: each time as the first call of a new thread or process; or by
// `segments`: until exceptions have also been thrown at the first instructions of the path that is taken when a
// segment of the thread's file is full. BACKEND_LATER names a backend that the first call opens, and
// SECOND_BACKEND a second one, to which the handle belongs.
#include "../stepping.h"
#include <cstdint>
#include <memory>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <unwind.h>

static rocblas_handle handle = reinterpret_cast<rocblas_handle>(0x1000);
static float x;

// The streams of ordinary calls are numbered.
static uintptr_t ordinary_calls = 0;

static void ordinary() {
    hipStream_t stream = reinterpret_cast<hipStream_t>(++ordinary_calls);
    if (rocblas_set_stream(handle, stream) != rocblas_status_success) std::abort();
}

static rocblas_status plain() { return rocblas_set_stream(handle, nullptr); }

static rocblas_status gemm(const float *alpha, const float *beta) {
    return rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 1, 2, 3, alpha, &x, 5,
                         &x, 7, beta, &x, 8);
}

static rocblas_status scalars() {
    float alpha = 1, beta = 2;
    return gemm(&alpha, &beta);
}

static rocblas_status scalars_elsewhere() {
    static float alpha = 1, beta = 2;
    return gemm(&alpha, &beta);
}

static rocblas_status result() {
    float result;
    return rocblas_sdot(handle, 1, &x, 1, &x, 1, &result);
}

// An address that no handle had before, so the handle is recorded.
static rocblas_status other_handle() {
    static uintptr_t address = 0x2000;
    return rocblas_set_stream(reinterpret_cast<rocblas_handle>(address += 64), nullptr);
}

static rocblas_status without_a_handle() {
    size_t length = 0;
    return rocblas_get_version_string_size(&length);
}

static rocblas_status missing() { return rocblas_dswap(handle, 1, nullptr, 1, nullptr, 1); }

static rocblas_status (*call)();
static rocblas_status expected = rocblas_status_success;

struct Interrupted {};
static std::set<uintptr_t> visited;

static void throw_once(uintptr_t instruction) {
    if (visited.insert(instruction).second) throw Interrupted();
}

// Whether the call returned.
__attribute__((noinline)) static bool returns() {
    try {
        stepping::start();
        rocblas_status status = call();
        stepping::stop();
        if (status != expected) std::abort();
        return true;
    } catch (Interrupted) {
        return false;
    }
}

static bool reached;
static int lost;

static _Unwind_Reason_Code look(_Unwind_Context *context, void *end) {
    void *function = _Unwind_FindEnclosingFunction(reinterpret_cast<void *>(_Unwind_GetIP(context)));
    if (function != end) return _URC_NO_REASON;
    reached = true;
    return _URC_END_OF_STACK;
}

static void *end_of_stack;

static void unwind(uintptr_t instruction) {
    visited.insert(instruction);
    reached = false;
    _Unwind_Backtrace(look, end_of_stack);
    if (!reached && lost++ < 10)
        std::fprintf(stderr, "lost at %zx\n", static_cast<size_t>(instruction - stepping::base));
}

__attribute__((noinline)) static bool step() {
    bool returned = returns();
    ordinary();
    ordinary();
    return returned;
}

__attribute__((noinline)) static void step_in_thread(bool *returned) { *returned = step(); }

static bool step_in_process() {
    int pipe_ends[2], status;
    uintptr_t at[1000];
    if (pipe(pipe_ends)) std::abort();
    if (fork() == 0) {
        bool returned = step();
        size_t count = 0;
        for (uintptr_t instruction : visited) at[count++] = instruction;
        ssize_t length = count * sizeof *at;
        if (write(pipe_ends[1], at, length) != length) std::abort();
        _exit(lost ? 2 : returned);
    }
    wait(&status);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > 1) std::abort();
    close(pipe_ends[1]);
    ssize_t length = read(pipe_ends[0], at, sizeof at);
    close(pipe_ends[0]);
    visited.insert(at, at + length / sizeof *at);
    return WEXITSTATUS(status);
}

int main(int argc, char **argv) {
    std::string what = argc > 2 ? argv[1] : "", name = argc > 2 ? argv[2] : "",
                where = argc > 3 ? argv[3] : "";
    if (name == "plain") call = plain;
    if (name == "scalars") call = scalars;
    if (name == "scalars-elsewhere") call = scalars_elsewhere;
    if (name == "result") call = result;
    if (name == "other-handle") call = other_handle;
    if (name == "without-a-handle") call = without_a_handle;
    if (name == "missing") call = missing, expected = rocblas_status_not_implemented;
    if (!call) return 2;
    if (const char *later = std::getenv("BACKEND_LATER")) {
        if (std::strcmp(rocblas_shim_mode(), "cold") != 0) return 3;
        setenv("ROCBLAS_SHIM_BACKEND", later, 1);
    }
    end_of_stack = where == "threads" ? reinterpret_cast<void *>(step_in_thread)
                                      : reinterpret_cast<void *>(main);
    if (const char *second = std::getenv("SECOND_BACKEND")) {
        if (rocblas_shim_backend_use(second)) return 4;
        // Makes the handle known.
        ordinary();
    }
    // One-time effects: the trace's directory is created, a message is printed.
    if (where.empty() || where == "segments" || name == "missing") call(), ordinary();
    stepping::prepare(what == "throws" ? throw_once : unwind);
    // More than once: a call may take another path because a segment is full.
    for (int returns = 0; returns < 3;) {
        bool returned;
        if (where == "threads") std::thread(step_in_thread, &returned).join();
        else returned = where == "processes" ? step_in_process() : step();
        returns = returned ? returns + 1 : 0;
    }
    // Later instructions of that path belong to the slow path, which other calls take each time.
    for (int thrown = 0, n = 0; where == "segments" && thrown < 4; thrown += !step(), n++)
        if (n % 4 == 0) ordinary(); // Varies which call finds the segment full.
    if (lost) return 1;
    std::printf("%zu %zu\n", visited.size(), static_cast<size_t>(ordinary_calls));
}
