/* Calls the functions that were added after rocBLAS 5.0 and prints what they return, and how many numbers or
 * bits are wrong: `later host`, or `later device` with scalars and arrays in HIP's memory. Numbers are
 * small integers, exact in every type. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <rocblas.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int on_device;
static rocblas_handle handle;
static int (*allocate)(void **, size_t);
static int (*copy)(void *, const void *, size_t, int);

/* A copy of host memory in the memory that the functions read. */
static void *placed(const void *from, size_t size) {
    void *to = 0;
    if (!on_device) {
        to = malloc(size);
        memcpy(to, from, size);
        return to;
    }
    if (allocate(&to, size) != 0 || copy(to, from, size, 1) != 0) exit(3);
    return to;
}

static void fetch(void *to, const void *from, size_t size) {
    if (!on_device) memcpy(to, from, size);
    else if (copy(to, from, size, 2) != 0) exit(3);
}

static uint16_t half(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    if (value == 0) return 0;
    return (bits >> 16 & 0x8000) | (((bits >> 23 & 0xff) - 127 + 15) << 10) | (bits >> 13 & 0x3ff);
}

static uint16_t brain(float value) {
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits >> 16;
}

/* Writes a number in a type; returns how many bytes it has. */
static size_t put(void *place, rocblas_datatype type, double value) {
    float single = (float)value;
    uint16_t bits;
    switch (type) {
    case rocblas_datatype_f16_r: bits = half(single); memcpy(place, &bits, 2); return 2;
    case rocblas_datatype_bf16_r: bits = brain(single); memcpy(place, &bits, 2); return 2;
    case rocblas_datatype_f32_r: memcpy(place, &single, 4); return 4;
    default: memcpy(place, &value, 8); return 8;
    }
}

static unsigned seed;
static int small(void) {
    seed = seed * 1103515245u + 12345u;
    return (int)(seed >> 16) % 5 - 2;
}

enum { ROOM = 64 * 64 };

/* The number of elements of C that differ from the expected bits, inside and outside the triangle. */
static int rank_k(rocblas_datatype a_type, rocblas_datatype c_type, rocblas_fill uplo,
                  rocblas_operation trans, int n, int k, float alpha, float beta) {
    static double a[ROOM], c[ROOM];
    static unsigned char a_bytes[8 * ROOM], before[8 * ROOM], after[8 * ROOM], expected[8 * ROOM];
    int rows = trans == rocblas_operation_none ? n : k, columns = n + k - rows;
    int lda = rows + 1, ldc = n + 2;
    size_t a_size = put(a_bytes, a_type, 0), c_size = put(before, c_type, 0);
    for (int i = 0; i < lda * columns; i++) put(a_bytes + i * a_size, a_type, a[i] = small());
    /* NaNs: in the other triangle, between columns, and in C if it is not read. */
    memset(before, 0xff, c_size * ldc * n);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++)
            if (uplo == rocblas_fill_lower ? i >= j : i <= j) {
                c[i + j * ldc] = small();
                if (beta != 0) put(before + (i + j * ldc) * c_size, c_type, c[i + j * ldc]);
            }
    memcpy(expected, before, c_size * ldc * n);
    for (int j = 0; j < n; j++)
        for (int i = 0; i < n; i++)
            if (uplo == rocblas_fill_lower ? i >= j : i <= j) {
                double sum = 0;
                for (int l = 0; l < k; l++)
                    sum += trans == rocblas_operation_none ? a[i + l * lda] * a[j + l * lda]
                                                           : a[l + i * lda] * a[l + j * lda];
                double value = alpha * sum + (beta != 0 ? beta * c[i + j * ldc] : 0);
                put(expected + (i + j * ldc) * c_size, c_type, value);
            }
    void *on_a = placed(a_bytes, a_size * lda * columns + 1), *on_c = placed(before, c_size * ldc * n);
    void *on_alpha = placed(&alpha, 4), *on_beta = placed(&beta, 4);
    rocblas_status status = rocblas_syrk_ex(handle, uplo, trans, n, k, on_alpha, on_a, a_type, lda,
                                            on_beta, on_c, c_type, ldc, rocblas_datatype_f32_r);
    if (status != rocblas_status_success) return -(int)status;
    fetch(after, on_c, c_size * ldc * n);
    int wrong = 0;
    /* 0 has two signs. */
    for (size_t i = 0; i < (size_t)ldc * n; i++) {
        unsigned char zero[8] = {0}, minus[8] = {0};
        minus[c_size - 1] = 0x80;
        const unsigned char *is = after + i * c_size, *should = expected + i * c_size;
        int zeros = (!memcmp(is, minus, c_size) && !memcmp(should, zero, c_size)) ||
                    (!memcmp(is, zero, c_size) && !memcmp(should, minus, c_size));
        wrong += memcmp(is, should, c_size) != 0 && !zeros;
    }
    return wrong;
}

