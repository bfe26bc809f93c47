/* Calls sscal with dimensions of 0 to COUNT - 1, prints that, and exits with the number of failed calls. On a
 * backend with `chatty` in its name it first calls dscal twice.
 *
 * compared COUNT [HOW]
 *   abort   aborts if a call failed
 *   read    prints what it reads from standard input
 *   wait    waits for a signal
 *   ignore  the same, and ignores SIGINT */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rocblas.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    const char *(*name)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "rocblas_shim_backend_name");
    const char *how = count > 2 ? arguments[2] : "";
    int calls = atoi(arguments[1]), failed = 0;
    float alpha = 1, x;
    double beta = 1, y;
    if (!strcmp(how, "ignore")) signal(SIGINT, SIG_IGN);
    if (calls && strstr(name(), "chatty"))
        for (int i = 0; i < 2; i++) rocblas_dscal(0, 7, &beta, &y, 1);
    for (int n = 0; n < calls; n++) failed += rocblas_sscal(0, n, &alpha, &x, 1) != rocblas_status_success;
    printf("%d calls on %s\n", calls, name());
    if (!strcmp(how, "read")) printf("reads %d\n", getchar());
    fflush(stdout);
    if (!strcmp(how, "wait") || !strcmp(how, "ignore"))
        for (;;) pause();
    if (failed && !strcmp(how, "abort")) abort();
    return failed;
}
