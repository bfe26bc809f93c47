//! What a log tells of the machine it is from: which of several GPUs an error is of, where Ollama's libraries
//! are, which system it is.

use super::*;

/// Two GPUs as llama.cpp lists them.
const TWO: &str = "\
ggml_cuda_init: found 2 ROCm devices:
  Device 0: AMD Radeon RX 6800, gfx1030 (0x1030), VMM: no, Wave Size: 32
  Device 1: AMD Radeon VII, gfx906:sramecc-:xnack- (0x906), VMM: no, Wave Size: 64
";

fn gpus(log: &str) -> Vec<Option<String>> {
    explain(log).into_iter().map(|known| known.line.gpu).collect()
}

fn cures(log: &str) -> Vec<String> {
    let reading = Reading::of(log.as_bytes()).expect("read");
    let advice = Advice {
        package: "P.deb".to_owned(),
        gpus: reading.gpus.iter().cloned().collect(),
        system: reading.system,
        windows: reading.is_of_windows(),
        ..Advice::default()
    };
    reading.found.iter().map(|known| known.cure(&advice)).collect()
}

#[test]
fn of_several_gpus_the_one_is_meant_whose_number_is_next_to_the_error() {
    let second = Some("gfx906".to_owned());
    let first = Some("gfx1030".to_owned());
    let kernel = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n";
    for (log, expected) in [
        (format!("{kernel}  current device: 1, in function ggml_cuda_solve_tri at x.cu:9\n"), &second),
        (format!("{kernel}  current device: 0, in function ggml_cuda_solve_tri at x.cu:9\n"), &first),
        (format!("ggml_cuda_init: initializing rocBLAS on device 1\n{kernel}"), &second),
        ("ggml_cuda_compute_forward: SOLVE_TRI failed\nROCm error: CUBLAS_STATUS_INTERNAL_ERROR\n  current \
          device: 1, in function x\n"
            .to_owned(), &second),
        ("alloc_buffer: allocating 9 MiB on device 1: cudaMalloc failed: out of memory\n".to_owned(), &second),
        ("alloc_tensor_range: failed to allocate ROCm1 buffer of size 9\n".to_owned(), &second),
        (
            "torch.OutOfMemoryError: HIP out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity\n"
                .to_owned(),
            &first,
        ),
        ("0.12.081.459 E ROCm error: out of memory\n0.12.081.460 E   current device: 1, in function x\n".to_owned(), &second),
    ] {
        assert_eq!(gpus(&format!("{TWO}{log}")), std::slice::from_ref(expected), "{log}");
    }
    let log = format!("{TWO}{kernel}  current device: 1, in function x\n");
    assert_eq!(cures(&log), ["installer apply --backend P.deb --gpu gfx906"]);
    // An error of each: two findings.
    let both = format!(
        "{TWO}{kernel}  current device: 0, in function x\n{kernel}  current device: 1, in function x\n"
    );
    assert_eq!(gpus(&both), [first.clone(), second.clone()]);
    // The line's own GPU outranks a number near it.
    let own = "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: x for GPU arch : gfx906\n";
    let log = format!("{TWO}ggml_cuda_init: initializing rocBLAS on device 0\n{own}");
    assert_eq!(gpus(&log), std::slice::from_ref(&second));
    // Another process has other numbers.
    let other = TWO
        .replace("Device 1:", "Device 3:")
        .replace("Device 0:", "Device 1:")
        .replace("Device 3:", "Device 0:");
    assert_eq!(gpus(&format!("{TWO}{other}{kernel}  current device: 1, in function x\n")), [first]);
}

#[test]
fn where_no_number_tells_the_gpu_the_candidates_are_named() {
    let kernel = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n";
    let far = "x\n".repeat(4000);
    for log in [
        format!("{TWO}{kernel}"),
        format!("{TWO}{kernel}  current device: 7, in function x\n"),
        format!("{TWO}{kernel}{far}  current device: 1, in function x\n"),
        format!("{TWO}ggml_cuda_init: initializing rocBLAS on device 1\n{far}{kernel}"),
        format!("{TWO}this is ROCm 1.0\n{kernel}"),
    ] {
        assert_eq!(gpus(&log), [None], "{log}");
        let cure = &cures(&log)[0];
        assert!(cure.contains("gfx1030 or gfx906; the log does not say which"), "{cure}");
    }
    // The GPU of a later error is not that of an earlier one.
    let other = "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: x for GPU arch : gfx906\n";
    let unnamed = "rocBLAS error: Could not initialize Tensile library\n";
    let both = format!("{TWO}{unnamed}{far}{other}");
    assert_eq!(gpus(&both), [None, Some("gfx906".to_owned())]);
    // A single one needs no number.
    let one = "  Device 0: AMD Radeon VII, gfx906:sramecc-:xnack- (0x906), VMM: no\n";
    assert_eq!(cures(&format!("{one}{kernel}")), ["installer apply --backend P.deb --gpu gfx906"]);
}

