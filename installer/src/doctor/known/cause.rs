//! The cause of an error: a title, why it happens, and what to do, with the facts of the line. Each text in
//! `data/errors.toml` names its cause, and the compiler checks that each cause is explained.

use super::{
    Known,
    advice::{Advice, WINDOWS, is_of_rocm, package_of},
    shim,
};
use crate::doctor::{
    Severity,
    log::line::{Line, is_hipblaslt, is_rocblas},
};
use rocblas_contract::{
    libraries::{BACKEND_SONAME, HIP_RUNTIME, SONAME, renamed},
    sentences::Sentence,
    store::STORE,
};
use serde::Deserialize;

/// The cause of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs, reason = "each is explained by `title` and `why`")]
pub enum Cause {
    Capture,
    Cmake,
    /// Decided by the library in the line.
    CodeObject,
    /// A line that continues the previous one.
    CodeObjectContinued,
    ContainerDevice,
    DeviceCgroup,
    FunctionNotFound,
    GpuFault,
    #[serde(rename = "hip-6-not-found")]
    Hip6NotFound,
    HipVersion,
    #[serde(rename = "hipblaslt-0-not-found")]
    Hipblaslt0NotFound,
    HipblasMemory,
    HipblasStatus,
    HipblasUnsupported,
    HipblasltMissing,
    HipblasltUnused,
    /// The HSA runtime's; the line does not say where.
    HsaResources,
    LibraryNotFound,
    #[serde(rename = "linked-to-rocm-6")]
    LinkedToRocm6,
    LlamaNoGpu,
    LmStudio,
    MiopenBuild,
    MiopenDatabase,
    NewerSystem,
    NoGpu,
    NoPermission,
    NoProgramKernel,
    NoRocblasKernel,
    NotElf,
    OllamaFiltered,
    OllamaNoBundle,
    OllamaRunner,
    OllamaUnfit,
    OtherLibraryCode,
    OutOfMemory,
    Preload,
    /// Decided by the status that follows.
    QueueError,
    QueueResources,
    #[serde(rename = "rocblas-4-not-found")]
    Rocblas4NotFound,
    #[serde(rename = "rocblas-5-not-found")]
    Rocblas5NotFound,
    /// HIP reports that it continues with the next library: not an error by itself.
    ScanGoesOn,
    /// Decided by the error that follows.
    SolveTri,
    SolveTriOther,
    TensileException,
    TensileMissing,
    TensileNoSolution,
    /// The missing files are those of a backend in the store.
    #[serde(skip)]
    TensileOfBackend,
    TensileRegex,
    VllmPlatform,
    Windows,
    WorkspaceOrder,
    /// A sentence of the shim.
    #[serde(skip)]
    Shim(Sentence),
}

/// An explanation that needs no facts.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fixed {
    pub(super) title: &'static str,
    pub(super) why: &'static str,
    /// `PACKAGE` stands for AMD's package of 6.3 for this distribution.
    pub(super) cure: &'static str,
}

