/* Ends in the given way while THREADS threads call rocBLAS, and records in a file how many calls each of them
 * had completed, because it may be killed before it could print that.
 *
 * ends HOW COUNTS */
#include <fcntl.h>
#include <pthread.h>
#include <rocblas.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { THREADS = 4, ENOUGH = 3000 };

static _Atomic long *completed;

static void *call(void *argument) {
    long thread = (long)argument;
    float alpha = 1, x;
    for (int n = 0;; n++) {
        rocblas_sscal(0, n, &alpha, &x, (int)thread);
        atomic_store_explicit(&completed[thread], n + 1, memory_order_release);
    }
    return 0;
}

int main(int argc, char **argv) {
    int file = open(argv[2], O_RDWR | O_CREAT, 0600);
    if (argc != 3 || ftruncate(file, 4096)) return 2;
    completed = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    pthread_t threads[THREADS];
    for (long i = 0; i < THREADS; i++) pthread_create(&threads[i], 0, call, (void *)i);
    for (int i = 0; i < THREADS; i++)
        while (atomic_load(&completed[i]) < ENOUGH) usleep(100);
    if (!strcmp(argv[1], "SIGKILL")) kill(getpid(), SIGKILL);
    if (!strcmp(argv[1], "SIGSEGV")) *(volatile int *)8 = 1;
    if (!strcmp(argv[1], "abort")) abort();
    if (!strcmp(argv[1], "_exit")) _exit(0);
    if (!strcmp(argv[1], "exit")) exit(0);
    if (!strcmp(argv[1], "return")) return 0;
    if (!strcmp(argv[1], "execve")) execl("/bin/true", "true", (char *)0);
    return 2;
}
