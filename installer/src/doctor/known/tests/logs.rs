//! Logs as users post them, reduced to their facts, and what is to be made of each; what is near one
//! and must not be taken for it; logs of programs that work.

use super::*;

fn causes(log: &str) -> Vec<Cause> {
    explain(log).into_iter().map(|known| known.cause).collect()
}

/// The cures for a machine on which nothing is.
fn cures(log: &str) -> Vec<String> {
    let advice = Advice { package: "PACKAGE.deb".to_owned(), ..Advice::default() };
    explain(log).iter().map(|known| known.cure(&advice)).collect()
}

#[test]
fn missing_tensile_files_name_the_tree_and_the_gpu() {
    // pytorch/pytorch#179865
    let torch = "\
rocBLAS error: Cannot read /media/HDD/ComfyUI/venv-linux/lib/python3.12/site-packages/torch/lib/rocblas/\
library/TensileLibrary.dat: Illegal seek for GPU arch : gfx900
List of available TensileLibrary Files :
\".../TensileLibrary_lazy_gfx908.dat\"
Aborted (core dumped)
";
    let tree = "/media/HDD/ComfyUI/venv-linux/lib/python3.12/site-packages/torch/lib";
    assert_eq!(
        cures(torch),
        [format!("installer apply --rocm {tree} --backend PACKAGE.deb --gpu gfx900")]
    );
    let blank = torch.replace("/HDD/", "/My Disk/");
    let quoted = tree.replace("/HDD/", "/My Disk/");
    let cure = format!("installer apply --rocm '{quoted}' --backend PACKAGE.deb --gpu gfx900");
    assert_eq!(cures(&blank), [cure]);
    // Debian's directory of the version.
    let debian = "rocBLAS error: Cannot read /usr/lib/x86_64-linux-gnu/rocblas/5.2.0/library/\
                  TensileLibrary.dat: No such file or directory for GPU arch : gfx1010";
    let cure =
        "installer apply --rocm /usr/lib/x86_64-linux-gnu --backend PACKAGE.deb --gpu gfx1010";
    assert_eq!(cures(debian), [cure]);
}

#[test]
fn a_gpu_that_no_known_release_serves_is_not_cured_by_6_3() {
    // lmstudio-ai/lmstudio-bug-tracker#1269, ggml-org/llama.cpp#14421, and of our own.
    for (tree, gpu, expected) in [
        ("/home/user/.lmstudio/vendor/v3/rocblas", "gfx1151", "that of ROCm 7.0, 7.2 is"),
        ("/opt/rocm-6.4.1/lib/llvm/bin/../../../lib/rocblas", "gfx1036", "HIP_VISIBLE_DEVICES"),
        ("/opt/rocm/lib/rocblas", "gfx1152", "no known release of rocBLAS serves gfx1152"),
        ("/opt/rocm/lib/rocblas", "gfx90c", "no known release of rocBLAS serves gfx90c"),
        ("/opt/rocm/lib/rocblas", "gfx1032", "build rocBLAS for it"),
    ] {
        let line = format!(
            "rocBLAS error: Cannot read {tree}/library/TensileLibrary.dat: Illegal seek for GPU arch : {gpu}"
        );
        let cure = cures(&line).pop().expect("a cure");
        assert!(cure.contains(expected) && cure.contains(gpu), "{cure}");
        assert!(!cure.contains("installer apply"), "{cure}");
    }
}

#[test]
fn files_that_a_release_has_are_missing_and_not_dropped() {
    let line = |tree: &str, gpu| {
        format!(
            "rocBLAS error: Cannot read {tree}/lib/rocblas/library/TensileLibrary.dat: x for GPU arch : {gpu}"
        )
    };
    for (tree, gpu, expected) in [
        ("/opt/rocm-7.0.2", "gfx1100", "its files are missing"),
        ("/opt/rocm", "gfx1201", "not known to serve gfx1201"),
        ("/opt/rocm-6.3.2", "gfx906", "reinstall that release's rocblas package"),
    ] {
        let cure = cures(&line(tree, gpu)).pop().expect("a cure");
        assert!(cure.contains(expected) && !cure.contains("installer apply"), "{cure}");
    }
}

