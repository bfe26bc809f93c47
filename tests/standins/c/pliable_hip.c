/* A HIP runtime whose query of a device's properties takes PLIABLE_HIP_MS milliseconds and fails
 * PLIABLE_HIP_FAILURES times. The device is a gfx906. Copies always fail. */
#include "no_transfers.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int number(const char *name) {
    const char *value = getenv(name);
    return value ? atoi(value) : 0;
}

int hipGetDevice(int *device) {
    *device = 0;
    return 0;
}

/* hipDeviceProp_t of HIP 6 and 7. */
enum { SIZE = 1472, ARCHITECTURE_AT = 1160 };

int hipGetDevicePropertiesR0600(char *properties, int device) {
    static int asked;
    usleep(number("PLIABLE_HIP_MS") * 1000);
    if (asked++ < number("PLIABLE_HIP_FAILURES")) return 2;
    memset(properties, 0, SIZE);
    strcpy(properties + ARCHITECTURE_AT, "gfx906:sramecc+:xnack-");
    return 0;
}
