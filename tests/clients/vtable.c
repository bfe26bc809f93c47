/* Checks whether the exported vtable is complete before the backend is published. Its page is read-only, so
 * each store to it runs a signal handler, which queries the backend in use. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

enum { SIZE = 32, TRAP_FLAG = 0x100 };

static char *vtable;
static char *page;
static long page_size;
static int stores, late;

/* Permits the store, with a trap after it. */
static void on_store(int number, siginfo_t *info, void *context) {
    mprotect(page, page_size, PROT_READ | PROT_WRITE);
    char *address = info->si_addr;
    if (address < page || address >= page + page_size) abort();
    if (address >= vtable && address < vtable + SIZE) {
        stores++;
        late |= *rocblas_shim_backend_name() != 0;
    }
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] |= TRAP_FLAG;
}

static void after_store(int number, siginfo_t *info, void *context) {
    ((ucontext_t *)context)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG;
    mprotect(page, page_size, PROT_READ);
}

static void handle(int number, void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    sigaction(number, &action, 0);
}

int main(void) {
    static const char zeros[SIZE];
    vtable = dlsym(RTLD_DEFAULT, "_ZTV24rocblas_internal_ostream");
    if (!vtable || memcmp(vtable, zeros, SIZE) != 0) return 2;
    page_size = sysconf(_SC_PAGESIZE);
    page = (char *)((size_t)vtable & ~(page_size - 1));
    setenv("ROCBLAS_SHIM_BACKEND", getenv("BACKEND_LATER"), 1);
    handle(SIGSEGV, on_store);
    handle(SIGTRAP, after_store);
    mprotect(page, page_size, PROT_READ);
    int answer = rocblas_sscal(0, 0, 0, 0, 0);
    mprotect(page, page_size, PROT_READ | PROT_WRITE);
    printf("answer=%d stored=%d filled=%d late=%d\n", answer, stores > 0,
           memcmp(vtable, zeros, SIZE) != 0, late);
    return 0;
}
