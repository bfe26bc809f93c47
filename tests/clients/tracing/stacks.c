/* Calls from functions whose names identify the caller.
 *
 *   named     main, outer and inner call sscal three times, main and other dscal once
 *   threads   the same from sixteen threads, a hundred times each
 *   forks     inner calls in a child and in its parent
 *   deep      a function that calls itself a hundred times calls sscal
 *   generated code without unwind tables calls sscal
 *   loaded    a library that is loaded after the first call calls sscal: `library_calls` of the second argument */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <rocblas.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* Not inlined, not cloned, and no call is a jump. */
#define KEPT __attribute__((noinline, noclone))
#define NO_TAIL_CALL __asm__ volatile("" ::: "memory")

static void *there = (void *)1;

KEPT void inner(int n) {
    float alpha = 2, x;
    rocblas_sscal(there, n, &alpha, &x, 1);
    NO_TAIL_CALL;
}

KEPT void outer(int n) {
    inner(n);
    NO_TAIL_CALL;
}

KEPT void other(void) {
    double alpha = 2, x;
    rocblas_dscal(there, 1, &alpha, &x, 1);
    NO_TAIL_CALL;
}

KEPT void deep(int n) {
    if (n > 0) deep(n - 1);
    else inner(1);
    NO_TAIL_CALL;
}

KEPT void *thread(void *argument) {
    for (int n = 0; n < 100; n++) outer(n);
    NO_TAIL_CALL;
    return argument;
}

/* sub rsp, 8; call rsi; add rsp, 8; ret */
static const unsigned char GENERATED[] = {0x48, 0x83, 0xec, 8, 0xff, 0xd6, 0x48, 0x83, 0xc4, 8, 0xc3};

KEPT void generated(void) {
    void *code = mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (code == MAP_FAILED) exit(2);
    memcpy(code, GENERATED, sizeof GENERATED);
    ((void (*)(int, void (*)(int)))code)(1, inner);
    NO_TAIL_CALL;
}

int main(int argc, char **argv) {
    if (!strcmp(argv[1], "named")) {
        for (int n = 0; n < 3; n++) outer(n);
        other();
    } else if (!strcmp(argv[1], "threads")) {
        pthread_t threads[16];
        for (int n = 0; n < 16; n++) pthread_create(&threads[n], 0, thread, 0);
        for (int n = 0; n < 16; n++) pthread_join(threads[n], 0);
    } else if (!strcmp(argv[1], "forks")) {
        outer(1);
        pid_t child = fork();
        if (child) waitpid(child, 0, 0);
        outer(2);
    } else if (!strcmp(argv[1], "deep")) {
        deep(100);
    } else if (!strcmp(argv[1], "generated")) {
        generated();
    } else if (!strcmp(argv[1], "loaded")) {
        outer(1);
        void *library = dlopen(argv[2], RTLD_NOW);
        if (!library) return 3;
        ((void (*)(void (*)(int)))dlsym(library, "library_calls"))(inner);
    }
    return 0;
}
