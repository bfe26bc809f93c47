/* Prints two tests like `llama-bench -o jsonl`, at the depth given by `-d`. */
#include "ggml-hip.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int depth = 0;
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], "-d") == 0) depth = atoi(argv[i + 1]);
    const int status = solve_tri();
    if (status) return fprintf(stderr, "SOLVE_TRI failed: %d\n", status), 1;
    printf("{\"n_prompt\": 512, \"n_gen\": 0, \"n_depth\": %d, \"avg_ts\": 250.5, \"stddev_ts\": 1.0}\n", depth);
    printf("{\"n_prompt\": 0, \"n_gen\": 128, \"n_depth\": %d, \"avg_ts\": 25.25, \"stddev_ts\": 0.1}\n", depth);
    return 0;
}