impl Cause {
    /// How important it is.
    #[must_use]
    pub fn severity(self) -> Severity {
        match self {
            Self::OtherLibraryCode
            | Self::HipblasltUnused
            | Self::MiopenDatabase
            | Self::CodeObjectContinued
            | Self::Shim(
                Sentence::HipblasltHidden | Sentence::TensileHidden | Sentence::UnknownGeneration,
            ) => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// Whether it concerns one GPU, so that it matters which one.
    #[must_use]
    pub fn is_of_one_gpu(self) -> bool {
        matches!(
            self,
            Self::GpuFault
                | Self::HipblasMemory
                | Self::HipblasStatus
                | Self::HipblasUnsupported
                | Self::NoProgramKernel
                | Self::NoRocblasKernel
                | Self::OllamaFiltered
                | Self::OllamaRunner
                | Self::OutOfMemory
                | Self::QueueResources
                | Self::TensileException
                | Self::TensileMissing
                | Self::TensileNoSolution
        )
    }

    /// What is wrong, in a few words.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Capture => "a call that waits for the GPU, during a graph capture",
            Self::Cmake => "CMake does not find rocBLAS's file",
            Self::CodeObject
            | Self::CodeObjectContinued
            | Self::OtherLibraryCode
            | Self::ScanGoesOn => "another ROCm library has no code for this GPU",
            Self::ContainerDevice => "the container is not given the GPU",
            Self::DeviceCgroup => "the container may not use the GPU's device",
            Self::FunctionNotFound => "a rocBLAS function is not found",
            Self::GpuFault | Self::QueueError => {
                "the GPU stopped at an invalid access or instruction"
            }
            Self::Hip6NotFound => "libamdhip64.so.6 is not found",
            Self::HipVersion => "the HIP runtime lacks a version that a library needs",
            Self::Hipblaslt0NotFound => "libhipblaslt.so.0 is not found",
            Self::HipblasMemory => "hipBLAS has too little memory for its workspace",
            Self::HipblasStatus => "hipBLAS fails without a reason",
            Self::HipblasUnsupported => "rocBLAS lacks an operation that hipBLAS requested",
            Self::HipblasltMissing => "hipBLASLt, not rocBLAS, has no kernels for this GPU",
            Self::HipblasltUnused => "PyTorch does not use hipBLASLt on this GPU",
            Self::HsaResources => "the HSA runtime has too few resources",
            Self::LibraryNotFound => "a library is not found",
            Self::LinkedToRocm6 => "librocblas.so.5 is a symlink to ROCm 6's library",
            Self::LlamaNoGpu => "llama.cpp finds no usable GPU",
            Self::LmStudio => "LM Studio's engine crashed without a reason",
            Self::MiopenBuild => "MIOpen cannot compile a kernel for this GPU",
            Self::MiopenDatabase => "MIOpen has no compiled kernels for this GPU and compiles them",
            Self::NewerSystem => "built for a newer system",
            Self::NoGpu => "no GPU is visible",
            Self::NoPermission => "no permission to use the GPU",
            Self::NoProgramKernel => {
                "a kernel for this GPU is missing, in the program or in one of its libraries"
            }
            Self::NoRocblasKernel | Self::SolveTri => "rocBLAS has no kernel for this GPU",
            Self::NotElf => "a program or library is empty or not an ELF file",
            Self::OllamaFiltered => "Ollama does not use the GPU",
            Self::OllamaNoBundle => "Ollama finds no ROCm libraries",
            Self::OllamaRunner => "Ollama's runner crashed, and its error is not in this log",
            Self::OllamaUnfit => "Ollama skips a GPU runner that this processor cannot run",
            Self::OutOfMemory => "the GPU's memory is full",
            Self::Preload => "a ROCm library named for preloading cannot be loaded",
            Self::QueueResources => "a queue of the GPU stopped because memory ran out",
            Self::Rocblas4NotFound => "librocblas.so.4 is not found",
            Self::Rocblas5NotFound => "librocblas.so.5 is not found",
            Self::SolveTriOther => "SOLVE_TRI failed, but not because a kernel is missing",
            Self::TensileException => {
                "rocBLAS selected a matrix product kernel but could not run it"
            }
            Self::TensileMissing => "the Tensile files of this GPU are missing",
            Self::TensileNoSolution => "rocBLAS has no matrix product kernel for this operation",
            Self::TensileRegex => "rocBLAS failed while it looked for its Tensile files",
            Self::TensileOfBackend => "the shim's backend lacks the Tensile files of this GPU",
            Self::VllmPlatform => "vLLM does not find ROCm",
            Self::Windows => "the log is from Windows, but the shim is for Linux",
            Self::WorkspaceOrder => "several threads use one rocBLAS handle",
            Self::Shim(sentence) => shim::meaning(sentence).title,
        }
    }