static void all_rank_k(void) {
    const rocblas_datatype types[][2] = {
        {rocblas_datatype_f16_r, rocblas_datatype_f16_r},
        {rocblas_datatype_f16_r, rocblas_datatype_f32_r},
        {rocblas_datatype_bf16_r, rocblas_datatype_bf16_r},
        {rocblas_datatype_bf16_r, rocblas_datatype_f32_r},
        {rocblas_datatype_f32_r, rocblas_datatype_f32_r},
    };
    const float scalars[][2] = {{1, 0}, {2, -1}, {0, 2}, {0, 0}, {0, 1}};
    const int sizes[] = {1, 2, 5, 13}, depths[] = {0, 7};
    int calls = 0, wrong = 0, status = 0;
    for (int t = 0; t < 5; t++)
        for (int u = 0; u < 2; u++)
            for (int o = 0; o < 3; o++)
                for (int i = 0; i < 4; i++)
                    for (int l = 0; l < 2; l++)
                        for (int s = 0; s < 5; s++) {
                            int is = rank_k(types[t][0], types[t][1],
                                            u ? rocblas_fill_lower : rocblas_fill_upper,
                                            (rocblas_operation)(rocblas_operation_none + o), sizes[i],
                                            depths[l], scalars[s][0], scalars[s][1]);
                            calls++;
                            if (is < 0) status = -is;
                            else wrong += is;
                        }
    printf("syrk_ex=%d calls, status %d, %d wrong\n", calls, status, wrong);
}

/* C = A A^H of one column: 1+2i, 3-i. */
static void hermitian(void) {
    const float a[] = {1, 2, 3, -1}, alpha = 2, beta = 0;
    float c[8];
    memset(c, 0xff, sizeof c);
    void *on_c = placed(c, sizeof c);
    rocblas_status status = rocblas_herk_ex(
        handle, rocblas_fill_lower, rocblas_operation_none, 2, 1, placed(&alpha, 4),
        placed(a, sizeof a), rocblas_datatype_f32_c, 2, placed(&beta, 4), on_c, rocblas_datatype_f32_c,
        2, rocblas_datatype_f32_c);
    fetch(c, on_c, sizeof c);
    printf("herk_ex=%d %g %g %g %g %g %g, above %s\n", status, c[0], c[1], c[2], c[3], c[6], c[7],
           c[4] != c[4] && c[5] != c[5] ? "kept" : "changed");
}

enum { GROUPS = 4, MOST = 6 };
static const int m[GROUPS] = {2, 0, 3, 1}, n[GROUPS] = {3, 4, 2, 1}, k[GROUPS] = {4, 2, 0, 5};
static const int lda[GROUPS] = {4, 2, 3, 5}, ldb[GROUPS] = {4, 4, 2, 5}, ldc[GROUPS] = {3, 1, 3, 2};
static const int group_sizes[GROUPS] = {2, 1, 1, 2};
static const rocblas_operation transa[GROUPS] = {
    rocblas_operation_none, rocblas_operation_none, rocblas_operation_none, rocblas_operation_transpose};
static const rocblas_operation transb[GROUPS] = {
    rocblas_operation_none, rocblas_operation_none, rocblas_operation_transpose,
    rocblas_operation_none};
