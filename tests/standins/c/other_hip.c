/* A HIP runtime of another version: that it is there is all that matters. */
int hipGetDevice(int *device) {
    *device = 0;
    return 0;
}
