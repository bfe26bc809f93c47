// Runs calls one instruction at a time with the processor's trap flag, and runs a callback before each
// instruction of the shim's assembly. The functions that the assembly calls, in Rust, libc or the backend, run
// at full speed up to a breakpoint at their return.
//
// ASSEMBLY has the assembly's ranges as offsets into the shim: FROM-TO,FROM-TO,... in hexadecimal.
#pragma once
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <link.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <vector>

namespace stepping {

struct Range {
    uintptr_t from, to;
};

inline uintptr_t base;
inline std::vector<Range> ranges;
inline void (*visit)(uintptr_t instruction);

// The meaning of the next trap.
enum class Trap { step, start, stop };
inline volatile Trap next;
inline volatile bool in_assembly;
inline unsigned char *volatile breakpoint;
inline unsigned char overwritten;

inline bool is_assembly(uintptr_t address) {
    for (const Range &range : ranges)
        if (address >= range.from && address < range.to) return true;
    return false;
}

inline void on_trap(int, siginfo_t *, void *raw) {
    constexpr greg_t trap_flag = 0x100;
    greg_t *registers = static_cast<ucontext_t *>(raw)->uc_mcontext.gregs;
    if (next == Trap::start) {
        next = Trap::step;
        in_assembly = false;
        registers[REG_EFL] |= trap_flag;
        return;
    }
    if (next == Trap::stop) {
        next = Trap::step;
        registers[REG_EFL] &= ~trap_flag;
        return;
    }
    if (breakpoint && registers[REG_RIP] == reinterpret_cast<greg_t>(breakpoint) + 1) {
        registers[REG_RIP]--;
        *breakpoint = overwritten;
        breakpoint = nullptr;
        registers[REG_EFL] |= trap_flag;
    }
    uintptr_t instruction = registers[REG_RIP];
    bool was_in_assembly = in_assembly;
    in_assembly = is_assembly(instruction);
    if (in_assembly) return visit(instruction);
    uintptr_t return_address = *reinterpret_cast<uintptr_t *>(registers[REG_RSP]);
    if (was_in_assembly && is_assembly(return_address)) {
        breakpoint = reinterpret_cast<unsigned char *>(return_address);
        overwritten = *breakpoint;
        *breakpoint = 0xcc;
        registers[REG_EFL] &= ~trap_flag;
    }
}

inline int find_shim(dl_phdr_info *info, size_t, void *) {
    if (!std::strstr(info->dlpi_name, "librocblas.so.5")) return 0;
    base = info->dlpi_addr;
    for (char *text = std::getenv("ASSEMBLY"); text && *text;) {
        uintptr_t from = std::strtoul(text, &text, 16), to = std::strtoul(text + 1, &text, 16);
        ranges.push_back({base + from, base + to});
        if (*text == ',') text++;
    }
    for (const Range &range : ranges) {
        uintptr_t page = range.from & -4096ul;
        mprotect(reinterpret_cast<void *>(page), range.to - page, PROT_READ | PROT_WRITE | PROT_EXEC);
    }
    return 1;
}

inline void prepare(void (*before_each)(uintptr_t)) {
    visit = before_each;
    if (!dl_iterate_phdr(find_shim, nullptr) || ranges.empty()) {
        std::fprintf(stderr, "no shim, or no ASSEMBLY\n");
        std::exit(3);
    }
    struct sigaction action {};
    action.sa_sigaction = on_trap;
    // Exceptions may leave the handler, and the next trap must still be delivered.
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGTRAP, &action, nullptr);
}

inline void start() {
    next = Trap::start;
    asm volatile("int3" ::: "memory");
}

inline void stop() {
    next = Trap::stop;
    asm volatile("int3" ::: "memory");
}

} // namespace stepping
