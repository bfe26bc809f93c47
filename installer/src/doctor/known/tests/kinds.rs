//! At least three inputs of our own for each kind of error, and what is near one and must not be taken for it.

use super::*;

/// Inputs by what they come from.
const KINDS: &[(Cause, &[&str])] = &[
    (
        Cause::Capture,
        &[
            "rocBLAS error from hip error code: 'hipErrorStreamCaptureUnsupported':900",
            "llama-1  | ROCm error: operation not permitted when stream is capturing",
            "hipErrorStreamCaptureInvalidated (901): operation failed due to a previous error during capture",
            "rocBLAS error from hip error code: 'hipErrorStreamCaptureImplicit':906",
        ],
    ),
    (
        Cause::Cmake,
        &[
            "  The imported target \"roc::rocblas\" references the file",
            "make[2]: *** No rule to make target '/opt/rocm/lib/librocblas.so.5.0.70002', needed by 'bin/x'.  Stop.",
            "ninja: error: '/opt/rocm-7.0.2/lib/librocblas.so.5.0.70002', needed by 'bin/llama-cli', missing and no \
             known rule to make it",
        ],
    ),
    (
        Cause::ContainerDevice,
        &[
            "docker: Error response from daemon: error gathering device information while adding custom device \
             \"/dev/kfd\": no such file or directory",
            "Error response from daemon: error gathering device information while adding custom device \
             \"/dev/dri/renderD129\": no such file or directory",
            "  Warning  FailedScheduling  default-scheduler  0/3 nodes are available: 3 Insufficient amd.com/gpu.",
        ],
    ),
    (
        Cause::DeviceCgroup,
        &[
            "Unable to open /dev/kfd read-write: Invalid argument",
            "rocm-1  | Unable to open /dev/kfd read-write: Invalid argument",
            "Nov 13 10:01:52 ct101 rocminfo[812]: Unable to open /dev/kfd read-write: Invalid argument",
        ],
    ),
    (
        Cause::FunctionNotFound,
        &[
            "./app: symbol lookup error: /opt/rocm/lib/libhipblas.so.3: undefined symbol: rocblas_herk_ex",
            "ImportError: /x/torch/lib/libtorch_hip.so: undefined symbol: rocblas_gemm_grouped_batched_ex",
            "librocsolver.so.0: undefined symbol: _Z31rocblas_internal_syr2k_templateILb0ELb1E",
        ],
    ),
    (
        Cause::GpuFault,
        &[
            "ROCm error: an illegal memory access was encountered",
            "torch.AcceleratorError: HIP error: an illegal memory access was encountered",
            "Queue at 0x7f4e03654000 inactivated due to async error:",
            "Queue at 0x7f4e03654000 inactivated due to async error:\n\tHSA_STATUS_ERROR_MEMORY_FAULT: Agent attempted to \
             access an inaccessible address.",
            ":0:rocdevice.cpp :2652: 8 us: Device::callbackQueue aborting with error : HSA_STATUS_ERROR_EXCEPTION: An HSAIL \
             operation resulted in a hardware exception. code: 0x1016",
            "Memory access fault by GPU node-1 (Agent handle: 0x5581) on address 0x7f00. Reason: Page not present.",
            "HW Exception by GPU node-2 (Agent handle: 0x61) reason :GPU Hang",
            ":0:rocdevice.cpp:2984: 8 us: Callback: Queue 0x7f aborting with error : HSA_STATUS_ERROR_ILLEGAL_INSTRUCTION: \
             the agent attempted to execute an illegal shader instruction. code: 0x2a",
        ],
    ),
    (
        Cause::Hip6NotFound,
        &[
            "/usr/bin/ld: warning: libamdhip64.so.6, needed by /opt/rocm/lib/librocblas.so.4, not found (try using -rpath or \
             -rpath-link)",
            "\tlibamdhip64.so.6 => not found",
            "OSError: libamdhip64.so.6: cannot open shared object file: No such file or directory",
            "./bench: error while loading shared libraries: libamdhip64.so.6: cannot open shared object file: No such \
             file or directory",
            "dlopen failed: libamdhip64.so.6: cannot open shared object file: No such file or directory",
        ],
    ),
    (
        Cause::HipVersion,
        &[
            "./app: /opt/rocm/lib/libamdhip64.so.6: version `hip_6.2' not found (required by /x/librocblas.so.4)",
            "python3: /usr/lib/libamdhip64.so.5: version `hip_4.2' not found (required by /venv/libtorch_hip.so)",
            "/opt/x/libamdhip64.so.7: version `hip_7.0' not found (required by ./llama-server)",
        ],
    ),
    (
        Cause::Hipblaslt0NotFound,
        &[
            "ld: warning: libhipblaslt.so.0, needed by librocblas.so.4, not found (try using -rpath or -rpath-link)",
            "libhipblaslt.so.0: cannot open shared object file: No such file or directory",
            "./app: error while loading shared libraries: libhipblaslt.so.0: cannot open shared object file: No such \
             file or directory",
            "OSError: libhipblaslt.so.0: cannot open shared object file: No such file or directory",
        ],
    ),
    (
        Cause::HipblasMemory,
        &[
            "ROCm error: CUBLAS_STATUS_ALLOC_FAILED",
            "RuntimeError: CUDA error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasCreate(handle)`",
            "torch.AcceleratorError: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasStrsmBatched(handle, side)`",
            "RuntimeError: HIP error: HIPBLAS_STATUS_ALLOC_FAILED when calling `hipblasSgemm(handle, opa, opb)`",
        ],
    ),
    (
        Cause::HipblasStatus,
        &[
            "ROCm error: CUBLAS_STATUS_INTERNAL_ERROR",
            "ROCm error: CUBLAS_STATUS_EXECUTION_FAILED",
            "hipBLAS error: HIPBLAS_STATUS_UNKNOWN",
            "RuntimeError: HIP error: HIPBLAS_STATUS_UNKNOWN when calling `hipblasSgemm(handle, opa, opb)`",
            "RuntimeError: CUDA error: HIPBLAS_STATUS_INTERNAL_ERROR when calling `hipblasSgemm(handle, opa, opb)`",
            "RuntimeError: CUDA error: HIPBLAS_STATUS_EXECUTION_FAILED when calling `hipblasDgemm(handle)`",
            "RuntimeError: CUDA error: HIPBLAS_STATUS_NOT_INITIALIZED when calling `hipblasCreate(handle)`",
        ],
    ),
    (
        Cause::HipblasUnsupported,
        &[
            "ROCm error: CUBLAS_STATUS_NOT_SUPPORTED",
            "llama-1  | 0.12.081.459 E ROCm error: CUBLAS_STATUS_NOT_SUPPORTED",
            "RuntimeError: CUDA error: HIPBLAS_STATUS_NOT_SUPPORTED when calling `hipblasGemmEx(handle, opa, opb)`",
            "hipBLAS error: HIPBLAS_STATUS_NOT_SUPPORTED",
        ],
    ),
    (
        Cause::HipblasltMissing,
        &[
            "!!! Exception during processing!!! CUDA error: HIPBLAS_STATUS_NOT_SUPPORTED when calling \
             `HIPBLAS_STATUS_NOT_SUPPORTED`",
            "RuntimeError: CUDA error: HIPBLAS_STATUS_INVALID_VALUE when calling `hipblasLtMatmulAlgoGetHeuristic(ltHandle)`",
            "RuntimeError: CUDA error: HIPBLAS_STATUS_INTERNAL_ERROR when calling `hipblasLtMatmul(ltHandle)`",
            "rocblaslt error: Could not load \"TensileLibrary_lazy_gfx906.dat\"",
            "rocblaslt warning: No paths matched /x/hipblaslt/library/*gfx900*co. Make sure it is set correctly.",
            "RuntimeError: CUDA error: HIPBLAS_STATUS_NOT_SUPPORTED when calling `hipblasLtMatmulAlgoGetHeuristic()`",
        ],
    ),
    (
        Cause::HipblasltUnused,
        &[
            "[W1016 17:27:46.69 Context.cpp:301] Warning: Attempting to use hipBLASLt on an unsupported architecture! \
             Overriding blas backend to hipblas (function operator())",
            "UserWarning: Attempting to use hipBLASLt on a unsupported architecture! Overriding blas backend",
            "worker-0  | Warning: Attempting to use hipBLASLt on an unsupported architecture!",
        ],
    ),
    (
        Cause::HsaResources,
        &[
            "### HCC STATUS_CHECK Error: HSA_STATUS_ERROR_OUT_OF_RESOURCES (0x1008) at file:mcwamp_hsa.cpp line:3794",
            "worker-1  | HSA_STATUS_ERROR_OUT_OF_RESOURCES",
            "queue creation failed: HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed to allocate the necessary resources.",
        ],
    ),
    (
        Cause::LibraryNotFound,
        &[
            "\tlibrocsolver.so.0 => not found",
            "/usr/bin/ld: warning: librocprofiler-register.so.0, needed by /opt/rocm/lib/libamdhip64.so.7, not found (try using \
             -rpath or -rpath-link)",
            "libnuma.so.1: cannot open shared object file: No such file or directory",
            "./llama-cli: error while loading shared libraries: librocsolver.so.0: cannot open shared object file: No \
             such file or directory",
            "ImportError: libhipsparselt.so.0: cannot open shared object file: No such file or directory",
        ],
    ),
    (
        Cause::LinkedToRocm6,
        &[
            "/opt/rocm/lib/librocsolver.so.0: undefined symbol: _Z32rocblas_internal_get_device_propP15_rocblas_handle",
            "./app: symbol lookup error: /opt/rocm/lib/librocsolver.so.0: undefined symbol: \
             _Z29rocblas_internal_get_data_ptrP15_rocblas_handle",
            "ImportError: librocsolver.so.0: undefined symbol: _Z29rocblas_internal_set_data_ptrP15_rocblas_handle",
        ],
    ),
    (
        Cause::LlamaNoGpu,
        &[
            "warning: no usable GPU found, --gpu-layers option will be ignored",
            "[llama-cpp] 2026-05-31T16:40:59.782961331Z warning: no usable GPU found, --gpu-layers option will be ignored",
            "warning: not compiled with GPU offload support, --gpu-layers option will be ignored",
        ],
    ),
    (
        Cause::LmStudio,
        &[
            "Error: The model has crashed without additional information. (Exit code: 134). Please check settings and \
             try loading the model again.",
            "Failed to load the model (Exit code: null). Please check settings and try loading the model again.",
            "2026-01-08 20:56:32 [ERROR] (Exit code: 134). Please check settings and try loading the model again. x",
        ],
    ),
    (
        Cause::MiopenBuild,
        &[
            "MIOpen(HIP): Error [BuildHip] HIPRTC status = HIPRTC_ERROR_COMPILATION (6), source file: naive.cpp",
            "MIOpen Error: /src/hipoc_program.cpp:304: Code object build failed. Source: naive_conv.cpp",
            "RuntimeError: MIOpen Error: Code object build failed. Source: static_composable_kernel.cpp",
        ],
    ),
    (
        Cause::MiopenDatabase,
        &[
            "MIOpen(HIP): Warning [SQLiteBase] Missing system database file: gfx906_60.kdb Performance may degrade.",
            "MIOpen(HIP): Warning [SQLiteBase] Missing system database file: gfx1010_20.kdb",
            "comfy-1 | MIOpen(HIP): Warning [SQLiteBase] Missing system database file: gfx900_64.kdb",
        ],
    ),
    (
        Cause::NewerSystem,
        &[
            "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by librocblas.so.4)",
            "./app: /lib/x86_64-linux-gnu/libstdc++.so.6: version `GLIBCXX_3.4.32' not found (required by ./app)",
            "/usr/bin/ld: librocblas.so.4: undefined reference to `__isoc23_strtoul@GLIBC_2.38'",
        ],
    ),
    (
        Cause::NoGpu,
        &[
            "Call returned HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed to allocate the necessary resources. This error \
             may also occur when the core runtime library needs to spawn threads.",
            "hsa_init failed: HSA_STATUS_ERROR_OUT_OF_RESOURCES",
            "ggml_cuda_init: failed to initialize ROCm: no ROCm-capable device is detected",
            "rocBLAS error: Could not initialize Tensile host: No devices found",
            "Error: llama runner process has terminated: error:Could not initialize Tensile host: No devices found",
            "RuntimeError: No HIP GPUs are available",
            "ls: cannot access '/dev/kfd': No such file or directory",
        ],
    ),
    (
        Cause::NoPermission,
        &[
            "PermissionError: [Errno 13] Permission denied: '/dev/kfd'",
            "time=2026-01-08T20:56:32Z level=WARN msg=\"permission problems\" error=\"open /dev/dri/renderD128: permission denied\"",
            "runc create failed: open /dev/kfd: operation not permitted",
            "amdgpu_device_initialize: open /dev/dri/renderD128: Operation not permitted",
            "Unable to open /dev/kfd read-write: Permission denied",
            "user is not member of \"render\" group, the default DRM access group.",
            "amdgpu_device_initialize: failed to open /dev/dri/renderD128: Permission denied",
        ],
    ),
    (
        Cause::NoProgramKernel,
        &[
            "hipBLAS error from hip error code: 'hipErrorNoBinaryForGpu':209",
            "ROCm error: invalid device function",
            "Error: llama-server process has terminated: signal: aborted: ROCm error: invalid device function",
            "\"hipErrorNoBinaryForGpu: Unable to find code object for all current devices!\"",
            "RuntimeError: HIP error: invalid device function",
        ],
    ),
    (
        Cause::NoRocblasKernel,
        &[
            "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98",
            "rocBLAS error from hip error code: 'hipErrorNoBinaryForGpu':209",
            ":1:hip_fatbin.cpp :276 : 88 us: Cannot find CO in the bundle /opt/rocm-7.0.2/lib/librocblas.so.5.0.70002 \
             for ISA: amdgcn-amd-amdhsa--gfx906:sramecc+:xnack-",
        ],
    ),
    (
        Cause::NotElf,
        &[
            "bash: ./llama-server: cannot execute binary file: Exec format error",
            "error while loading shared libraries: /app/libggml-hip.so: file too short",
            "ImportError: /opt/rocm/lib/librocblas.so.5: invalid ELF header",
        ],
    ),
    (
        Cause::OllamaFiltered,
        &[
            "ollama-1 | level=INFO msg=\"GPU runner incompatible with host system, GPU not loaded\" runner=rocm",
            "time=2026-01-08T20:56:32Z level=INFO source=amd_linux.go:404 msg=\"no compatible amdgpu devices detected\"",
            "time=2026-01-08T20:56:32Z level=WARN source=amd_linux.go:430 msg=\"amdgpu is not supported (supported types:\
             [gfx1030 gfx1100])\" gpu_type=gfx906 gpu=0",
            "time=2026-01-08T20:56:32Z level=DEBUG source=runner.go:124 msg=\"filtering device which didn't fully \
             initialize\" id=0 libdir=/usr/lib/ollama/rocm",
            "ollama-1 | level=WARN msg=\"amdgpu is not supported (supported types:[gfx908])\" gpu_type=gfx900",
        ],
    ),
    (
        Cause::OllamaNoBundle,
        &[
            "time=2025-07-25T15:37:00Z level=WARN source=amd_linux.go:443 msg=\"amdgpu detected, but no compatible rocm library \
             found.  Either install rocm v6, or follow manual install instructions\"",
            "ollama-1 | level=WARN msg=\"amdgpu detected, but no compatible rocm library found.\"",
            "Nov 13 10:01:52 host ollama[8]: level=WARN msg=\"amdgpu detected, but no compatible rocm library found.\"",
        ],
    ),
    (
        Cause::OllamaRunner,
        &[
            "time=2026-04-13T23:56:32Z level=ERROR source=server.go:316 msg=\"llama runner terminated\" error=\"exit status 2\"",
            "llama.go:402: error starting llama runner: llama runner process has terminated",
            "Error: llama runner process has terminated: %!w(<nil>)",
            "Error: llama runner process has terminated: signal: aborted (core dumped)",
            "Error: 500 Internal Server Error: llama runner process has terminated: exit status 2",
            "time=2026-01-08T20:56:32Z level=ERROR msg=\"llama runner process no longer running: 134\"",
            "Error: llama-server process has terminated: signal: aborted (core dumped)",
        ],
    ),
    (
        Cause::OllamaUnfit,
        &[
            "time=2024-12-28T15:03:19Z level=INFO source=common.go:131 msg=\"GPU runner incompatible with host system, CPU does \
             not have AVX\" runner=rocm_avx",
            "ollama-1 | level=INFO msg=\"GPU runner incompatible with host system, CPU does not have AVX\" runner=rocm_v60000",
            "level=INFO msg=\"GPU runner incompatible with host system, CPU does not have AVX\" runner=rocm",
        ],
    ),
    (
        Cause::OtherLibraryCode,
        &[
            "Cannot find CO in the bundle /opt/rocm-6.4.3/lib/librocsolver.so.0.4.60403 for ISA: gfx906:sramecc+:xnack-",
            "Cannot find CO in the bundle /opt/rocm/lib/librccl.so.1 for ISA: gfx900",
            "Cannot find CO in the bundle /opt/rocm/lib/librocsparse.so.1 for ISA: gfx1010",
        ],
    ),
    (
        Cause::OutOfMemory,
        &[
            "alloc_tensor_range: failed to allocate ROCm0 buffer of size 21474836480",
            "ggml_gallocr_reserve_n: failed to allocate ROCm1 buffer of size 4294967296",
            "ggml_gallocr_reserve_n_impl: failed to allocate ROCm0 buffer of size 1",
            "llama_model_load: error loading model: unable to allocate ROCm0 buffer",
            "rocBLAS error from hip error code: 'hipErrorOutOfMemory':2",
            "ggml_backend_cuda_buffer_type_alloc_buffer: allocating 9 MiB on device 0: cudaMalloc failed: out of memory",
            "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 16 GiB",
        ],
    ),
    (
        Cause::Preload,
        &[
            "ERROR: ld.so: object '/usr/lib/librocblas.so.4' from LD_PRELOAD cannot be preloaded (cannot open shared object \
             file): ignored.",
            "server-1  | ERROR: ld.so: object 'librocblas.so.5' from LD_PRELOAD cannot be preloaded (file too short): ignored.",
            "ERROR: ld.so: object '/opt/rocm/lib/libhipblas.so' from /etc/ld.so.preload cannot be preloaded (cannot open shared \
             object file): ignored.",
        ],
    ),
    (
        Cause::QueueResources,
        &[
            ":0:rocdevice.cpp :2652: 8 us: [pid:1 tid:0x7f] Callback: Queue 0x7f00 aborting with error : \
             HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed to allocate the necessary resources. code: 0x1008",
            "Queue at 0x7f4e03654000 inactivated due to async error:\n\tHSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed to \
             allocate the necessary resources.",
            "Device::callbackQueue aborting with error : HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed. code: 0x1008",
        ],
    ),
    (
        Cause::Rocblas4NotFound,
        &[
            "./llama-server: error while loading shared libraries: librocblas.so.4: cannot open shared object file: No \
             such file or directory",
            "ImportError: librocblas.so.4: cannot open shared object file: No such file or directory",
            "pod/x: OSError: librocblas.so.4: cannot open shared object file: No such file or directory",
        ],
    ),
    (
        Cause::Rocblas5NotFound,
        &[
            "\tlibrocblas.so.5 => not found",
            "  - nothing provides librocblas.so.5()(64bit) needed by hipblas-7.0.2-1.fc43.x86_64 from fedora",
            " Problem: package hipblas-7.0.2-1.fc43.x86_64 from fedora requires librocblas.so.5()(64bit), but none of the \
             providers can be installed",
            "\tlibrocblas.so.5()(64bit) is needed by llama-cpp-hip-1.0-1.x86_64",
            "./llama-server: error while loading shared libraries: librocblas.so.5: cannot open shared object file: No \
             such file or directory",
            "ImportError: librocblas.so.5: cannot open shared object file: No such file or directory",
            "dlopen failed: librocblas.so.5: cannot open shared object file: No such file or directory",
        ],
    ),
    (
        Cause::TensileException,
        &[
            "rocBLAS error: Tensile solution found, but exception thrown for {",
            "rocBLAS error: Tensile solution found, but exception thrown for { a_type: \"f16_r\", b_type: \"f16_r\", M: 128, N: 2, \
             K: 32, atomics_mode: atomics_allowed }hipErrorInvalidImage",
            "rocBLAS warning: Tensile solution found, but unknown exception thrown for { a_type: \"f32_r\" }",
            "rocBLAS error: Tensile solution found, but exception thown for { a_type: \"f32_r\" }Kernel Cijk_Ailk_Bljk_SB not found \
             in any loaded module.",
        ],
    ),
    (
        Cause::TensileMissing,
        &[
            "rocBLAS warning: No paths matched /usr/lib64/library/*gfx906*co. Make sure that ROCBLAS_TENSILE_LIBPATH is set \
             correctly.",
            "rocBLAS error: Could not load Kernels.so-000-gfx906-xnack-.hsaco",
            "rocBLAS error: Cannot read /opt/rocm-7.0.2/lib/rocblas/library/TensileLibrary.dat: No such file or \
             directory for GPU arch : gfx906",
            "llama-1  | rocBLAS error: Cannot read /opt/rocm/lib/../lib/rocblas/library/TensileLibrary.dat: Illegal seek \
             for GPU arch : gfx900",
            "rocBLAS error: Could not load /opt/rocm/lib/rocblas/library/TensileLibrary_lazy_gfx1010.dat",
            "List of available TensileLibrary Files : ",
            "Error: llama-server process has terminated: signal: aborted (core dumped): error: Cannot read \
             /usr/lib/ollama/rocm/rocblas/library/TensileLibrary.dat: Illegal seek for GPU arch : gfx906",
        ],
    ),
    (
        Cause::TensileNoSolution,
        &[
            "rocBLAS error: No Tensile solution found for { a_type: \"f16_r\", b_type: \"f16_r\", transA: 'N' }",
            "rocBLAS warning: No Tensile solution found for { a_type: \"i8_r\" }",
            "comfy-1  | rocBLAS error: No Tensile solution found for { a_type: \"bf16_r\" }",
        ],
    ),
    (
        Cause::TensileOfBackend,
        &[
            "rocBLAS error: Cannot read /opt/rocm/lib/rocblas-shim/backends/6.3.0/lib/rocblas/library/TensileLibrary.dat: \
             No such file or directory for GPU arch : gfx900",
            "rocBLAS error: Could not load /opt/rocm-7.0.2/lib/rocblas-shim/backends/own/lib/rocblas/library/\
             TensileLibrary_lazy_gfx906.dat",
            "server-1  | rocBLAS error: Cannot read /usr/lib/ollama/rocm/rocblas-shim/backends/6.3.0/lib/rocblas/library/\
             TensileLibrary.dat: Illegal seek for GPU arch : gfx1010",
        ],
    ),
    (
        Cause::TensileRegex,
        &[
            "regex_error(error_backref): The expression contained an invalid back reference.",
            "terminate called after throwing an instance of 'std::regex_error'",
            "rocBLAS failed: regex_error(error_stack): There was insufficient memory",
        ],
    ),
    (
        Cause::VllmPlatform,
        &[
            "RuntimeError: Failed to infer device type, please set the environment variable `VLLM_LOGGING_LEVEL=DEBUG`",
            "DEBUG 08-25 14:50:19 [__init__.py:116] ROCm platform is not available because: No module named 'amdsmi'",
            "vllm-1  | RuntimeError: Failed to infer device type",
        ],
    ),
    (
        Cause::Windows,
        &[
            "The code execution cannot proceed because rocblas.dll was not found.",
            "OSError: [WinError 126] The specified module could not be found. Error loading \"C:\\venv\\torch\\lib\\rocblas.dll\" or \
             one of its dependencies.",
            "FileNotFoundError: Could not find module 'C:\\ROCm\\bin\\rocblas.dll' (or one of its dependencies).",
        ],
    ),
    (
        Cause::WorkspaceOrder,
        &[
            "rocBLAS internal error: device_malloc() RAII object not destroyed in LIFO order.",
            "terminate called: device_malloc() RAII object not destroyed in LIFO order",
            "worker-3 | rocBLAS internal error: device_malloc() RAII object not destroyed in LIFO order.",
        ],
    ),
];