#[test]
fn installing_a_release_again_does_not_bring_files_that_it_never_had() {
    // ROCm/legacy-rocm-build#4625.
    let line = "rocBLAS error: Cannot read /opt/rocm-6.4.0/lib/rocblas/library/TensileLibrary.dat: No such file \
                or directory for GPU arch : gfx906";
    let cure = cures(line).pop().expect("a cure");
    assert!(cure.contains("ROCm 6.4.0, whose packages have no files for gfx906"), "{cure}");
    assert!(cure.contains("ROCm 6.3, which serves gfx906") && !cure.contains("again"), "{cure}");
}

#[test]
fn newer_words_of_hip_for_a_missing_kernel() {
    // ggml-org/llama.cpp#19949
    let log = "\
:1:hip_fatbin.cpp           :687 : 114369963532 us:  No compatible code objects found for: gfx1152, value of \
HIP_FORCE_SPIRV_CODEOBJECT: 0
zsh: segmentation fault  llama-server -fa on
";
    assert_eq!(causes(log), [Cause::NoProgramKernel]);
    assert!(cures(log)[0].contains("-DGPU_TARGETS=gfx1152"));
    // Near: the scan of all libraries, which says that it goes on.
    let near = ":3:hip_platform.cpp :715 : 88 us: [pid:1 tid:0x1] init: Returned hipErrorNoBinaryForGpu : \
                continue parsing remaining modules";
    assert_eq!(causes(near), []);
}

#[test]
fn a_code_object_is_judged_by_the_library_in_the_line() {
    let line = |library: &str| {
        format!(
            ":1:hip_fatbin.cpp :276 : 8803012584 us: [pid:19 tid:0x14d] Cannot find CO in the bundle {library} \
             for ISA: amdgcn-amd-amdhsa--gfx906:sramecc+:xnack-"
        )
    };
    // ROCm/legacy-rocm-build#4208 and #4625, and of our own.
    for (library, cause) in [
        (
            "/opt/venv/lib/python3.11/site-packages/torch/lib/libtorch_hip.so",
            Cause::NoProgramKernel,
        ),
        ("/app/libggml-hip.so", Cause::NoProgramKernel),
        ("/usr/local/bin/llama-server", Cause::NoProgramKernel),
        ("/opt/rocm-7.0.2/lib/librocblas.so.5.0.70002", Cause::NoRocblasKernel),
        ("/opt/venv/torch/lib/librocblas.so", Cause::NoRocblasKernel),
        ("/opt/rocm-6.4.3/lib/librocsolver.so.0.4.60403", Cause::OtherLibraryCode),
        ("/opt/rocm/lib/libhipblaslt.so.1", Cause::OtherLibraryCode),
        ("/opt/rocm/lib/librccl.so.1", Cause::OtherLibraryCode),
        ("/opt/rocm/lib/librocblas-extras.so", Cause::OtherLibraryCode),
    ] {
        assert_eq!(causes(&line(library)), [cause], "{library}");
    }
    let whole = format!(
        "{}\n:1:hip_fatbin.cpp :117 : 88 us: Missing CO for these ISAs - \n:1:hip_fatbin.cpp :120 : 89 us:      \
         amdgcn-amd-amdhsa--gfx906:sramecc+:xnack-\n",
        line("/opt/rocm-7.0.2/lib/librocblas.so.5.0.70002")
    );
    let cure = "installer apply --rocm /opt/rocm-7.0.2/lib --backend PACKAGE.deb --gpu gfx906";
    assert_eq!(cures(&whole), [cure]);
    assert_eq!(explain(&line("/opt/rocm/lib/librocsolver.so.0"))[0].severity(), Severity::Warning);
}