    /// Why it is printed.
    pub(super) fn why(self) -> &'static str {
        match self {
            Self::Capture => {
                "rocBLAS synchronises its stream or allocates memory in this call, for example in a \
                 solve (TRSM) that needs a larger workspace. HIP forbids both while a stream is \
                 captured, and invalidates the capture; since ROCm 7.0 it does so for more calls."
            }
            Self::Cmake => {
                "rocBLAS's CMake package names librocblas.so.5.0.70002, which was removed by hand."
            }
            Self::CodeObject
            | Self::CodeObjectContinued
            | Self::OtherLibraryCode
            | Self::ScanGoesOn => {
                "HIP searched a library such as librocsolver.so and found no code for the GPU. \
                 rocSOLVER, rocSPARSE and others dropped GPUs too, and the shim adds rocBLAS kernels \
                 only. It is harmless until a function of that library is called; llama.cpp calls none."
            }
            Self::ContainerDevice => {
                "The host has no such device because the amdgpu driver is not loaded, or the node's \
                 device plugin offers none."
            }
            Self::DeviceCgroup => {
                "The device exists but cannot be opened: in LXC its number is not allowed by \
                 lxc.cgroup2.devices.allow, or the driver is not the host's."
            }
            Self::FunctionNotFound => {
                "The librocblas.so.5 that the loader found is not the one that the program or library \
                 was built for: often a symlink to another version, or an older copy in LD_LIBRARY_PATH."
            }
            Self::GpuFault | Self::QueueError => {
                "Often kernels for another GPU ran because HSA_OVERRIDE_GFX_VERSION names one; \
                 otherwise a bug in a kernel, or invalid memory (too large a model, unstable \
                 hardware)."
            }
            Self::Hip6NotFound => {
                "rocBLAS 6.3 needs the HIP runtime under ROCm 6's name; ROCm 7 has libamdhip64.so.7. The \
                 loader's cache lists a library by its SONAME, not by a symlink to it."
            }
            Self::HipVersion => {
                "A library was built for a HIP runtime other than the libamdhip64 that was loaded: an \
                 older one, or a file of that name that is not a HIP runtime."
            }
            Self::Hipblaslt0NotFound => {
                "rocBLAS 6.3 needs hipBLASLt under ROCm 6's name; ROCm 7 has libhipblaslt.so.1. The \
                 loader requires it, although nothing calls it."
            }
            Self::HipblasMemory => {
                "The GPU's memory is full, or PyTorch's fixed workspace is too small for a batch of \
                 solves."
            }
            // hipBLAS library/src/amd_detail/hipblas.cpp, rocBLASStatusToHIPStatus: UNKNOWN is its default.
            // rocBLAS maps every HIP error without a status of its own to internal_error (utility.cpp).
            Self::HipblasStatus => {
                "A rocBLAS call failed. On a GPU for which this rocBLAS has no kernels, a launch fails \
                 with hipErrorInvalidDeviceFunction: rocBLAS returns internal_error for that, and hipBLAS \
                 INTERNAL_ERROR. UNKNOWN replaces the statuses for which hipBLAS has no name, such as \
                 arch_mismatch. Other causes have the same status: an earlier error of the GPU, libraries \
                 of several releases in one process, a bug in rocBLAS. rocBLAS's own message is on stderr and \
                 may not be in this log."
            }
            // The same table: not_implemented.
            Self::HipblasUnsupported => {
                "hipBLAS returns NOT_SUPPORTED if rocBLAS returns not_implemented: this rocBLAS has no \
                 kernel for the operation and its types on this GPU, or hipBLAS is from another release \
                 than rocBLAS and requests something that rocBLAS lacks."
            }
            Self::HipblasltMissing => {
                "The call went to hipBLASLt, which was never built for gfx906 and others, or is from another \
                 release than the program. The shim affects rocBLAS only."
            }
            Self::HipblasltUnused => {
                "hipBLASLt does not support it, so PyTorch uses hipBLAS, and thereby rocBLAS, instead. This is \
                 harmless."
            }
            Self::HsaResources => {
                "HSA_STATUS_ERROR_OUT_OF_RESOURCES has several causes. At a program's start, /dev/kfd \
                 cannot be used; later, the GPU's memory is full, or a kernel needs more resources than \
                 the GPU has."
            }
            Self::LibraryNotFound => {
                "A library that the program or one of its libraries needs is in no directory that the \
                 loader searches."
            }
            Self::LinkedToRocm6 => {
                "rocSOLVER 7, and hipBLAS through it, need functions that rocBLAS 6.3 does not have: a \
                 plain symlink to librocblas.so.4 lacks them. The shim supplies them."
            }
            Self::LlamaNoGpu => {
                "The program was built without HIP, its backend's library (libggml-hip.so) was not \
                 loaded, or HIP reports no GPU. It continues on the CPU."
            }
            Self::LmStudio => "The engine's process ended; the reason is in LM Studio's own log.",
            Self::MiopenBuild => {
                "This ROCm's compiler does not compile the kernel's source for this GPU."
            }
            Self::MiopenDatabase => {
                "The first run is slower. This is harmless, and does not concern rocBLAS."
            }
            Self::NewerSystem => {
                "A file comes from a distribution with a newer C or C++ library: a package for Ubuntu \
                 24.04 on 22.04, or one of Arch Linux."
            }
            Self::NoGpu => {
                "The amdgpu driver is not loaded, the container has no /dev/kfd, the user may not open \
                 it, or HIP_VISIBLE_DEVICES or ROCR_VISIBLE_DEVICES hides every GPU."
            }
            Self::NoPermission => {
                "The user is not in the group that owns /dev/kfd and /dev/dri/renderD*, or the container \
                 was not given the group's number."
            }
            Self::NoProgramKernel => {
                "The program itself (llama.cpp's own kernels) or one of its libraries was not compiled \
                 for this GPU, or HSA_OVERRIDE_GFX_VERSION names another one. Next to a line of rocBLAS \
                 it is that error's consequence."
            }
            Self::NoRocblasKernel | Self::SolveTri => {
                "The kernels of TRSM and others are compiled into librocblas.so, which was not \
                 compiled for this GPU. In llama.cpp, SOLVE_TRI fails."
            }
            Self::NotElf => {
                "The file is empty or truncated. In an image it is usually a program whose \
                 build failed behind a `;` or `|| true` of a RUN line: patched before llama.cpp was \
                 compiled, CMake does not find librocblas.so.5.0.70002."
            }
            Self::OllamaFiltered => {
                "Ollama uses only GPUs that its bundled rocBLAS has Tensile files for and that pass a \
                 trial computation before it loads a model."
            }
            Self::OllamaNoBundle => {
                "The archive with the ROCm libraries was not unpacked next to Ollama, or this is the image \
                 without them (ollama/ollama in place of ollama/ollama:rocm)."
            }
            Self::OllamaUnfit => {
                "The runner for ROCm was compiled for processors with AVX. The GPU and rocBLAS are not \
                 involved."
            }
            Self::OllamaRunner => {
                "Ollama does not print its runner's output. Usually rocBLAS aborted it: the bundle \
                 (lib/ollama/rocm) has no Tensile files for the GPU."
            }
            Self::OutOfMemory => {
                "The model, its context and the workspaces need more memory than the GPU has left. No \
                 kernel is missing, and the shim cannot help."
            }
            Self::Preload => {
                "LD_PRELOAD or /etc/ld.so.preload names a file that does not exist or cannot be read. The \
                 loader ignores it, and the program uses the library that is found on the search path."
            }
            Self::QueueResources => {
                "A kernel needs more memory for registers and stack than the GPU has left, or more \
                 than one of its compute units has. The GPU is visible and works; often the model fills \
                 its memory."
            }
            Self::Rocblas4NotFound => {
                "The program was built for ROCm 6, but this is a tree of ROCm 7. The shim replaces only \
                 librocblas.so.5."
            }
            Self::Rocblas5NotFound => {
                "ROCm's library directory is not on the loader's search path, rocBLAS is not installed \
                 (AMD's plain images lack it), or the symlink was removed by hand."
            }
            Self::SolveTriOther => {
                "The error after it is the reason; another kernel would not help."
            }
            // Tensile Source/lib/source/hip/HipSolutionAdapter.cpp; rocBLAS prints the exception after the
            // braces.
            Self::TensileException => {
                "The Tensile files list a kernel, but loading or launching it failed; the exception \
                 follows the closing brace. Usually the kernel's file (.co, .hsaco) is missing, truncated \
                 or from another release than the list (.dat): files of two releases in one directory. \
                 Other causes: an earlier error of the GPU, full memory, or HSA_OVERRIDE_GFX_VERSION."
            }
            Self::TensileNoSolution => {
                "The Tensile files of this GPU have no kernel for these types and sizes. Some kernels exist for few \
                 GPUs only, or files were left out when a directory was copied or pruned."
            }
            // ROCm/Tensile#1812: names are compared without std::regex since ROCm 6.0.
            Self::TensileRegex => {
                "Tensile before ROCm 6.0 compares file names with std::regex, which throws, or \
                 overflows the stack, if another C++ library is in the process. After a line that says \
                 that a Tensile file cannot be read, it is that error's consequence."
            }
            Self::TensileMissing => {
                "This rocBLAS has no matrix product kernels for the GPU. ROCm 7 ships none for gfx906, \
                 gfx900 and others, or ROCBLAS_TENSILE_LIBPATH names another directory. Copying the files alone \
                 is not enough: the kernels of TRSM are in the library itself."
            }
            Self::TensileOfBackend => {
                "The shim is in place, and the line names its backend's directory: the package was \
                 reduced to other GPUs (--gpu), or files are missing."
            }
            Self::VllmPlatform => {
                "vLLM asks amdsmi for GPUs: the module is not installed, or the container has no \
                 /dev/kfd."
            }
            Self::Windows => {
                "The line names a DLL or a path of Windows. The shim and the packages that it forwards to \
                 are Linux libraries."
            }
            Self::WorkspaceOrder => {
                "A handle has one workspace, which is released in the wrong order if threads or \
                 streams share the handle."
            }
            Self::Shim(sentence) => shim::meaning(sentence).why,
        }
    }

    /// What to do, with the facts of a line.
    pub(super) fn cure(self, known: &Known, advice: &Advice) -> String {
        let line = &known.line;
        let rocm = advice.rocm(line);
        match self {
            Self::Capture => {
                "set a large enough workspace beforehand (ROCBLAS_DEVICE_MEMORY_SIZE, or run the call \
                 once before the capture), or keep the call out of the graph: GGML_CUDA_DISABLE_GRAPHS=1 for \
                 llama.cpp, --enforce-eager for vLLM"
                    .to_owned()
            }
            Self::Cmake => advice.apply_or_repair(
                line,
                &format!("installer apply{rocm}   (makes that name a symlink to the shim; not with --no-build-link)"),
            ),
            Self::OtherLibraryCode | Self::CodeObject | Self::CodeObjectContinued | Self::ScanGoesOn => {
                let build = line.library.as_deref().map_or("that library".to_owned(), package_of);
                format!("nothing, if the program works; otherwise get a build of {build} for the GPU")
            }
            Self::ContainerDevice => "on the host: modprobe amdgpu, and check /dev/kfd; in Kubernetes: \
                 kubectl describe node, for AMD's device plugin"
                .to_owned(),
            Self::DeviceCgroup => "in the container's configuration: lxc.cgroup2.devices.allow with the \
                 numbers that `ls -l /dev/kfd /dev/dri` prints, and the devices mounted; then restart it"
                .to_owned(),
            Self::FunctionNotFound => advice.apply_or_repair(
                line,
                &format!("installer inspect{rocm}   (shows what each name points to); installer apply{rocm} repairs the symlinks"),
            ),
            Self::GpuFault | Self::QueueError => "unset HSA_OVERRIDE_GFX_VERSION; installer selftest   (computes on each GPU)"
                .to_owned(),
            Self::Hip6NotFound => advice.apply_or_repair(
                line,
                "installer apply   (or, if the search path is unreliable: installer apply --compat stubs)",
            ),
            Self::HipVersion => "installer inspect   (shows what libamdhip64.so.6 and .so.7 point to); remove \
                 other ROCm versions from LD_LIBRARY_PATH"
                .to_owned(),
            Self::Hipblaslt0NotFound => advice.apply_or_repair(
                line,
                "installer apply   (and apt-get install hipblaslt, if there is no libhipblaslt.so.1)",
            ),
            Self::HipblasMemory => "use a smaller model, context or batch; for solves \
                 HIPBLAS_WORKSPACE_CONFIG with a larger workspace"
                .to_owned(),
            Self::HipblasStatus => {
                let look = "run the program with its stderr kept, and AMD_LOG_LEVEL=1; installer selftest   \
                            (computes on each GPU)";
                match advice.missing_kernels(line) {
                    Some(kernels) => format!("{kernels}; otherwise {look}"),
                    None => look.to_owned(),
                }
            }
            Self::HipblasUnsupported => format!(
                "installer inspect{rocm}   (are hipBLAS and rocBLAS from one release?); run the program with \
                 its stderr kept: rocBLAS names the operation"
            ),
            Self::HipblasltMissing => "TORCH_BLAS_PREFER_HIPBLASLT=0, so that PyTorch calls rocBLAS; for \
                 other programs unset ROCBLAS_USE_HIPBLASLT and DISABLE_ADDMM_HIP_LT=0"
                .to_owned(),
            Self::HipblasltUnused | Self::MiopenDatabase => "nothing".to_owned(),
            Self::HsaResources => "at the program's start: `installer inspect` says whether /dev/kfd can be \
                 used; later: a smaller model or context; installer selftest   (computes on each GPU)"
                .to_owned(),
            Self::LibraryNotFound => {
                let install = line.library.as_deref().map(|library| advice.install(library));
                let install = install.unwrap_or_else(|| "install it".to_owned());
                format!("{install}; or name its directory in a file of /etc/ld.so.conf.d and run ldconfig")
            }
            Self::LinkedToRocm6 => advice.apply_or_repair(
                line,
                &format!("installer apply{rocm}   (also for a tree patched with symlinks)"),
            ),
            Self::LlamaNoGpu => format!(
                "llama-server --list-devices; installer inspect   (lists the GPUs, and who may use them); \
                 if the program has no HIP: {}",
                advice.build(line)
            ),
            Self::LmStudio => {
                "~/.lmstudio/server-logs has it, after the last \"BeginProcessingPrompt\"; installer doctor \
                 --log that file"
                    .to_owned()
            }
            Self::MiopenBuild => "get a build of MIOpen and its compiler that support the GPU".to_owned(),
            Self::NewerSystem => advice.of_this_system(line),
            Self::NoGpu => "docker run --device /dev/kfd --device /dev/dri --group-add GROUP ...; \
                 `installer inspect` lists the GPUs and the groups"
                .to_owned(),
            Self::NoPermission => "on a host: usermod -a -G render,video USER and log in again; in a \
                 container: --group-add with the numbers that `installer inspect` prints"
                .to_owned(),
            Self::NoProgramKernel => advice.build(line),
            Self::NoRocblasKernel
            | Self::SolveTri
            | Self::TensileMissing
            | Self::TensileOfBackend => advice.kernels(line),
            Self::NotElf => "build it again, with `set -e` or `&&` in the RUN line".to_owned(),
            Self::OllamaFiltered => format!(
                "OLLAMA_DEBUG=2 ollama serve   (prints why); {}",
                advice.kernels(line)
            ),
            Self::OllamaNoBundle => "unpack Ollama's archive for ROCm (ollama-linux-amd64-rocm) over its \
                 installation, or run the image ollama/ollama:rocm"
                .to_owned(),
            Self::OllamaUnfit => "build Ollama on this machine, or use a processor with AVX".to_owned(),
            Self::OllamaRunner => format!(
                "OLLAMA_DEBUG=2 ollama serve, which prints the runner's output: pass that to doctor \
                 --log; if the bundle lacks the GPU's Tensile files: {}",
                advice.kernels(line)
            ),
            Self::OutOfMemory => "use a smaller model or context, fewer layers on the GPU (-ngl), or \
                 another GPU in addition"
                .to_owned(),
            Self::Preload => "unset LD_PRELOAD, or remove the line from /etc/ld.so.preload; the shim needs \
                 neither"
                .to_owned(),
            Self::QueueResources => "use a smaller model or context, or fewer layers on the GPU (-ngl); \
                 unset HSA_OVERRIDE_GFX_VERSION; installer selftest   (computes on each GPU)"
                .to_owned(),
            Self::Rocblas4NotFound => "build the program with this ROCm, or run it with ROCm 6".to_owned(),
            Self::Rocblas5NotFound => match advice.is_applied(line) {
                true => "ldconfig; installer status; installer repair".to_owned(),
                false => format!(
                    "ldconfig; installer status; or {}, then installer apply",
                    advice.install(SONAME)
                ),
            },
            Self::TensileException | Self::TensileRegex => format!(
                "unset ROCBLAS_TENSILE_LIBPATH and HSA_OVERRIDE_GFX_VERSION; reinstall the library and its files \
                 from one release: {}",
                advice.kernels(line)
            ),
            Self::TensileNoSolution => format!(
                "installer inspect{rocm}   (which files exist); compare with the whole package: {}",
                advice.kernels(line)
            ),
            Self::SolveTriOther => "read the error that follows it".to_owned(),
            Self::VllmPlatform => "pip install the amdsmi of this ROCm (/opt/rocm/share/amd_smi); docker \
                 run --device /dev/kfd --device /dev/dri ..."
                .to_owned(),
            Self::Windows => WINDOWS.to_owned(),
            Self::WorkspaceOrder => "create a handle for each thread and stream".to_owned(),
            Self::Shim(sentence) => advice.of_shim(shim::meaning(sentence).cure),
        }
    }

    /// Whether both have one explanation, like sentences of the shim that belong together.
    pub(super) fn has_explanation_of(self, other: Self) -> bool {
        match (self, other) {
            (Self::Shim(one), Self::Shim(two)) => {
                std::ptr::eq(shim::meaning(one), shim::meaning(two))
            }
            _ => self == other,
        }
    }

    /// The cause, if the line's library decides it; `None` if nothing is wrong.
    pub(super) fn decided(self, line: &Line) -> Option<Self> {
        let library = line.library.as_deref().unwrap_or_default();
        Some(match self {
            Self::ScanGoesOn => return None,
            Self::CodeObject if is_rocblas(line) => Self::NoRocblasKernel,
            Self::CodeObject if is_of_rocm(library) => Self::OtherLibraryCode,
            Self::CodeObject => Self::NoProgramKernel,
            Self::HipblasltUnused if is_hipblaslt(line) => Self::HipblasltMissing,
            Self::TensileMissing if is_in_store(line) => Self::TensileOfBackend,
            // Programs search for other vendors' libraries too.
            Self::LibraryNotFound if is_of_another_maker(library) => return None,
            Self::LibraryNotFound => match (library, renamed(library)) {
                (BACKEND_SONAME, _) => Self::Rocblas4NotFound,
                (SONAME, _) => Self::Rocblas5NotFound,
                (_, Some(HIP_RUNTIME)) => Self::Hip6NotFound,
                (_, Some(_)) => Self::Hipblaslt0NotFound,
                _ => Self::LibraryNotFound,
            },
            // Systems preload libraries of their own, and some name them wrongly for all programs.
            Self::Preload if !is_of_rocm(library) => return None,
            // llama.cpp pins host memory if possible, and otherwise continues.
            Self::OutOfMemory if line.message.contains("ROCm_Host") => return None,
            Self::OllamaUnfit if line.message.contains("runner=cuda") => return None,
            // A reason other than the processor, which only the runner's output contains.
            Self::OllamaUnfit if !line.message.contains("AVX") => Self::OllamaFiltered,
            cause => cause,
        })
    }
}

/// Whether a line names a file in the store.
pub(super) fn is_in_store(line: &Line) -> bool {
    line.path.as_deref().is_some_and(|path| path.iter().any(|name| name == STORE))
}

/// Whether a library is another accelerator vendor's.
fn is_of_another_maker(library: &str) -> bool {
    const OTHERS: [&str; 8] = ["cu", "nv", "nccl", "tpu", "ze_", "OpenCL", "npp", "vulkan"];
    library.strip_prefix("lib").is_some_and(|stem| {
        OTHERS.iter().any(|start| stem.starts_with(start)) && !stem.starts_with("curl")
    })
}
