/* rocTX's ranges, as lines on stdout: the library's NAME, the action, and the depth. */
#include <stdio.h>

static __thread int depth;

int roctxRangePushA(const char *text) {
    printf("%s push %s %d\n", NAME, text, depth);
    return depth++;
}

int roctxRangePop(void) {
    printf("%s pop %d\n", NAME, --depth);
    return depth;
}