#[test]
fn hipblaslt_is_not_rocblas() {
    // Comfy-Org/ComfyUI#3698, ollama/ollama#11555, and of our own.
    for line in [
        "rocblaslt warning: No paths matched /media/venv/lib/python3.10/site-packages/torch/lib/hipblaslt/library/\
         *gfx906*co. Make sure that HIPBLASLT_TENSILE_LIBPATH is set correctly.",
        "rocblaslt error: Cannot read /usr/local/lib/ollama/rocm/hipblaslt/library/TensileLibrary_lazy_gfx906.dat: \
         No such file or directory",
        "rocblaslt error: Could not load \"TensileLibrary_lazy_gfx906.dat\"",
    ] {
        assert_eq!(causes(line), [Cause::HipblasltMissing], "{line}");
        assert_eq!(explain(line)[0].line.gpu.as_deref(), Some("gfx906"), "{line}");
        assert!(cures(line)[0].contains("TORCH_BLAS_PREFER_HIPBLASLT=0"));
    }
    // PyTorch says that it takes rocBLAS: that is fine.
    let near = "[W1016 17:27:46.69 Context.cpp:301] Warning: Attempting to use hipBLASLt on an unsupported \
                architecture! Overriding blas backend to hipblas (function operator())";
    let known = &explain(near)[0];
    assert_eq!((known.cause, known.severity()), (Cause::HipblasltUnused, Severity::Warning));
}

#[test]
fn a_library_for_a_newer_system_is_the_one_in_the_line() {
    // ROCm/legacy-rocm-build#4625, and of our own.
    let ld = "/usr/bin/ld: /opt/rocm/lib/librocsolver.so.0: undefined reference to `__isoc23_strtol@GLIBC_2.38'";
    assert!(cures(ld)[0].contains("--reinstall rocsolver"), "{:?}", cures(ld));
    let hip = "./app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by \
               /opt/rocm/lib/libamdhip64.so.7)";
    assert!(cures(hip)[0].contains("--reinstall hip-runtime-amd"), "{:?}", cures(hip));
    let rocblas = "./app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by \
                   /opt/rocm/lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4)";
    assert!(cures(rocblas)[0].contains("PACKAGE.deb"), "{:?}", cures(rocblas));
    assert_eq!(causes("/usr/bin/ld: foo.o: undefined reference to `bar'"), []);
}

#[test]
fn a_failed_solve_is_explained_by_what_follows() {
    let solve = "ggml_cuda_compute_forward: SOLVE_TRI failed\n";
    let filler = "x\n".repeat(4000);
    for (after, expected) in [
        ("ROCm error: out of memory\n", vec![Cause::OutOfMemory]),
        ("CUDA error: out of memory\n", vec![Cause::OutOfMemory]),
        (
            "ROCm error: invalid device function\n",
            vec![Cause::NoRocblasKernel, Cause::NoProgramKernel],
        ),
        ("ROCm error: unspecified launch failure\n", vec![Cause::SolveTriOther]),
        ("", vec![Cause::NoRocblasKernel]),
    ] {
        assert_eq!(causes(&format!("{solve}{after}")), expected, "{after}");
    }
    let late = format!("{solve}{filler}ROCm error: out of memory\n");
    assert_eq!(causes(&late), [Cause::NoRocblasKernel, Cause::OutOfMemory]);
    let before = format!("cudaMalloc failed: out of memory\n{solve}");
    assert_eq!(causes(&before), [Cause::OutOfMemory]);
    // The reason may be another program's words, before or after, with lines between.
    for (reason, expected) in [
        ("rocBLAS error from hip error code: 'hipErrorOutOfMemory':2\n", Cause::OutOfMemory),
        (
            "alloc_buffer: allocating 12 MiB on device 0: cudaMalloc failed: out of memory\n",
            Cause::OutOfMemory,
        ),
        ("0.12.081.459 E ROCm error: out of memory\n", Cause::OutOfMemory),
        (
            "rocBLAS error from hip error code: 'hipErrorStreamCaptureUnsupported':900\n",
            Cause::Capture,
        ),
        ("ROCm error: operation not permitted when stream is capturing\n", Cause::Capture),
        ("Memory access fault by GPU node-1 on address 0x7f. Reason: Unknown.\n", Cause::GpuFault),
    ] {
        assert_eq!(
            causes(&format!("{solve}  current device: 0\n{reason}")),
            [expected],
            "{reason}"
        );
        assert_eq!(causes(&format!("{reason}x\n{solve}")), [expected], "{reason}");
        let found = explain(&format!("{solve}{reason}"));
        assert!(
            found[0].also.as_deref().is_some_and(|also| also.contains("SOLVE_TRI")),
            "{found:?}"
        );
        // Near: too far away, so that it is another matter.
        let far = format!("{reason}{filler}{solve}");
        assert_eq!(causes(&far), [expected, Cause::NoRocblasKernel], "{reason}");
    }
    assert_eq!(
        causes("ggml_cuda_compute_forward: MUL_MAT failed\nROCm error: unknown error\n"),
        []
    );
}

