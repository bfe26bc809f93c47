/* Code that runs within a traced call: the backend's dcopy calls the function that it is given.
 *
 * within calls | forks | ends | switches | restarts DIRECTORY
 *   calls     5,000 nested calls
 *   forks     the parent waits for the child and ends within the call; the child returns and makes more calls
 *   ends      the thread ends within the call
 *   switches  calls on two stacks of the thread: the first ends while the second is in flight
 *   restarts  another trace is started, with calls within and after this call */
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <string.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

/* Each thread makes one such call first, because its first call is recorded on another path than later ones. */
static void call(int count) {
    float alpha = 1, x;
    for (int n = 0; n < count; n++) rocblas_sscal(0, n, &alpha, &x, 1);
}

static void within(void (*function)(int), int n) { rocblas_dcopy(0, n, (void *)function, 1, 0, 1); }

static void fork_there(int n) {
    if (fork() == 0) return;
    wait(0);
    _exit(0);
}

static const char *directory;

static void restart_there(int n) {
    rocblas_shim_trace_stop();
    rocblas_shim_trace_start(directory, "");
    call(n);
}

static void end_there(int n) { pthread_exit(0); }

static void *ends(void *argument) {
    call(1);
    within(end_there, 0);
    return argument;
}

static ucontext_t home, stacks[2];

static void go_home(int n) { swapcontext(&stacks[n], &home); }

static void within_there(int n) { within(go_home, n); }

static void switch_stacks(void) {
    static char memory[2][64 << 10];
    for (int n = 0; n < 2; n++) {
        getcontext(&stacks[n]);
        stacks[n].uc_stack.ss_sp = memory[n];
        stacks[n].uc_stack.ss_size = sizeof memory[n];
        stacks[n].uc_link = &home;
        makecontext(&stacks[n], (void (*)(void))within_there, 1, n);
    }
    /* Each up to the call, and then to its end. */
    for (int i = 0; i < 4; i++) swapcontext(&home, &stacks[i % 2]);
}

int main(int argc, char **argv) {
    call(1);
    if (!strcmp(argv[1], "calls")) {
        within(call, 5000);
        call(1);
    }
    if (!strcmp(argv[1], "forks")) {
        within(fork_there, 0);
        call(3);
    }
    if (!strcmp(argv[1], "ends")) {
        pthread_t thread;
        pthread_create(&thread, 0, ends, 0);
        pthread_join(thread, 0);
    }
    if (!strcmp(argv[1], "switches")) switch_stacks();
    if (!strcmp(argv[1], "restarts")) {
        directory = argv[2];
        within(restart_there, 3);
        call(3);
    }
    return 0;
}