static const int64_t m_64[] = {2, 0, 3, 1}, n_64[] = {3, 4, 2, 1}, k_64[] = {4, 2, 0, 5};
static const int64_t lda_64[] = {4, 2, 3, 5}, ldb_64[] = {4, 4, 2, 5}, ldc_64[] = {3, 1, 3, 2};
static const int64_t group_sizes_64[] = {2, 1, 1, 2};
static const double alphas[GROUPS] = {1, 3, 2, -1}, betas[GROUPS] = {2, 3, 2, 0};

/* Products of four groups, one of them empty and one without columns; inputs of one type, and outputs and
 * scalars of another. */
static void grouped(const char *name, int wide, int ex, rocblas_datatype type, rocblas_datatype out) {
    static double a[MOST][64], b[MOST][64], c[MOST][64];
    void *on_a[MOST], *on_b[MOST], *on_c[MOST];
    unsigned char bytes[64 * 8], alpha[64], beta[64];
    size_t size = put(bytes, type, 0), out_size = put(bytes, out, 0);
    for (int p = 0; p < MOST; p++) {
        for (int i = 0; i < 64; i++) put(bytes + i * size, type, a[p][i] = small());
        on_a[p] = placed(bytes, 64 * size);
        for (int i = 0; i < 64; i++) put(bytes + i * size, type, b[p][i] = small());
        on_b[p] = placed(bytes, 64 * size);
        for (int i = 0; i < 64; i++) put(bytes + i * out_size, out, c[p][i] = small());
        on_c[p] = placed(bytes, 64 * out_size);
    }
    for (int g = 0; g < GROUPS; g++) {
        put(alpha + g * out_size, out, alphas[g]);
        put(beta + g * out_size, out, betas[g]);
    }
    void *al = placed(alpha, GROUPS * out_size), *be = placed(beta, GROUPS * out_size);
    void *as = placed(on_a, sizeof on_a), *bs = placed(on_b, sizeof on_b), *cs = placed(on_c, sizeof on_c);
    rocblas_status status;
    if (ex && wide)
        status = rocblas_gemm_grouped_batched_ex_64(
            handle, transa, transb, m_64, n_64, k_64, al, as, type, lda_64, bs, type, ldb_64, be, cs, out,
            ldc_64, cs, out, ldc_64, GROUPS, group_sizes_64, out, rocblas_gemm_algo_standard, 0, 0);
    else if (ex)
        status = rocblas_gemm_grouped_batched_ex(
            handle, transa, transb, m, n, k, al, as, type, lda, bs, type, ldb, be, cs, out, ldc, cs, out,
            ldc, GROUPS, group_sizes, out, rocblas_gemm_algo_standard, 0, 0);
    else if (type == rocblas_datatype_f32_r && wide)
        status = rocblas_sgemm_grouped_batched_64(handle, transa, transb, m_64, n_64, k_64, al, as, lda_64,
                                                  bs, ldb_64, be, cs, ldc_64, GROUPS, group_sizes_64);
    else if (type == rocblas_datatype_f32_r)
        status = rocblas_sgemm_grouped_batched(handle, transa, transb, m, n, k, al, as, lda, bs, ldb, be,
                                               cs, ldc, GROUPS, group_sizes);
    else if (wide)
        status = rocblas_dgemm_grouped_batched_64(handle, transa, transb, m_64, n_64, k_64, al, as, lda_64,
                                                  bs, ldb_64, be, cs, ldc_64, GROUPS, group_sizes_64);
    else
        status = rocblas_dgemm_grouped_batched(handle, transa, transb, m, n, k, al, as, lda, bs, ldb, be,
                                               cs, ldc, GROUPS, group_sizes);
    int wrong = 0, p = 0;
    for (int g = 0; g < GROUPS; g++)
        for (int q = 0; q < group_sizes[g]; q++, p++) {
            for (int j = 0; j < n[g]; j++)
                for (int i = 0; i < m[g]; i++) {
                    double sum = 0;
                    for (int l = 0; l < k[g]; l++)
                        sum += (transa[g] == rocblas_operation_none ? a[p][i + l * lda[g]]
                                                                    : a[p][l + i * lda[g]]) *
                               (transb[g] == rocblas_operation_none ? b[p][l + j * ldb[g]]
                                                                    : b[p][j + l * ldb[g]]);
                    double *place = &c[p][i + j * ldc[g]];
                    *place = alphas[g] * sum + betas[g] * *place;
                }
            fetch(bytes, on_c[p], 64 * out_size);
            for (int i = 0; i < 64; i++) {
                unsigned char should[8];
                put(should, out, c[p][i] == 0 ? 0 : c[p][i]);
                double is = 0;
                if (out == rocblas_datatype_f32_r) { float single; memcpy(&single, bytes + i * 4, 4); is = single; }
                else memcpy(&is, bytes + i * 8, 8);
                wrong += is != c[p][i];
            }
        }
    printf("%s=status %d, %d wrong\n", name, status, wrong);
}

