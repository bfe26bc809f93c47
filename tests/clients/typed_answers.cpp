// Calls one C++ function of each return type that the backend lacks, by mangled name, and uses the results as
// their callers would.
#include <cstdio>
#include <memory>
#include <rocblas.h>
#include <string>

std::string arch_name() asm("_Z30rocblas_internal_get_arch_nameB5cxx11v");
std::shared_ptr<int> get_worker(int) asm("_ZN24rocblas_internal_ostream10get_workerEi");
bool &is_initialized() asm("_Z39rocblas_internal_tensile_is_initializedv");
void *yaml_on(void *) asm("_ZN24rocblas_internal_ostream7yaml_onERSo");
size_t temp_elements(int, int) asm("_Z36rocblas_internal_trtri_temp_elementsii");
const void *device_prop(void *) asm("_Z32rocblas_internal_get_device_propP15_rocblas_handle");
int convert_status(int) asm("_Z46rocblas_internal_convert_hip_to_rocblas_status10hipError_t");
bool skips_launch() asm("_Z42rocblas_internal_tensile_debug_skip_launchv");

int main() {
    std::string name = arch_name();
    name += "gfx906 is long enough to need memory of its own";
    std::shared_ptr<int> worker = get_worker(1);
    int stream = 0;
    is_initialized() = true;
    std::printf("string %zu\n", name.size());
    std::printf("shared_ptr %d %ld\n", worker == nullptr, worker.use_count());
    std::printf("reference %d\n", is_initialized());
    std::printf("argument %d\n", yaml_on(&stream) == &stream);
    std::printf("size %zu\n", temp_elements(7, 7));
    std::printf("pointer %d\n", device_prop(nullptr) == nullptr);
    std::printf("status %d\n", convert_status(0));
    std::printf("bool %d\n", skips_launch());
}
