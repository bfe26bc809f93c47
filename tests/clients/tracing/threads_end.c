/* Threads that end, one after the other, and one whose destructors call rocBLAS while it ends. */
#include <pthread.h>
#include <rocblas.h>

static pthread_key_t early, late;
static float alpha = 1, x;

static void call_once(void *n) { rocblas_sscal(0, (int)(long)n, &alpha, &x, 1); }

static void call_later(void *n) {
    /* In every round of destructors. */
    call_once(n);
    if ((long)n < 1003) pthread_setspecific(late, (void *)((long)n + 1));
}

static void *calls(void *count) {
    for (long i = 0; i < (long)count; i++) rocblas_sscal(0, (int)i, &alpha, &x, 1);
    return 0;
}

static void *calls_at_the_end(void *count) {
    pthread_setspecific(early, (void *)900L);
    calls(count);
    pthread_setspecific(late, (void *)1000L);
    return 0;
}

int main(void) {
    pthread_key_create(&early, call_once);
    calls((void *)1L);
    pthread_key_create(&late, call_later);
    for (long i = 0; i < 3; i++) {
        pthread_t thread;
        pthread_create(&thread, 0, i == 2 ? calls_at_the_end : calls, (void *)(10 * (i + 1)));
        pthread_join(thread, 0);
    }
    return 0;
}