#[test]
fn a_failed_solve_with_an_internal_error_may_lack_its_kernel() {
    let solve = "ggml_cuda_compute_forward: SOLVE_TRI failed\n";
    // hipBLAS makes of rocblas_status_internal_error what llama.cpp prints by cuBLAS's name, or by none.
    for answer in [
        "ROCm error: CUBLAS_STATUS_INTERNAL_ERROR\n",
        "CUDA error: CUBLAS_STATUS_INTERNAL_ERROR\n",
        "ROCm error: CUBLAS_STATUS_EXECUTION_FAILED\n",
        "ROCm error: unknown error\n",
    ] {
        let log =
            format!("{solve}{answer}  current device: 0, in function ggml_cuda_compute_forward\n");
        assert_eq!(causes(&log), [Cause::HipblasStatus], "{answer}");
        let known = &explain(&log)[0];
        assert!(known.also.as_deref().is_some_and(|also| also.contains("SOLVE_TRI")), "{known:?}");
        assert!(known.why().contains("no kernels") && known.why().contains("Other causes"));
        let cure = &cures(&log)[0];
        assert!(
            cure.contains("installer apply --backend PACKAGE.deb") && cure.contains("stderr"),
            "{cure}"
        );
    }
    for (answer, expected) in [
        ("ROCm error: CUBLAS_STATUS_ALLOC_FAILED\n", Cause::HipblasMemory),
        ("CUDA error: CUBLAS_STATUS_ALLOC_FAILED\n", Cause::HipblasMemory),
        ("ROCm error: CUBLAS_STATUS_NOT_SUPPORTED\n", Cause::HipblasUnsupported),
        ("ROCm error: an illegal memory access was encountered\n", Cause::GpuFault),
    ] {
        assert_eq!(causes(&format!("{solve}{answer}")), [expected], "{answer}");
    }
    let none = "rocBLAS error: Could not initialize Tensile host: No devices found\n";
    let log = format!("{solve}{none}ROCm error: CUBLAS_STATUS_INTERNAL_ERROR\n");
    assert_eq!(causes(&log), [Cause::NoGpu]);
    // A GPU that this ROCm dropped, and one that it serves.
    let device = |gpu: &str| format!("  Device 0: AMD GPU, {gpu} (0x0), VMM: no\n");
    let cure = |gpu: &str| {
        let log = format!("{}{solve}ROCm error: CUBLAS_STATUS_INTERNAL_ERROR\n", device(gpu));
        let reading = Reading::of(log.as_bytes()).expect("read");
        let advice = Advice { gpus: reading.gpus.iter().cloned().collect(), ..Advice::default() };
        reading.found[0].cure(&advice)
    };
    assert!(
        cure("gfx906").starts_with("installer apply ") && cure("gfx906").contains("--gpu gfx906")
    );
    assert!(
        cure("gfx942").starts_with("run the program with its stderr kept"),
        "{}",
        cure("gfx942")
    );
    // rocBLAS's own message next to it says more; far from it, it is another matter.
    let status = "ROCm error: CUBLAS_STATUS_INTERNAL_ERROR\n";
    let kernel = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n";
    assert_eq!(causes(&format!("{kernel}{status}")), [Cause::NoRocblasKernel]);
    assert_eq!(causes(&format!("{kernel}{solve}{status}")), [Cause::NoRocblasKernel]);
    let far = "x\n".repeat(4000);
    assert_eq!(
        causes(&format!("{kernel}{far}{status}")),
        [Cause::NoRocblasKernel, Cause::HipblasStatus]
    );
}