#[test]
fn ollamas_cures_name_its_bundle_and_the_gpu_that_it_leaves_out() {
    let listed = "\
time=2026-01-08T20:56:32Z level=DEBUG source=runner.go:111 msg=\"verifying if device is supported\" \
library=/usr/lib/ollama/rocm description=\"AMD Radeon RX 6800\" compute=gfx1030 id=0 pci_id=06:00.0
time=2026-01-08T20:56:32Z level=DEBUG source=runner.go:111 msg=\"verifying if device is supported\" \
library=/usr/lib/ollama/rocm description=\"AMD Radeon VII\" compute=gfx906 id=1 pci_id=0d:00.0
";
    let filtered = "time=2026-01-08T20:56:33Z level=DEBUG source=runner.go:124 msg=\"filtering device which didn't fully \
                    initialize\" id=1 libdir=/usr/lib/ollama/rocm pci_id=0d:00.0 library=ROCm\n";
    let log = format!("{listed}{filtered}");
    assert_eq!(gpus(&log), [Some("gfx906".to_owned())]);
    assert!(
        cures(&log)[0].contains("--rocm /usr/lib/ollama/rocm --backend P.deb --gpu gfx906"),
        "{:?}",
        cures(&log)
    );
    // Another line names the bundle, before the error or after it; of several it is that of ROCm 7.
    let crash = "time=2026-01-08T20:56:33Z level=ERROR msg=\"llama runner terminated\" error=\"exit status 2\"\n";
    let path = "time=2026-01-08T20:56:33Z level=DEBUG msg=subprocess LD_LIBRARY_PATH=/usr/lib/ollama:/usr/lib/ollama/";
    for (dirs, bundle) in [
        (vec!["rocm"], "/usr/lib/ollama/rocm"),
        (vec!["rocm_v7"], "/usr/lib/ollama/rocm_v7"),
        (vec!["rocm_v7", "rocm_v6"], "/usr/lib/ollama/rocm_v7"),
        (vec!["rocm/libggml-hip.so"], "/usr/lib/ollama/rocm"),
    ] {
        let lines: String = dirs.iter().map(|dir| format!("{path}{dir}\n")).collect();
        for log in [format!("{lines}{crash}"), format!("{crash}{lines}")] {
            let cure = &cures(&log)[0];
            assert!(cure.contains(&format!(" --rocm {bundle} ")), "{log}: {cure}");
        }
    }
    let old = "time=2024-05-19T22:38:30Z level=WARN source=amd_linux.go:340 msg=\"amdgpu is not supported\" gpu=0 \
               gpu_type=gfx906 library=/usr/lib/ollama/rocm supported_types=\"[gfx1030 gfx1100]\"\n";
    assert_eq!(gpus(old), [Some("gfx906".to_owned())]);
    assert!(cures(old)[0].contains("--rocm /usr/lib/ollama/rocm --backend P.deb --gpu gfx906"));
    // Where the runner's own error is in the log, that is the finding.
    let own = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n";
    for log in [format!("{path}rocm\n{own}{crash}"), format!("{crash}{path}rocm\n{own}")] {
        let causes: Vec<Cause> = explain(&log).into_iter().map(|known| known.cause).collect();
        assert_eq!(causes, [Cause::NoRocblasKernel], "{log}");
        assert!(cures(&log)[0].contains("--rocm /usr/lib/ollama/rocm "), "{:?}", cures(&log));
    }
    // Near: Ollama with the system's libraries, and an error that is no rocBLAS's.
    let near = format!("{path}lib64\n{crash}");
    assert!(!cures(&near)[0].contains("--rocm"), "{:?}", cures(&near));
    let memory = format!("{path}rocm\nROCm error: out of memory\n");
    assert!(!cures(&memory)[0].contains("--rocm"));
}

#[test]
fn the_system_is_the_one_that_the_log_shows() {
    let missing = "./x: error while loading shared libraries: libnuma.so.1: cannot open shared object file: No such \
                   file or directory\n";
    for (shows, expected) in [
        ("Installed: kernel-6.17.1-300.fc43.x86_64\n", "dnf install 'libnuma.so.1()(64bit)'"),
        ("built with cc (GCC) 14.2.1 20240912 for x86_64-redhat-linux\n", "dnf install"),
        ("$ sudo apt-get install cmake\n", "apt-get install libnuma1"),
        ("/nix/store/abc-llama-cpp/bin/llama-server: starting\n", "nix-locate"),
        ("[user@fedora ~]$ ./llama-server\n", "dnf install"),
        ("Arch Linux 6.17.1-arch1-1 (tty1)\n", "pacman -F libnuma.so.1"),
    ] {
        for log in [format!("{shows}{missing}"), format!("{missing}{shows}")] {
            let cure = &cures(&log)[0];
            assert!(cure.starts_with(expected), "{log}: {cure}");
        }
    }
    let nix = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n/nix/store/x/bin/llama-server\n";
    assert!(
        cures(nix)[0].starts_with("files of the Nix store cannot be changed"),
        "{:?}",
        cures(nix)
    );
    let fedora = "  - nothing provides librocblas.so.5()(64bit) needed by hipblas-7.0.2-1.fc43.x86_64 from fedora\n";
    assert!(
        cures(fedora)[0].contains("dnf install 'librocblas.so.5()(64bit)'"),
        "{:?}",
        cures(fedora)
    );
}

#[test]
fn a_log_of_windows_is_one_that_names_no_library_of_linux() {
    let kernel = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n";
    let windows = "load_backend: loaded ROCm backend from C:\\Apps\\llamacpp\\ggml-hip.dll\n";
    let cure = &cures(&format!("{windows}{kernel}"))[0];
    assert!(cure.contains("the shim is for Linux") && !cure.contains("installer"), "{cure}");
    // A terminal of Windows on a Linux machine.
    let linux = "load_backend: loaded ROCm backend from /app/libggml-hip.so for C:\\Users\\x\n";
    let log = format!("PS C:\\Users\\x> ssh box\n{linux}{kernel}");
    assert!(cures(&log)[0].starts_with("installer apply"), "{:?}", cures(&log));
}
