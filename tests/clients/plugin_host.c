/* Loads a plugin whose constructor calls rocBLAS (holding the loader's lock) while another thread
 * makes its first call (which must load the backend). */
#include <dlfcn.h>
#include <pthread.h>
#include <rocblas.h>
#include <rocblas_shim.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *call(void *argument) {
    usleep(100 * 1000); /* the plugin's constructor is running by now */
    return (void *)(long)rocblas_sscal(0, 0, 0, 0, 0);
}

int main(int argc, char **argv) {
    if (strcmp(rocblas_shim_mode(), "cold") != 0) return 2;
    setenv("ROCBLAS_SHIM_BACKEND", getenv("BACKEND_LATER"), 1);
    pthread_t thread;
    pthread_create(&thread, 0, call, 0);
    void *plugin = dlopen(argv[1], RTLD_NOW);
    if (!plugin) return puts(dlerror()), 3;
    void *answer;
    pthread_join(thread, &answer);
    printf("thread=%ld\nplugin=%d\n", (long)answer, *(int *)dlsym(plugin, "plugin_answer"));
    return 0;
}
