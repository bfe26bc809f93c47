/* A parent and its child make calls after the fork; the child forks again. */
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void calls(int first, int count) {
    float alpha = 1, x;
    for (int i = 0; i < count; i++) rocblas_sscal(0, first + i, &alpha, &x, 1);
}

int main(void) {
    calls(100, 5);
    if (fork() == 0) {
        calls(200, 7);
        if (fork() == 0) {
            calls(300, 3);
            _exit(0);
        }
        wait(0);
        _exit(0);
    }
    wait(0);
    calls(105, 5);
    puts(rocblas_shim_trace_directory());
    return 0;
}
