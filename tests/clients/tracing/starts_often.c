/* Starts and stops traces of calls with many handles. Prints by how many bytes each of the later traces has
 * enlarged the heap.
 *
 * starts_often DIRECTORY */
#define _GNU_SOURCE
#include <malloc.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>

enum { HANDLES = 1000, FIRST = 10, TRACES = 60 };

int main(int argc, char **argv) {
    static rocblas_handle handles[HANDLES];
    size_t before = 0;
    for (int i = 0; i < HANDLES; i++)
        if (rocblas_create_handle(&handles[i])) return 1;
    for (int trace = 0; trace < TRACES; trace++) {
        if (trace == FIRST) before = mallinfo2().uordblks;
        if (rocblas_shim_trace_start(argv[1], "ring=1M")) return 2;
        for (int i = 0; i < HANDLES; i++) rocblas_set_stream(handles[i], 0);
        if (rocblas_shim_trace_stop()) return 3;
    }
    printf("%zd\n", (ssize_t)(mallinfo2().uordblks - before) / (TRACES - FIRST));
    return 0;
}
