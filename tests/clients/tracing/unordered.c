/* Products in eight threads, in another order in each run. Prints a digest of all results.
 *
 * unordered alike   each thread makes the same calls with data of its own, a product's result being the next one's
 *                   factor; threads start in random order
 * unordered own     the same, but each thread makes a different number of calls
 * unordered queue   threads take the next call of a queue
 * unordered sums    the same, and all of them add to one matrix, so the inputs of a call depend on the
 *                   order */
#include <pthread.h>
#include <rocblas.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 8, CALLS = 40, TASKS = 240, MOST = 18 };
/* The sizes of one product, which no other product has. */
enum { M = 18, N = 14, K = 13, SPECIAL = 12 };

static const char *how;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int next_task;
static float shared[MOST * MOST];
static uint64_t hashes[TASKS];

static uint64_t mixed(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Values of a magnitude that products of 16 terms preserve. */
static void fill(float *matrix, uint64_t seed) {
    for (int i = 0; i < MOST * MOST; i++)
        matrix[i] = 0.43f * ((float)(mixed(seed << 20 | (uint64_t)i) >> 40) / (1 << 23) - 1);
}

static uint64_t hash(const float *matrix) {
    uint64_t all = 0xcbf29ce484222325u;
    for (int i = 0; i < MOST * MOST; i++) {
        uint32_t bits;
        memcpy(&bits, matrix + i, 4);
        all = (all ^ bits) * 0x100000001b3u;
    }
    return all;
}

static void check(rocblas_status status) {
    if (status != rocblas_status_success) exit(1);
}

static void own_calls(rocblas_handle handle, int number) {
    float a[MOST * MOST], b[MOST * MOST], c[MOST * MOST], one = 1, none = 0;
    int calls = strcmp(how, "own") ? CALLS : CALLS + number;
    fill(a, number);
    for (int i = 0; i < calls; i++) {
        fill(b, 100 + number * 100 + i);
        fill(c, 7);
        int is_special = i == SPECIAL;
        check(rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, is_special ? M : 16,
                            is_special ? N : 16, is_special ? K : 16, &one, a, MOST, b, MOST, &none, c, MOST));
        memcpy(a, c, sizeof a);
        if (mixed(number * 1000 + i) % 4 == 0) usleep(1);
    }
    hashes[number] = hash(a);
}

static void queued_calls(rocblas_handle handle) {
    float a[MOST * MOST], b[MOST * MOST], c[MOST * MOST], one = 1, none = 0;
    int adds = !strcmp(how, "sums");
    for (;;) {
        pthread_mutex_lock(&lock);
        int task = next_task++;
        pthread_mutex_unlock(&lock);
        if (task >= TASKS) return;
        fill(a, task);
        fill(b, 1000 + task);
        fill(c, 7);
        int is_special = task == SPECIAL, size = 8 + task % 3 * 4;
        if (adds) pthread_mutex_lock(&lock);
        check(rocblas_sgemm(handle, rocblas_operation_none, rocblas_operation_none, is_special ? M : size,
                            is_special ? N : size, is_special ? K : size, &one, a, MOST, b, MOST,
                            adds ? &one : &none, adds ? shared : c, MOST));
        if (adds) pthread_mutex_unlock(&lock);
        hashes[task] = hash(c);
        usleep(rand() % 200);
    }
}

static void *thread(void *argument) {
    int number = (int)(long)argument;
    rocblas_handle handle;
    check(rocblas_create_handle(&handle));
    if (!strcmp(how, "queue") || !strcmp(how, "sums")) queued_calls(handle);
    else own_calls(handle, number);
    check(rocblas_destroy_handle(handle));
    return 0;
}

int main(int count, char **arguments) {
    how = count > 1 ? arguments[1] : "alike";
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    srand((unsigned)(now.tv_nsec ^ getpid()));
    int order[THREADS];
    for (int i = 0; i < THREADS; i++) {
        int other = rand() % (i + 1);
        order[i] = order[other];
        order[other] = i;
    }
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(threads + i, 0, thread, (void *)(long)order[i])) return 2;
        usleep(rand() % 2000);
    }
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], 0);
    uint64_t all = 0;
    for (int i = 0; i < TASKS; i++) all = all * 31 + hashes[i];
    printf("%016llx\n", (unsigned long long)all);
    return 0;
}
