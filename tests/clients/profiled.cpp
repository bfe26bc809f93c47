// A sampling profiler: 10,000 signals while it calls rocBLAS. Each signal handler takes a backtrace, which must
// reach main. Prints the number of backtraces, how many did not reach main, and how many interrupted the
// shim's assembly.
#include "stepping.h"
#include <csignal>
#include <ctime>
#include <rocblas.h>
#include <unwind.h>

static volatile int samples, lost, within;

int main();

static _Unwind_Reason_Code look(_Unwind_Context *context, void *reached) {
    void *function = _Unwind_FindEnclosingFunction(reinterpret_cast<void *>(_Unwind_GetIP(context)));
    if (function != reinterpret_cast<void *>(main)) return _URC_NO_REASON;
    *static_cast<bool *>(reached) = true;
    return _URC_END_OF_STACK;
}

static void on_sample(int, siginfo_t *, void *raw) {
    uintptr_t instruction = static_cast<ucontext_t *>(raw)->uc_mcontext.gregs[REG_RIP];
    bool reached = false;
    _Unwind_Backtrace(look, &reached);
    samples = samples + 1;
    within = within + stepping::is_assembly(instruction);
    if (!reached && (lost = lost + 1) < 10)
        std::fprintf(stderr, "lost at %zx\n", static_cast<size_t>(instruction - stepping::base));
}

int main() {
    stepping::prepare(nullptr);
    struct sigaction action {};
    action.sa_sigaction = on_sample;
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigaction(SIGPROF, &action, nullptr);
    struct sigevent event {};
    event.sigev_notify = SIGEV_SIGNAL;
    event.sigev_signo = SIGPROF;
    timer_t timer;
    // Not a multiple of the loop's duration.
    itimerspec interval{{0, 47117}, {0, 47117}};
    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &interval, nullptr))
        return 2;
    rocblas_handle handle = reinterpret_cast<rocblas_handle>(0x1000);
    float alpha = 1, beta = 0, x;
    while (samples < 10000) {
        for (int i = 0; i < 100; i++) {
            rocblas_set_stream(handle, nullptr);
            rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, 1, 2, 3, &alpha, &x, 5,
                          &x, 7, &beta, &x, 8);
            rocblas_dswap(handle, 1, nullptr, 1, nullptr, 1);
        }
    }
    timer_delete(timer);
    std::printf("%d %d %d\n", samples, lost, within);
}