/* In the order in which rocBLAS checks the arguments. */
static void statuses(void) {
    const float zero_and_one[] = {0, 1, 2};
    const float *zero = placed(zero_and_one, 12), *one = zero + 1;
    void *some = placed(zero_and_one, 12);
    const rocblas_datatype h = rocblas_datatype_f16_r, s = rocblas_datatype_f32_r;
    const rocblas_datatype d = rocblas_datatype_f64_r;
    const rocblas_fill upper = rocblas_fill_upper, full = rocblas_fill_full;
    const rocblas_operation none = rocblas_operation_none, trans = rocblas_operation_transpose;
    printf("syrk_ex order=%d %d %d %d %d %d %d %d %d %d %d %d\n",
           rocblas_syrk_ex(0, full, none, 0, -1, 0, 0, h, 0, 0, 0, h, 0, s),
           rocblas_syrk_ex(handle, full, none, 0, -1, 0, 0, d, 0, 0, 0, h, 0, s),
           rocblas_syrk_ex(handle, full, none, -1, -1, 0, 0, d, 0, 0, 0, h, 0, s),
           rocblas_syrk_ex(handle, full, none, -1, -1, 0, 0, h, 0, 0, 0, h, 0, s),
           rocblas_syrk_ex(handle, upper, (rocblas_operation)9, -1, 1, 0, 0, h, 0, 0, 0, h, 0, s),
           rocblas_syrk_ex(handle, upper, none, -1, 1, 0, 0, h, 0, 0, 0, h, 0, s),
           rocblas_syrk_ex(handle, upper, none, 4, 1, 0, 0, h, 3, 0, 0, h, 4, s),
           rocblas_syrk_ex(handle, upper, trans, 1, 4, 0, 0, h, 3, 0, 0, h, 1, s),
           rocblas_syrk_ex(handle, upper, none, 1, 1, 0, some, h, 1, one, some, h, 1, s),
           rocblas_syrk_ex(handle, upper, none, 1, 1, one, some, h, 1, 0, some, h, 1, s),
           rocblas_syrk_ex(handle, upper, none, 1, 1, one, 0, h, 1, one, some, h, 1, s),
           rocblas_syrk_ex(handle, upper, none, 1, 1, one, some, h, 1, one, 0, h, 1, s));
    printf("syrk_ex nothing to do=%d %d %d\n",
           rocblas_syrk_ex(handle, upper, none, 1, 1, zero, 0, h, 1, one, 0, h, 1, s),
           rocblas_syrk_ex(handle, upper, none, 1, 0, 0, 0, h, 1, one, 0, h, 1, s),
           rocblas_syrk_ex(handle, upper, none, 1, 1, zero, 0, h, 1, zero, 0, h, 1, s));
    const double doubles[] = {0, 1};
    const double *dzero = placed(doubles, 16), *done = dzero + 1;
    printf("syrk_ex in f64=%d %d %d\n",
           rocblas_syrk_ex(handle, upper, none, -1, 1, done, some, s, 1, done, some, s, 1, d),
           rocblas_syrk_ex(handle, upper, none, 1, 1, dzero, 0, s, 1, done, 0, s, 1, d),
           rocblas_syrk_ex(handle, upper, none, 1, 1, done, some, s, 1, done, some, s, 1, d));
    const rocblas_datatype c = rocblas_datatype_f32_c, z = rocblas_datatype_f64_c;
    printf("herk_ex order=%d %d %d %d %d %d %d %d %d\n",
           rocblas_herk_ex(0, full, none, 0, -1, 0, 0, c, 0, 0, 0, c, 0, z),
           rocblas_herk_ex(handle, full, none, 0, -1, 0, 0, c, 0, 0, 0, c, 0, z),
           rocblas_herk_ex(handle, full, none, -1, -1, 0, 0, s, 0, 0, 0, s, 0, s),
           rocblas_herk_ex(handle, full, none, -1, -1, 0, 0, c, 0, 0, 0, c, 0, z),
           rocblas_herk_ex(handle, upper, trans, 1, 1, done, some, c, 1, done, some, c, 1, z),
           rocblas_herk_ex(handle, upper, none, -1, 1, done, some, c, 1, done, some, c, 1, z),
           rocblas_herk_ex(handle, upper, none, 1, 1, dzero, 0, c, 1, done, 0, c, 1, z),
           rocblas_herk_ex(handle, upper, none, 1, 1, done, 0, c, 1, done, some, c, 1, z),
           rocblas_herk_ex(handle, upper, none, 1, 1, done, some, c, 1, done, some, c, 1, z));

    const int i1 = 1, i0 = 0, bad = -1, big = 0x7fffffff, two[] = {1, 1}, bigs[] = {big, 1};
    const float *const *p = placed(&some, sizeof some);
    float *const *q = (float *const *)p;
    const rocblas_operation ops[] = {none, none}, wrong = (rocblas_operation)9;
#define GROUPED(h, ta, tb, m, n, k, al, a, lda, b, ldb, be, c, ldc, count, sizes)                     \
    rocblas_sgemm_grouped_batched(h, ta, tb, m, n, k, al, a, lda, b, ldb, be, c, ldc, count, sizes)
    printf("grouped order=%d %d %d %d %d %d %d %d %d %d %d %d\n",
           GROUPED(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0),
           GROUPED(handle, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, -1, 0),
           GROUPED(handle, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
           GROUPED(handle, ops, ops, &bad, &i1, &i1, 0, p, &i1, p, &i1, one, q, &i1, 1, &bad),
           GROUPED(handle, &wrong, ops, &i1, &i1, &i1, one, p, &i1, p, &i1, one, q, &i1, 1, &bad),
           GROUPED(handle, &wrong, ops, &bad, &i1, &i1, one, p, &i1, p, &i1, one, q, &i1, 1, &i1),
           GROUPED(handle, ops, ops, &bad, &i1, &i1, one, 0, &i1, p, &i1, one, q, &i1, 1, &i1),
           GROUPED(handle, ops, ops, &i1, &i1, &i1, one, 0, &i0, p, &i1, one, q, &i1, 1, &i1),
           GROUPED(handle, ops, ops, two, two, two, one, p, two, p, two, one, q, two, 2, bigs),
           GROUPED(handle, ops, ops, &i1, &i1, &i1, one, 0, &i1, p, &i1, one, q, &i1, 1, &i1),
           GROUPED(handle, ops, ops, &i0, &i1, &i1, one, 0, &i1, 0, &i1, one, 0, &i1, 1, &i1),
           GROUPED(handle, ops, ops, &i1, &i1, &i1, zero, 0, &i1, 0, &i1, one, 0, &i1, 1, &i1));
    const void *const *v = (const void *const *)p;
    void *const *w = (void *const *)p;
    const rocblas_gemm_algo algo = rocblas_gemm_algo_standard;
    void *const *other = placed(&some, sizeof some);
    printf("grouped ex order=%d %d %d %d %d %d %d\n",
           rocblas_gemm_grouped_batched_ex(handle, ops, ops, &i1, &i1, &i1, one, v, s, &i1, v, s, &i1, one,
                                           v, s, &i1, w, s, 0, 1, &i1, s, algo, 0, 0),
           rocblas_gemm_grouped_batched_ex(handle, ops, ops, &i1, &i1, &i1, one, v, s, &i1, v, s, &i1, one,
                                           v, s, &i1, w, s, &i1, 1, &bad, rocblas_datatype_i8_r, algo, 0, 0),
           rocblas_gemm_grouped_batched_ex(handle, ops, ops, &i1, &i1, &i1, one, v, s, &i1, v, s, &i1, one,
                                           v, s, &i1, 0, s, &i1, 1, &i1, s, algo, 0, 0),
           rocblas_gemm_grouped_batched_ex(handle, ops, ops, &i1, &i1, &i1, one, v, s, &i1, v, s, &i1, one,
                                           0, s, &i1, w, s, &i1, 1, &i1, s, algo, 0, 0),
           rocblas_gemm_grouped_batched_ex(handle, ops, ops, &i1, &i1, &i1, one, v, s, &i1, v, s, &i1, one,
                                           v, s, &big, w, s, &i1, 1, &i1, s, algo, 0, 0),
           rocblas_gemm_grouped_batched_ex(handle, ops, ops, &i1, &i1, &i1, one, v, s, &i1, v, s, &i1, one,
                                           v, h, &i1, w, s, &i1, 1, &i1, s, algo, 0, 0),
           rocblas_gemm_grouped_batched_ex(handle, ops, ops, &i1, &i1, &i1, one, v, s, &i1, v, s, &i1, one,
                                           v, h, &i1, other, s, &i1, 1, &i1, s, algo, 0, 0));
    rocblas_stride stride = 9, beta_stride = 9;
    int set = rocblas_set_batch_alpha_stride(handle, 0), refused = rocblas_set_batch_alpha_stride(handle, 4);
    int set_beta = rocblas_set_batch_beta_stride(handle, 0);
    int refused_beta = rocblas_set_batch_beta_stride(handle, -1);
    int got = rocblas_get_batch_alpha_stride(handle, &stride);
    int got_beta = rocblas_get_batch_beta_stride(handle, &beta_stride);
    printf("strides=%d %d %d %ld, %d %d %d %ld, %d %d %d\n", set, refused, got, (long)stride, set_beta,
           refused_beta, got_beta, (long)beta_stride, rocblas_set_batch_alpha_stride(0, 4),
           rocblas_get_batch_beta_stride(0, 0), rocblas_get_batch_alpha_stride(handle, 0));
}

int main(int count, char **arguments) {
    on_device = count > 1 && strcmp(arguments[1], "device") == 0;
    rocblas_status status = rocblas_create_handle(&handle);
    printf("create=%d\n", status);
    if (status != rocblas_status_success) return 1;
    if (on_device) {
        void *runtime = dlopen("libamdhip64.so.7", RTLD_LAZY | RTLD_NOLOAD);
        if (!runtime) return 2;
        allocate = (int (*)(void **, size_t))dlsym(runtime, "hipMalloc");
        copy = (int (*)(void *, const void *, size_t, int))dlsym(runtime, "hipMemcpy");
        rocblas_set_pointer_mode(handle, rocblas_pointer_mode_device);
    }
    all_rank_k();
    hermitian();
    const rocblas_datatype h = rocblas_datatype_f16_r, s = rocblas_datatype_f32_r;
    const rocblas_datatype d = rocblas_datatype_f64_r;
    grouped("sgemm", 0, 0, s, s);
    grouped("sgemm_64", 1, 0, s, s);
    grouped("dgemm", 0, 0, d, d);
    grouped("dgemm_64", 1, 0, d, d);
    grouped("gemm_ex", 0, 1, h, s);
    grouped("gemm_ex_64", 1, 1, h, s);
    statuses();
    rocblas_pointer_mode mode = rocblas_pointer_mode_host;
    rocblas_get_pointer_mode(handle, &mode);
    printf("pointer mode=%s\n", mode == rocblas_pointer_mode_device ? "device" : "host");
    return 0;
}