#[test]
fn an_exception_of_tensile_is_no_missing_file() {
    // ggml-org/llama.cpp#10234
    let log = "\
rocBLAS error: Tensile solution found, but exception thrown for { a_type: \"f16_r\", b_type: \"f16_r\", \
compute_type: \"f16_r\", transA: 'T', M: 128, N: 2, K: 32, atomics_mode: atomics_allowed }
ROCm error: CUBLAS_STATUS_INTERNAL_ERROR
  current device: 0, in function ggml_cuda_mul_mat_batched_cublas_impl
";
    assert_eq!(causes(log), [Cause::TensileException]);
    // githubcto/FramePack-ZLUDA#4: what comes of a missing file, and what comes alone.
    let missing = "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: No such file or \
                   directory for GPU arch : gfx906\nrocBLAS error: Could not initialize Tensile host:\n";
    let regex = "regex_error(error_backref): The expression contained an invalid back reference.\n";
    assert_eq!(causes(&format!("{missing}{regex}")), [Cause::TensileMissing]);
    assert_eq!(causes(regex), [Cause::TensileRegex]);
}

#[test]
fn a_queue_that_stops_is_not_a_gpu_that_is_not_visible() {
    let queue = "Queue at 0x7f4e03654000 inactivated due to async error:\n";
    let status = "\tHSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed to allocate the necessary resources.\n";
    let known = &explain(&format!("{queue}{status}"))[0];
    assert_eq!(known.cause, Cause::QueueResources);
    assert!(known.also.as_deref().is_some_and(|also| also.starts_with("Queue at")), "{known:?}");
    // Another status, none, and one that is too far away.
    let other =
        "\tHSA_STATUS_ERROR_EXCEPTION: An HSAIL operation resulted in a hardware exception.\n";
    assert_eq!(causes(&format!("{queue}{other}")), [Cause::GpuFault]);
    assert_eq!(causes(queue), [Cause::GpuFault]);
    let far = "x\n".repeat(4000);
    assert_eq!(causes(&format!("{queue}{far}{status}")), [Cause::GpuFault, Cause::HsaResources]);
    let hang = "HW Exception by GPU node-1 (Agent handle: 0x5581) reason :GPU Hang\n";
    assert_eq!(causes(hang), [Cause::GpuFault]);
    assert_eq!(causes(&format!("{hang}{status}")), [Cause::GpuFault]);
    let rocminfo = "hsa api call failure at: /src/rocminfo/rocminfo.cc:1282\nCall returned \
                    HSA_STATUS_ERROR_OUT_OF_RESOURCES: The runtime failed to allocate the necessary resources.\n";
    assert_eq!(causes(rocminfo), [Cause::NoGpu]);
}

#[test]
fn a_solve_in_a_captured_graph() {
    // ROCm/hip#3876, ROCm/rocBLAS#1432, and of our own.
    for line in [
        "[rank0]:[E1030 15:32:32.97 ProcessGroupNCCL.cpp:2055] [PG ID 5] terminated with exception: HIP error: \
         operation not permitted when stream is capturing",
        "rocBLAS error from hip error code: 'hipErrorStreamCaptureUnsupported':900",
        "ROCm error: operation not permitted when stream is capturing",
        "Search for `hipErrorStreamCaptureUnsupported' in https://docs.nvidia.com/cuda/ for more information.",
    ] {
        assert_eq!(causes(line), [Cause::Capture], "{line}");
        assert!(!cures(line)[0].contains("installer apply"), "{line}");
    }
    assert_eq!(causes("ggml_cuda_graph: capturing stream 0"), []);
    assert_eq!(causes("disabled CUDA graphs due to GPU architecture"), []);
}

