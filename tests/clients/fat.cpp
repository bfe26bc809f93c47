// Two translation units with kernels, registered like hipcc's start-up code does: launches a kernel of each,
// throws through this code, and looks itself up as an unwinder does. LIBRARY omits `main`, CLIENT everything
// else.

extern "C" int use_kernels();

#ifndef CLIENT
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <link.h>
#include <stdexcept>
#include <string>

struct Dim3 {
    unsigned x, y, z;
};

// The layout in fat.s.
struct Record {
    unsigned magic, version;
    const char *bundle;
    void *unused;
};

extern "C" {
extern const Record records[3];
void **__hipRegisterFatBinary(const void *);
void __hipRegisterFunction(void **, const void *, char *, const char *, unsigned, void *, void *, void *,
                           void *, int *);
int hipLaunchKernel(const void *, Dim3, Dim3, void **, size_t, void *);
}

static int values[4] = {1, 2, 3, 4};

// A page or more that must be at the same address in the reduced file.
static const char text[] = "constant";

__attribute__((noinline)) static void fail(const char *why) {
    throw std::runtime_error(why);
}

static int find_self(dl_phdr_info *info, size_t, void *found) {
    bool loaded = false, dynamic = false, frames = false;
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const ElfW(Phdr) &header = info->dlpi_phdr[i];
        uintptr_t own = reinterpret_cast<uintptr_t>(&use_kernels) - info->dlpi_addr;
        loaded |= header.p_type == PT_LOAD && own - header.p_vaddr < header.p_memsz;
        dynamic |= header.p_type == PT_DYNAMIC;
        frames |= header.p_type == PT_GNU_EH_FRAME;
    }
    *static_cast<int *>(found) += loaded && dynamic && frames;
    return 0;
}

extern "C" int use_kernels() {
    static const char stubs[2] = {};
    for (int i = 0; i < 2; ++i) {
        std::string name = "kernel" + std::to_string(i);
        void **handle = __hipRegisterFatBinary(&records[i]);
        __hipRegisterFunction(handle, &stubs[i], name.data(), name.c_str(), -1, nullptr, nullptr, nullptr,
                              nullptr, nullptr);
        std::printf("launch %d: %d\n", i, hipLaunchKernel(&stubs[i], {1, 1, 1}, {64, 1, 1}, nullptr, 0, nullptr));
    }
    std::printf("same bundle: %d\n", records[0].bundle == records[2].bundle);
    try {
        fail(text);
    } catch (const std::exception &error) {
        std::printf("caught: %s\n", error.what());
    }
    int found = 0;
    dl_iterate_phdr(find_self, &found);
    std::printf("objects with this function: %d\n", found);
    std::printf("values: %d %d %d %d\n", values[0], values[1], values[2], values[3]);
    std::fflush(stdout);
    return 0;
}
#endif

#ifndef LIBRARY
int main() {
    return use_kernels();
}
#endif
