/* Makes many calls of many functions with all element types, odd leading dimensions, strides, negative increments,
 * empty sizes, and outputs that are also inputs. Every run is the same: each call's operands depend only on the seed
 * and the call's number. It checks nothing and prints a digest of all outputs.
 *
 * many_calls [--calls N] [--seed N] [--each]
 *   --calls N  the number of calls; default 10000
 *   --seed N   selects the operands; default 8, with which call 7041 is a dgemm
 *   --each     prints a line for each call: its number, the function, the first sizes, the digest of its operands */
#include "many_calls.h"

static rocblas_handle handle;
/* The function, and its first sizes. */
static const char *name;
static int m, n, k;
static enum { SINGLE, BATCHED, STRIDED } form;
static int is_wide;

#define ONE(x) x.at, x.ld
#define TABLE(x) (void *)x.table, x.ld
#define STRIDE(x) x.at, x.ld, x.stride
/* A function in its six variants; ARGUMENTS is a macro for passing operands. */
#define CALL(function, ARGUMENTS)                                                                          \
    (name = #function,                                                                                     \
     form == SINGLE    ? is_wide ? function##_64(handle, ARGUMENTS(ONE)) : function(handle, ARGUMENTS(ONE)) \
     : form == BATCHED ? is_wide ? function##_batched_64(handle, ARGUMENTS(TABLE), batch)                  \
                                 : function##_batched(handle, ARGUMENTS(TABLE), batch)                     \
     : is_wide         ? function##_strided_batched_64(handle, ARGUMENTS(STRIDE), batch)                   \
                       : function##_strided_batched(handle, ARGUMENTS(STRIDE), batch))
/* The same with a result for each problem at the end. */
#define REDUCTION(function, ARGUMENTS)                                                                       \
    (name = #function,                                                                                       \
     form == SINGLE    ? is_wide ? function##_64(handle, ARGUMENTS(ONE), r) : function(handle, ARGUMENTS(ONE), r) \
     : form == BATCHED ? is_wide ? function##_batched_64(handle, ARGUMENTS(TABLE), batch, r)                 \
                                 : function##_batched(handle, ARGUMENTS(TABLE), batch, r)                    \
     : is_wide         ? function##_strided_batched_64(handle, ARGUMENTS(STRIDE), batch, r)                  \
                       : function##_strided_batched(handle, ARGUMENTS(STRIDE), batch, r))

static rocblas_operation operation(int is_complex_allowed) {
    static const rocblas_operation all[] = {rocblas_operation_none, rocblas_operation_transpose,
                                            rocblas_operation_conjugate_transpose};
    return all[below(is_complex_allowed ? 3 : 2)];
}
static rocblas_fill either_fill(void) { return coin() ? rocblas_fill_upper : rocblas_fill_lower; }
static rocblas_side either_side(void) { return coin() ? rocblas_side_left : rocblas_side_right; }
static rocblas_diagonal either_diagonal(void) {
    return coin() ? rocblas_diagonal_unit : rocblas_diagonal_non_unit;
}

/* An m by n matrix that is multiplied by beta; NaN if it is not read. */
static struct operand kept(enum type type, int rows, int columns, int is_zero) {
    struct operand c = matrix(type, rows, columns);
    if (is_zero && coin()) blank(type, c, rows, columns);
    return c;
}

#define GEMM(O) ta, tb, m, n, k, alpha, O(a), O(b), beta, O(c)
#define GEMM_OF(p, T)                                                                       \
    static rocblas_status p##_gemm(void) {                                                  \
        rocblas_operation ta = operation(1), tb = operation(1);                             \
        int is_zero;                                                                        \
        const void *alpha = scalar(T, 0), *beta = scalar(T, &is_zero);                      \
        struct operand a = ta == rocblas_operation_none ? matrix(T, m, k) : matrix(T, k, m); \
        struct operand b = tb == rocblas_operation_none ? matrix(T, k, n) : matrix(T, n, k); \
        struct operand c = kept(T, m, n, is_zero);                                          \
        return CALL(rocblas_##p##gemm, GEMM);                                               \
    }

#define TRSM(O) side, fill, op, diagonal, m, n, alpha, O(a), O(b)
#define TRMM(O) side, fill, op, diagonal, m, n, alpha, O(a), O(b), O(c)
#define SYMM(O) side, fill, m, n, alpha, O(a), O(b), beta, O(c)
#define SYRK(O) fill, op, n, k, alpha, O(a), beta, O(c)
#define GEMV(O) op, m, n, alpha, O(a), O(x), beta, O(y)
#define GER(O) m, n, alpha, O(x), O(y), O(a)
#define SYMV(O) fill, n, alpha, O(a), O(x), beta, O(y)
#define TRMV(O) fill, op, diagonal, n, O(a), O(x)
#define AXPY(O) n, alpha, O(x), O(y)
#define SCAL(O) n, alpha, O(x)
#define COPY(O) n, O(x), O(y)
#define NORM(O) n, O(x)
#define ROT(O) n, O(x), O(y), cosine, sine

/* TRIANGULAR, UPDATE and MIRRORED: the common beginning of several similar functions. */
#define TRIANGULAR(T)                                                                     \
    rocblas_side side = either_side();                                                    \
    rocblas_fill fill = either_fill();                                                    \
    rocblas_operation op = operation(1);                                                  \
    rocblas_diagonal diagonal = either_diagonal();                                        \
    const void *alpha = scalar(T, 0);                                                     \
    struct operand a = triangle(T, side == rocblas_side_left ? m : n, fill, diagonal);    \
    struct operand b = matrix(T, m, n);
#define UPDATE(T, SCALAR, allows_complex)                                                 \
    int is_zero;                                                                          \
    rocblas_fill fill = either_fill();                                                    \
    rocblas_operation op = operation(allows_complex);                                     \
    const void *alpha = scalar(SCALAR, 0), *beta = scalar(SCALAR, &is_zero);              \
    struct operand a = op == rocblas_operation_none ? matrix(T, n, k) : matrix(T, k, n);  \
    struct operand c = kept(T, n, n, is_zero);
#define MIRRORED(T)                                                                       \
    int is_zero;                                                                          \
    rocblas_side side = either_side();                                                    \
    rocblas_fill fill = either_fill();                                                    \
    const void *alpha = scalar(T, 0), *beta = scalar(T, &is_zero);                        \
    int order = side == rocblas_side_left ? m : n;                                        \
    struct operand a = matrix(T, order, order), b = matrix(T, m, n), c = kept(T, m, n, is_zero);
#define VECTORS(T) struct operand x = vector(T, n, increment()), y = vector(T, n, increment());

#define STANDARD(p, T, norm, sum, largest)                                                \
    GEMM_OF(p, T)                                                                         \
    static rocblas_status p##_trsm(void) { TRIANGULAR(T) return CALL(rocblas_##p##trsm, TRSM); } \
    static rocblas_status p##_trmm(void) {                                                \
        TRIANGULAR(T)                                                                     \
        struct operand c = coin() ? b : matrix(T, m, n);                                  \
        return CALL(rocblas_##p##trmm, TRMM);                                             \
    }                                                                                     \
    static rocblas_status p##_symm(void) { MIRRORED(T) return CALL(rocblas_##p##symm, SYMM); } \
    static rocblas_status p##_syrk(void) {                                                \
        UPDATE(T, T, 0)                                                                   \
        return CALL(rocblas_##p##syrk, SYRK);                                             \
    }                                                                                     \
    static rocblas_status p##_gemv(void) {                                                \
        rocblas_operation op = operation(1);                                              \
        int is_plain = op == rocblas_operation_none;                                      \
        const void *alpha = scalar(T, 0), *beta = scalar(T, 0);                           \
        struct operand a = matrix(T, m, n), x = vector(T, is_plain ? n : m, increment()); \
        struct operand y = vector(T, is_plain ? m : n, increment());                      \
        return CALL(rocblas_##p##gemv, GEMV);                                             \
    }                                                                                     \
    static rocblas_status p##_symv(void) {                                                \
        rocblas_fill fill = either_fill();                                                \
        const void *alpha = scalar(T, 0), *beta = scalar(T, 0);                           \
        struct operand a = matrix(T, n, n);                                               \
        VECTORS(T)                                                                        \
        return CALL(rocblas_##p##symv, SYMV);                                             \
    }                                                                                     \
    static rocblas_status p##_triangular_vector(void) {                                   \
        rocblas_fill fill = either_fill();                                                \
        rocblas_operation op = operation(1);                                              \
        rocblas_diagonal diagonal = either_diagonal();                                    \
        struct operand a = triangle(T, n, fill, diagonal), x = vector(T, n, increment()); \
        return coin() ? CALL(rocblas_##p##trmv, TRMV) : CALL(rocblas_##p##trsv, TRMV);    \
    }                                                                                     \
    static rocblas_status p##_vectors(void) {                                             \
        const void *alpha = scalar(T, 0);                                                 \
        VECTORS(T)                                                                        \
        switch (below(5)) {                                                               \
        case 0: return CALL(rocblas_##p##scal, SCAL);                                     \
        case 1: return CALL(rocblas_##p##copy, COPY);                                     \
        case 2: return CALL(rocblas_##p##swap, COPY);                                     \
        default: return CALL(rocblas_##p##axpy, AXPY);                                    \
        }                                                                                 \
    }                                                                                     \
    static rocblas_status p##_reductions(void) {                                          \
        struct operand x = vector(T, n, increment());                                     \
        void *r = room(16 * MOST);                                                        \
        switch (below(3)) {                                                               \
        case 0: return REDUCTION(rocblas_##norm, NORM);                                   \
        case 1: return REDUCTION(rocblas_##sum, NORM);                                    \
        default: return REDUCTION(rocblas_##largest, NORM);                               \
        }                                                                                 \
    }

#define DOT(p, T, dot)                                                                    \
    static rocblas_status p##_##dot(void) {                                               \
        VECTORS(T)                                                                        \
        void *r = room(16 * MOST);                                                        \
        return REDUCTION(rocblas_##p##dot, COPY);                                         \
    }
#define OUTER(p, T, ger)                                                                  \
    static rocblas_status p##_##ger(void) {                                               \
        const void *alpha = scalar(T, 0);                                                 \
        struct operand a = matrix(T, m, n), x = vector(T, m, increment());                \
        struct operand y = vector(T, n, increment());                                     \
        return CALL(rocblas_##p##ger, GER);                                               \
    }
#define REAL(p, T) DOT(p, T, dot) OUTER(p, T, ger)
#define COMPLEX(p, T, R)                                                                  \
    DOT(p, T, dotu) DOT(p, T, dotc) OUTER(p, T, geru) OUTER(p, T, gerc)                   \
    static rocblas_status p##_hemm(void) { MIRRORED(T) return CALL(rocblas_##p##hemm, SYMM); } \
    static rocblas_status p##_herk(void) {                                                \
        UPDATE(T, R, 0)                                                                   \
        if (op == rocblas_operation_transpose) op = rocblas_operation_conjugate_transpose; \
        return CALL(rocblas_##p##herk, SYRK);                                             \
    }                                                                                     \
    static rocblas_status p##_rot(void) {                                                 \
        const void *cosine = scalar(R, 0), *sine = scalar(T, 0);                          \
        VECTORS(T)                                                                        \
        return CALL(rocblas_##p##rot, ROT);                                               \
    }

STANDARD(s, S, snrm2, sasum, isamax)
STANDARD(d, D, dnrm2, dasum, idamax)
STANDARD(c, C, scnrm2, scasum, icamax)
STANDARD(z, Z, dznrm2, dzasum, izamin)
REAL(s, S) REAL(d, D) COMPLEX(c, C, S) COMPLEX(z, Z, D)
GEMM_OF(h, H) DOT(h, H, dot) DOT(bf, BF, dot)

/* The products whose types are arguments; C and D are one matrix or two. */
#define TYPED(x) x.at, x##_type, x.ld
#define TYPED_TABLE(x) (void *)x.table, x##_type, x.ld
#define TYPED_STRIDE(x) x.at, x##_type, x.ld, x.stride
#define SIZES_EX ta, tb, m, n, k, alpha
#define REST_EX compute, rocblas_gemm_algo_standard, 0, 0

static rocblas_status gemm_ex(void) {
    static const rocblas_datatype types[] = {
        rocblas_datatype_f16_r, rocblas_datatype_bf16_r, rocblas_datatype_f32_r,
        rocblas_datatype_f64_r, rocblas_datatype_f32_c,  rocblas_datatype_f64_c};
    static const enum type rows[][3] = {{H, H, H},  {H, H, S}, {H, S, S}, {BF, BF, S}, {BF, S, S},
                                        {S, S, S}, {D, D, D}, {C, C, C}, {Z, Z, Z}};
    const enum type *row = rows[below(9)];
    rocblas_datatype a_type = types[row[0]], b_type = a_type, c_type = types[row[1]], d_type = c_type;
    rocblas_datatype compute = types[row[2]];
    rocblas_operation ta = operation(1), tb = operation(1);
    int is_zero;
    const void *alpha = scalar(row[2], 0), *beta = scalar(row[2], &is_zero);
    struct operand a = ta == rocblas_operation_none ? matrix(row[0], m, k) : matrix(row[0], k, m);
    struct operand b = tb == rocblas_operation_none ? matrix(row[0], k, n) : matrix(row[0], n, k);
    struct operand c = kept(row[1], m, n, is_zero), d = coin() ? c : matrix(row[1], m, n);
    is_wide = 0;
    switch (form) {
    case SINGLE:
        name = "rocblas_gemm_ex";
        return rocblas_gemm_ex(handle, SIZES_EX, TYPED(a), TYPED(b), beta, TYPED(c), TYPED(d), REST_EX);
    case BATCHED:
        name = "rocblas_gemm_batched_ex";
        return rocblas_gemm_batched_ex(handle, SIZES_EX, TYPED_TABLE(a), TYPED_TABLE(b), beta, TYPED_TABLE(c),
                                       TYPED_TABLE(d), batch, REST_EX);
    default:
        name = "rocblas_gemm_strided_batched_ex";
        return rocblas_gemm_strided_batched_ex(handle, SIZES_EX, TYPED_STRIDE(a), TYPED_STRIDE(b), beta,
                                               TYPED_STRIDE(c), TYPED_STRIDE(d), batch, REST_EX);
    }
}

#define ALL(p)                                                                                          \
    p##_gemm, p##_gemm, p##_gemm, p##_trsm, p##_trsm, p##_trmm, p##_symm, p##_syrk, p##_gemv, p##_symv, \
        p##_triangular_vector, p##_vectors, p##_reductions
static rocblas_status (*const FUNCTIONS[])(void) = {
    ALL(s), ALL(d), ALL(c), ALL(z), s_dot,   d_dot,   c_dotu,  c_dotc, z_dotu, z_dotc, s_ger,
    d_ger,  c_geru, c_gerc, z_geru, z_gerc,  c_hemm,  z_hemm,  c_herk, z_herk, c_rot,  z_rot,
    h_gemm, h_dot,  bf_dot, gemm_ex, gemm_ex, gemm_ex, gemm_ex, gemm_ex};

int main(int count, char **arguments) {
    uint64_t calls = 10000, seed = 8, all = 0xcbf29ce484222325u;
    int each = 0, failed = 0;
    for (int i = 1; i < count; i++) {
        uint64_t *value = !strcmp(arguments[i], "--calls") ? &calls : !strcmp(arguments[i], "--seed") ? &seed : 0;
        if (!strcmp(arguments[i], "--each")) each = 1;
        else if (value && i + 1 < count) *value = strtoull(arguments[++i], 0, 10);
        else return fprintf(stderr, "usage: many_calls [--calls N] [--seed N] [--each]\n"), 2;
    }
    if (rocblas_create_handle(&handle) != rocblas_status_success) return 1;
    for (uint64_t call = 1; call <= calls; call++) {
        state = seed * 0x100000001b3u + call;
        used = 0;
        m = size(), n = size(), k = size();
        form = below(3), batch = form == SINGLE ? 1 : below(MOST + 1);
        is_wide = below(8) == 0;
        rocblas_status status = FUNCTIONS[below(sizeof FUNCTIONS / sizeof *FUNCTIONS)]();
        failed += status != rocblas_status_success;
        uint64_t own = digest(arena, used, 0xcbf29ce484222325u);
        all = digest(&own, sizeof own, digest(&status, sizeof status, all));
        if (each)
            printf("%llu %s m=%d n=%d k=%d form=%d batch=%d status=%d %016llx\n", (unsigned long long)call, name, m,
                   n, k, form, batch, status, (unsigned long long)own);
    }
    rocblas_destroy_handle(handle);
    printf("%llu calls, %d failed, digest %016llx\n", (unsigned long long)calls, failed, (unsigned long long)all);
    return failed != 0;
}