#[test]
fn ollama_hides_the_text() {
    // ollama/ollama#12774
    let log = "\
time=2025-10-24T10:12:01.103Z level=INFO source=routes.go:1511 msg=\"server config\" env=\"map\
[HSA_OVERRIDE_GFX_VERSION:9.0.0 OLLAMA_DEBUG:INFO ROCR_VISIBLE_DEVICES:]\"
time=2025-10-24T10:12:03.220Z level=INFO source=runner.go:545 msg=\"failure during GPU discovery\" \
OLLAMA_LIBRARY_PATH=\"[/usr/lib/ollama /usr/lib/ollama/rocm]\" extra_envs=\"[GGML_CUDA_INIT=1]\" \
error=\"runner crashed\"
";
    assert_eq!(causes(log), [Cause::OllamaRunner]);
    let cure = &cures(log)[0];
    assert!(
        cure.contains("OLLAMA_DEBUG=2") && cure.contains("--rocm /usr/lib/ollama/rocm"),
        "{cure}"
    );
    let reading = Reading::of(log.as_bytes()).expect("read");
    let names: Vec<_> =
        reading.settings.iter().map(|s| (s.name.as_str(), s.value.as_str())).collect();
    assert_eq!(names, [("HSA_OVERRIDE_GFX_VERSION", "9.0.0")]);
    assert!(reading.crash.is_some());
}

#[test]
fn settings_that_matter_are_named_and_no_other_part_of_their_line() {
    // ggml-org/llama.cpp#24824
    let log = "\
LD_LIBRARY_PATH=/opt/rocm-6.4.4/lib:$LD_LIBRARY_PATH HSA_OVERRIDE_GFX_VERSION=9.0.6 \
ROCBLAS_TENSILE_LIBPATH=/opt/rocm-6.4.4/lib/rocblas/library llama-server --api-key hush -ot 'ssm_=CPU'
Segmentation fault (core dumped)
";
    let reading = Reading::of(log.as_bytes()).expect("read");
    let names: Vec<&str> = reading.settings.iter().map(|setting| setting.name.as_str()).collect();
    let all = [
        "HSA_OVERRIDE_GFX_VERSION",
        "LD_LIBRARY_PATH",
        "ROCBLAS_TENSILE_LIBPATH",
        "--override-tensor",
    ];
    assert_eq!(names, all);
    assert!(!format!("{reading:?}").contains("hush"));
    for near in [
        "env=\"map[HSA_OVERRIDE_GFX_VERSION: OLLAMA_DEBUG:INFO]\"",
        "LD_LIBRARY_PATH=/usr/lib/ollama:/usr/lib/ollama/rocm",
        "MY_HSA_OVERRIDE_GFX_VERSION=9.0.6",
        "TORCH_BLAS_PREFER_HIPBLASLT=0 python main.py",
        "llama-server --override-tensor exps=CPU",
        "set HSA_OVERRIDE_GFX_VERSION to the version of another GPU",
    ] {
        let reading = Reading::of(near.as_bytes()).expect("read");
        assert_eq!(reading.settings, [], "{near}");
    }
}

#[test]
fn containers_pods_and_colours_hide_nothing() {
    // ggml-org/llama.cpp#19880, and of our own.
    let message = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98";
    for log in [
        format!("llama-server-1  | \u{1b}[31m{message}\u{1b}[0m\r\n"),
        format!(
            "{{\"log\":\"{message}\\r\\n\",\"stream\":\"stderr\",\"time\":\"2026-01-08T20:56:32Z\"}}\n"
        ),
        format!("[pod/llama-0/server] 2026-01-08T20:56:32.1Z {message}\n"),
        format!("Nov 13 10:01:52 host llama[55781]: 0.15.081.459 E {message}\n"),
        format!("2026-01-08T20:56:32.1Z stderr F {message}\n"),
    ] {
        assert_eq!(causes(&log), [Cause::NoRocblasKernel], "{log}");
    }
    let utf16: Vec<u8> = "\u{feff}"
        .encode_utf16()
        .chain(message.encode_utf16())
        .flat_map(u16::to_le_bytes)
        .collect();
    let reading = Reading::of(utf16.as_slice()).expect("read");
    assert_eq!(reading.found[0].cause, Cause::NoRocblasKernel);
}

#[test]
fn the_only_gpu_of_a_log_is_meant_where_a_line_names_none() {
    let device =
        "  Device 0: AMD Radeon VII, gfx906:sramecc-:xnack- (0x906), VMM: no, Wave Size: 64\n";
    let reading = Reading::of(device.as_bytes()).expect("read");
    assert_eq!(reading.gpus, BTreeSet::from(["gfx906".to_owned()]));
}

