/* What the programs share. */
#pragma once

/* SOLVE_TRI and a matrix product on the GPU, through rocBLAS and hipBLAS as llama.cpp has it. Says on stdout
 * which rocBLAS answers. 0, or the first status that is no success. */
int solve_tri(void);