/// What has a word of an error and is none.
const NEAR: &[&str] = &[
    "ggml_cuda_graph: capture of stream 0 ended",
    "warning: stream capturing is disabled for this GPU",
    "SOLVE_TRI failed tests: 0",
    "  SOLVE_TRI(type=f32,ne_lhs=[64,64,4,2]): OK",
    "rocBLAS error count: 0, out of memory count: 0",
    "memory critical section entered by agent",
    "reading /opt/rocm/lib/rocblas/library/TensileLibrary.dat",
    "cannot read TensileLibrary.dat? see the documentation",
    "Missing system locale: C.UTF-8",
    "the runner process has terminated normally",
    "nodes are sufficient for amd.com/gpu",
    "ROCm platform is available",
    "device_malloc() returned 0",
    "target \"roc::rocblas\" found",
    "libamdhip64.so.6: opened",
    "version `hip' of the runtime: 7.0",
    "CUDA error: CUBLAS_STATUS_INTERNAL_ERROR",
    "CUDA error: an illegal memory access was encountered",
    "    HIPBLAS_STATUS_INTERNAL_ERROR = 6,",
    "ROCm error: CUBLAS_STATUS_INTERNAL_ERROR is what hipBLAS returns then",
    "RuntimeError: CUDA error: CUBLAS_STATUS_NOT_SUPPORTED when calling `cublasGemmEx(handle)`",
    "ggml_gallocr_reserve_n: failed to allocate CUDA0 buffer of size 4294967296",
    "llama_model_load: failed to allocate ROCm_Host buffer of size 536870912",
    "llama_context:  ROCm0 compute buffer size =   301.75 MiB",
    "ERROR: ld.so: object '/usr/lib/arm-linux-gnueabihf/libarmmem.so' from /etc/ld.so.preload cannot be preloaded \
     (cannot open shared object file): ignored.",
    "LD_PRELOAD: librocblas.so.5 was preloaded",
    "level=INFO msg=\"GPU runner incompatible with host system, CPU does not have AVX\" runner=cuda_v12_avx",
    "\tlibrocblas.so.5 => /opt/rocm/lib/librocblas.so.5 (0x00007f)",
    "\tlibcudart.so.12 => not found",
    "Requires: librocblas.so.5()(64bit)",
    "/usr/bin/ld: warning: libfoo.so, needed by libbar.so, not found",
    "Queue at position 3 is active",
    "the regex_error handler was registered",
    "rocBLAS info: Tensile solution found in 3 ms",
    "loading C:\\ROCm\\bin\\rocblas.dll",
    "ls -l /dev/kfd /dev/dri/renderD128",
    "msg=\"starting llama runner\" error=\"\"",
];

#[test]
fn each_kind_is_told_by_inputs_of_our_own() {
    for (cause, inputs) in KINDS {
        for input in *inputs {
            let found: Vec<Cause> = explain(input).into_iter().map(|known| known.cause).collect();
            assert_eq!(found, [*cause], "{input}");
        }
    }
}

#[test]
fn each_kind_has_three_inputs() {
    // What a following or a preceding line decides has tests of its own.
    let by_others = [
        Cause::CodeObject,
        Cause::CodeObjectContinued,
        Cause::QueueError,
        Cause::ScanGoesOn,
        Cause::SolveTri,
    ];
    for text in TEXTS.iter().filter(|text| !by_others.contains(&text.cause)) {
        let inputs = KINDS.iter().find(|(cause, _)| *cause == text.cause).map(|(_, inputs)| inputs);
        assert!(inputs.is_some_and(|inputs| inputs.len() >= 3), "{:?}", text.cause);
    }
}

#[test]
fn what_is_near_a_kind_is_none() {
    for near in NEAR {
        assert_eq!(titles(near), [""; 0], "{near}");
    }
}