#[test]
fn what_is_near_is_not_taken_for_an_error() {
    for line in [
        "prompt: \"why does rocBLAS error: Cannot read TensileLibrary.dat come up\"",
        "{\"role\":\"user\",\"content\":\"HIP error: invalid device function\"}",
        "> ROCm error: out of memory",
        "User: what is 'HIP error: invalid device function'?",
        "docs: rocBLAS error: Cannot read X means that a file is missing",
        "Error response from daemon: error gathering device information while adding custom device \
         \"/dev/kvm\": no such file or directory",
        "0/1 nodes are available: 1 Insufficient nvidia.com/gpu.",
        "WARN msg=\"Unable to load cudart library /usr/lib/libcuda.so.1: cannot open shared object file: No such \
         file or directory\"",
        "libcudart.so.11.0: cannot open shared object file: No such file or directory",
        "Could not load library libnvidia-ml.so.1: libnvidia-ml.so.1: cannot open shared object file",
        "ls: cannot access '/dev/kvm': No such file or directory",
        "user is member of \"render\" group",
        "invalid device function table in the documentation",
        "rocBLAS error rate: 0",
        "test_hipErrorNoBinaryForGpu PASSED",
        "CUDA error: 0",
    ] {
        assert_eq!(causes(line), [], "{line}");
    }
}

#[test]
fn logs_of_programs_that_work_have_nothing_known_in_them() {
    for log in HEALTHY {
        let reading = Reading::of(log.as_bytes()).expect("read");
        assert_eq!((reading.found, reading.crash), (vec![], None), "{log}");
    }
    assert!(HEALTHY.len() >= 10);
}

/// llama.cpp, Ollama, PyTorch, vLLM and the project's own demo, when all is well.
const HEALTHY: [&str; 12] = [
    "ggml_cuda_init: found 2 ROCm devices:\n  Device 0: AMD Radeon VII, gfx906:sramecc-:xnack- (0x906), VMM: no\n\
     load_backend: loaded ROCm backend from /app/libggml-hip.so\nmain: server is listening on \
     http://127.0.0.1:8080\n",
    "llama_model_loader: loaded meta data with 52 key-value pairs and 733 tensors\nload_tensors: offloaded 37/37 \
     layers to GPU\nsrv  update_slots: all slots are idle\n",
    "llama_kv_cache:      ROCm0 KV buffer size =   720.00 MiB\nsched_reserve: graph nodes  = 2566\n",
    "time=2025-10-24T10:12:01.103Z level=INFO source=routes.go:1511 msg=\"server config\" \
     env=\"map[HIP_VISIBLE_DEVICES: HSA_OVERRIDE_GFX_VERSION: OLLAMA_DEBUG:INFO]\"\n",
    "time=2025-10-24T10:12:03.221Z level=INFO source=types.go:129 msg=\"inference compute\" id=0 library=ROCm \
     compute=gfx906 name=ROCm0 description=\"AMD Radeon VII\"\n",
    "ggml_cuda_init: initializing rocBLAS on device 0\nggml_cuda_init: initializing rocBLAS on device 1\n",
    "time=2026-02-07T15:23:47Z level=DEBUG source=server.go:430 msg=subprocess \
     LD_LIBRARY_PATH=/usr/lib/ollama:/usr/lib/ollama/rocm OLLAMA_DEBUG=1\n",
    "Total VRAM 16368 MB, total RAM 64216 MB\npytorch version: 2.8.0+rocm6.4\nAMD arch: gfx906\nROCm version: (6, 4)\n\
     Set vram state to: NORMAL_VRAM\n100%|##########| 20/20 [00:10<00:00,  1.98it/s]\n",
    "INFO 08-25 14:50:19 [__init__.py:244] Automatically detected platform rocm.\nINFO 08-25 14:51:01 \
     [config.py:1473] Using max model len 16384\n",
    "(EngineCore_0 pid=123) INFO 11-29 09:35:54 [gpu_model_runner.py:1] Graph capturing finished in 12 secs\n",
    "-- Found rocblas: /opt/rocm/lib/cmake/rocblas/rocblas-config.cmake\n[100%] Built target llama-server\n",
    "2 things are fine\nApplied; 12 files were resolved as the loader does it.\nstrsm_batched: the residual is 1e-7\n",
];
