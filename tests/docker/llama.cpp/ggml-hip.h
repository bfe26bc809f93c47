/* Shared by the programs. */
#pragma once

/* Runs SOLVE_TRI and a matrix product on the GPU, through rocBLAS and hipBLAS like llama.cpp. Prints the
 * version of the rocBLAS in use. Returns 0, or the first status other than success. */
int solve_tri(void);
