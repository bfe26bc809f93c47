/* Threads that are cancelled around traced calls.
 *
 * cancelled pending deferred | asynchronous
 *     A thread with a pending cancellation calls: its first call, calls on the slow path, and others, up to a
 *     cancellation point of its own. With asynchronous cancelability, it disables that for the calls. Prints how
 *     many calls returned.
 * cancelled within deferred | asynchronous
 *     A thread is cancelled in the backend's function, which is a cancellation point.
 * cancelled anywhere [THREADS]
 *     Threads of asynchronous cancelability are cancelled at any instruction, early in their life. Then another
 *     thread calls, which shows that no lock is held.
 * cancelled exits
 *     A thread ends by pthread_exit in the backend's function. */
#define _GNU_SOURCE
#include <pthread.h>
#include <rocblas.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int returned, ready;
static int asynchronous;
static float alpha = 1, x;

/* The return value of a thread that was not cancelled. */
#define went_on ((void *)&x)

static void call(int n) {
    float near = 1;
    /* On the stack, and elsewhere. */
    if (rocblas_sscal(0, n, n % 2 ? &near : &alpha, &x, 1) != 77) abort();
    returned++;
}

static void *calls_while_pending(void *argument) {
    int old;
    if (asynchronous) {
        pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &old);
        pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    }
    /* Cancels itself, so that the cancellation is pending from here on. */
    pthread_cancel(pthread_self());
    for (int n = 0; n < 2000; n++) call(n);
    if (asynchronous) pthread_setcancelstate(PTHREAD_CANCEL_ENABLE, &old);
    pthread_testcancel();
    return went_on;
}

static void wait_there(int n) {
    ready = 1;
    for (;;) pause();
}

static void exit_there(int n) { pthread_exit(PTHREAD_CANCELED); }

static void *calls_what_ends(void *end_there) {
    int old;
    if (asynchronous) pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    call(1);
    rocblas_dcopy(0, 1, end_there, 1, 0, 1);
    return went_on;
}

static void *calls_until_cancelled(void *argument) {
    int old;
    pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, &old);
    ready = 1;
    for (int n = 0; n < 300; n++) call(n);
    for (;;) pause();
    return went_on;
}

static void must_be_cancelled(pthread_t thread) {
    void *result;
    pthread_join(thread, &result);
    /* Not PTHREAD_CANCELED if glibc 2.36 acts on it in pthread_setcancelstate. */
    if (result == went_on) abort();
}

int main(int argc, char **argv) {
    pthread_t thread;
    asynchronous = argc > 2 && !strcmp(argv[2], "asynchronous");
    if (!strcmp(argv[1], "pending")) {
        pthread_create(&thread, 0, calls_while_pending, 0);
        must_be_cancelled(thread);
    }
    if (!strcmp(argv[1], "within")) {
        pthread_create(&thread, 0, calls_what_ends, (void *)wait_there);
        while (!ready) usleep(1000);
        pthread_cancel(thread);
        must_be_cancelled(thread);
    }
    if (!strcmp(argv[1], "exits")) {
        pthread_create(&thread, 0, calls_what_ends, (void *)exit_there);
        must_be_cancelled(thread);
    }
    if (!strcmp(argv[1], "anywhere")) {
        int threads = argc > 2 ? atoi(argv[2]) : 1;
        for (int i = 0; i < threads; i++) {
            ready = 0;
            pthread_create(&thread, 0, calls_until_cancelled, 0);
            while (!ready) sched_yield();
            /* From the first instructions of the first call on, up to some hundred calls. */
            for (volatile int spin = 0; spin < i * 40; spin++) {}
            pthread_cancel(thread);
            must_be_cancelled(thread);
        }
    }
    printf("%d\n", (int)returned);
    fflush(stdout);
    /* The program continues. */
    asynchronous = 0;
    pthread_create(&thread, 0, calls_what_ends, (void *)exit_there);
    must_be_cancelled(thread);
    call(5);
    return 0;
}
