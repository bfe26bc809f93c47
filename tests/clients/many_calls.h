/* The operands of many_calls.c, made of numbers that are the same in every run.
 *
 * All bytes of an operand that no element occupies, and elements that a function must not read, are 0xff, which is
 * NaN in every type. Functions read no such byte and write none. */
#include <rocblas.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum type { H, BF, S, D, C, Z };
static const size_t SIZES[] = {2, 2, 4, 8, 8, 16};
enum { MOST = 3, ARENA = 8 << 20 };

static uint64_t state;

static uint64_t bits(void) {
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static int below(int limit) { return (int)(bits() % (uint64_t)limit); }

static int coin(void) { return below(2); }

/* Between -1 and 1, with as many bits as a double has. */
static double number(void) { return (double)(int64_t)(bits() >> 11) / (1ll << 52) - 1; }

/* Sometimes 0, and sometimes more than kernels compute in one block. */
static int size(void) {
    int kind = below(64);
    return kind < 3 ? 0 : kind == 3 ? 65 + below(20) : 1 + below(24);
}

static int increment(void) {
    static const int some[] = {1, 1, 1, 2, 3, -1, -2};
    return some[below(7)];
}

static void put(enum type type, void *place, double re, double im) {
    float single[] = {(float)re, (float)im};
    double both[] = {re, im};
    uint32_t word;
    uint16_t half;
    switch (type) {
    case H:
        /* The exponent is rebiased, and halves have 13 fewer bits of the mantissa. Small numbers become zero. */
        memcpy(&word, single, 4);
        half = (word >> 16) & 0x8000;
        if ((word & 0x7fffffff) >= 0x38800000) half |= ((word & 0x7fffffff) - 0x38000000) >> 13;
        memcpy(place, &half, 2);
        break;
    case BF: memcpy(place, (char *)single + 2, 2); break;
    case S: case C: memcpy(place, single, SIZES[type]); break;
    case D: case Z: memcpy(place, both, SIZES[type]); break;
    }
}

/* The memory of a call's operands, from which the outputs' digest is computed. */
static unsigned char arena[ARENA] __attribute__((aligned(64)));
static size_t used;

static void *room(size_t bytes) {
    void *place = arena + used;
    used += (bytes + 63) / 64 * 64 + 64;
    if (used > ARENA) abort();
    memset(place, 0xff, used - (size_t)((unsigned char *)place - arena));
    return place;
}

static uint64_t digest(const void *bytes, size_t count, uint64_t hash) {
    for (size_t i = 0; i < count; i++) hash = (hash ^ ((const unsigned char *)bytes)[i]) * 0x100000001b3u;
    return hash;
}

/* A vector or a matrix, or a batch of them, in the three forms that functions accept. */
struct operand {
    void *at;
    void **table;
    int ld; /* or the increment */
    int64_t stride;
};

static int batch;

static struct operand operand(enum type type, int64_t span, int ld) {
    static void *tables[8][MOST];
    static int next;
    int64_t stride = span + below(5);
    struct operand made = {room((size_t)(stride * batch) * SIZES[type]), tables[next++ % 8], ld, stride};
    /* In reverse: any order is valid. */
    for (int p = 0; p < batch; p++)
        made.table[batch - 1 - p] = (char *)made.at + (size_t)(p * stride) * SIZES[type];
    return made;
}

static struct operand vector(enum type type, int n, int inc) {
    int step = inc < 0 ? -inc : inc;
    struct operand x = operand(type, n ? 1 + (int64_t)(n - 1) * step : 1, inc);
    for (int p = 0; p < batch; p++)
        for (int i = 0; i < n; i++)
            put(type, (char *)x.at + (size_t)(p * x.stride + i * step) * SIZES[type], number(), number());
    return x;
}

static char *element(enum type type, struct operand a, int p, int i, int j) {
    return (char *)a.at + (size_t)(p * a.stride + (int64_t)j * a.ld + i) * SIZES[type];
}

static struct operand matrix_of(enum type type, int rows, int columns, int ld) {
    struct operand a = operand(type, (int64_t)ld * (columns ? columns : 1), ld);
    for (int p = 0; p < batch; p++)
        for (int j = 0; j < columns; j++)
            for (int i = 0; i < rows; i++) put(type, element(type, a, p, i, j), number(), number());
    return a;
}

static struct operand matrix(enum type type, int rows, int columns) {
    return matrix_of(type, rows, columns, (rows ? rows : 1) + below(4));
}

/* Elements that are not read: of C where beta is zero. */
static void blank(enum type type, struct operand a, int rows, int columns) {
    for (int p = 0; p < batch; p++)
        for (int j = 0; j < columns; j++)
            memset(element(type, a, p, 0, j), 0xff, (size_t)rows * SIZES[type]);
}

/* A triangle that can be solved with; the other one is NaN or numbers, which are not read. */
static struct operand triangle(enum type type, int n, rocblas_fill fill, rocblas_diagonal diagonal) {
    struct operand a = matrix(type, n, n);
    int is_blank = coin();
    for (int p = 0; p < batch; p++)
        for (int j = 0; j < n; j++)
            for (int i = 0; i < n; i++) {
                char *place = element(type, a, p, i, j);
                int is_stored = i == j ? diagonal != rocblas_diagonal_unit : (i > j) == (fill == rocblas_fill_lower);
                if (i == j) put(type, place, 1.5 + 0.4 * number(), 0.4 * number());
                else if (is_stored) put(type, place, number() / n, number() / n);
                if (!is_stored && is_blank) memset(place, 0xff, SIZES[type]);
            }
    return a;
}

/* A scalar: often one for which functions have a special case. */
static const void *scalar(enum type type, int *is_zero) {
    static double places[8][2];
    static int next;
    double *place = places[next++ % 8];
    int kind = below(6);
    if (is_zero) *is_zero = kind == 0;
    if (kind < 2) put(type, place, kind, 0);
    else put(type, place, 1.5 * number() + 0.01, number());
    return place;
}
