/* Calls a function that `stacks.c` passes. */
void library_calls(void (*function)(int)) {
    function(2);
    __asm__ volatile("" ::: "memory");
}
