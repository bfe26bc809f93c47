/* measured FILE PROGRAM ARGUMENTS...: runs a program, writes its peak memory in KiB into the file, and ends
 * in the same way. The kernel's count for a child includes the memory of its parent before the program was
 * loaded, so the parent must be small. */
#define _GNU_SOURCE
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int argc, char **argv) {
    pid_t child;
    int status;
    struct rusage usage;
    if (argc < 3 || posix_spawnp(&child, argv[2], 0, 0, argv + 2, environ)) return 127;
    while (wait4(child, &status, 0, &usage) != child) {}
    FILE *file = fopen(argv[1], "w");
    if (!file) return 126;
    fprintf(file, "%ld\n", usage.ru_maxrss);
    fclose(file);
    if (WIFSIGNALED(status)) {
        struct rlimit none = {0, 0};
        setrlimit(RLIMIT_CORE, &none);
        signal(WTERMSIG(status), SIG_DFL);
        raise(WTERMSIG(status));
    }
    return WEXITSTATUS(status);
}
