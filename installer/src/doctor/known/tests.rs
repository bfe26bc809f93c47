use super::*;
use rocblas_contract::sentences;
use std::collections::BTreeSet;

mod advice;
mod kinds;
mod logs;
mod machine;
mod place;

fn titles(text: &str) -> Vec<&'static str> {
    explain(text).into_iter().map(|known| known.title()).collect()
}

#[test]
fn lines_as_they_are_seen_in_logs() {
    for (line, title) in [
        (
            "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: Illegal \
             seek for GPU arch : gfx906",
            "the Tensile files of this GPU are missing",
        ),
        (
            "rocBLAS error: Cannot read /opt/rocm-7.0.2/lib/rocblas/library/TensileLibrary.dat: No \
             such file or directory for GPU arch : gfx906",
            "the Tensile files of this GPU are missing",
        ),
        (
            "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98",
            "rocBLAS has no kernel for this GPU",
        ),
        (
            "ROCm error: invalid device function",
            "a kernel for this GPU is missing, in the program or in one of its libraries",
        ),
        (
            "\"hipErrorNoBinaryForGpu: Unable to find code object for all current devices!\"",
            "a kernel for this GPU is missing, in the program or in one of its libraries",
        ),
        (
            "./llama-server: error while loading shared libraries: librocblas.so.4: cannot open \
             shared object file: No such file or directory",
            "librocblas.so.4 is not found",
        ),
        (
            "./llama-server: error while loading shared libraries: librocblas.so.5: cannot open \
             shared object file: No such file or directory",
            "librocblas.so.5 is not found",
        ),
        (
            "OSError: libamdhip64.so.6: cannot open shared object file: No such file or directory",
            "libamdhip64.so.6 is not found",
        ),
        (
            "libhipblaslt.so.0: cannot open shared object file: No such file or directory",
            "libhipblaslt.so.0 is not found",
        ),
        (
            "libnuma.so.1: cannot open shared object file: No such file or directory",
            "a library is not found",
        ),
        (
            "/opt/rocm/lib/librocsolver.so.0: undefined symbol: \
             _Z32rocblas_internal_get_device_propP15_rocblas_handle",
            "librocblas.so.5 is a symlink to ROCm 6's library",
        ),
        (
            "./app: symbol lookup error: libhipblas.so: undefined symbol: rocblas_syrk_ex",
            "a rocBLAS function is not found",
        ),
        (
            "librocsolver.so.0: undefined symbol: _Z31rocblas_internal_syr2k_templateILb0ELb1E",
            "a rocBLAS function is not found",
        ),
        (
            "./app: /opt/rocm/lib/libamdhip64.so.6: version `hip_6.2' not found (required by \
             /x/librocblas.so.4)",
            "the HIP runtime lacks a version that a library needs",
        ),
        (
            "/lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by \
             librocblas.so.4)",
            "built for a newer system",
        ),
        (
            "bash: ./llama-server: cannot execute binary file: Exec format error",
            "a program or library is empty or not an ELF file",
        ),
        (
            "error while loading shared libraries: /app/libggml-hip.so: file too short",
            "a program or library is empty or not an ELF file",
        ),
        (
            ":1:hip_fatbin.cpp :272 : 3169196830 us: Cannot find CO in the bundle \
             /opt/rocm-6.4.3/lib/librocsolver.so.0.4.60403 for ISA: gfx906:sramecc+:xnack-",
            "another ROCm library has no code for this GPU",
        ),
        ("Unable to open /dev/kfd read-write: Permission denied", "no permission to use the GPU"),
        (
            "ggml_cuda_init: failed to initialize ROCm: no ROCm-capable device is detected",
            "no GPU is visible",
        ),
        ("rocBLAS error: Could not initialize Tensile host: No devices found", "no GPU is visible"),
        ("List of available TensileLibrary Files : ", "the Tensile files of this GPU are missing"),
        ("USER is not member of \"render\" group", "no permission to use the GPU"),
        (
            "  The imported target \"roc::rocblas\" references the file",
            "CMake does not find rocBLAS's file",
        ),
    ] {
        assert_eq!(titles(line), [title], "{line}");
    }
}

#[test]
fn what_the_shim_itself_says() {
    let message = |text| format!("{}error: {text}", PREFIX);
    let refused = |why| sentences::tried_line("/x/librocblas.so.4", why);
    for (line, title) in [
        (message(sentences::no_backend()), "the shim has no backend"),
        (
            refused(sentences::second_hip("/a/libamdhip64.so.6", "/b/libamdhip64.so.7")),
            "two HIP runtimes in one process",
        ),
        (refused(sentences::is_shim()), "the backend is itself a shim"),
        (
            message(sentences::no_kernels("gfx906", 0, "a.dat", "/x")),
            "the backend has no Tensile files for this GPU",
        ),
        (
            refused(sentences::not_loaded(
                "libmissing.so.3: cannot open shared object file: No such file or directory. It \
                 needs that library itself (DT_NEEDED); install it",
            )),
            "a library is not found",
        ),
        (refused(sentences::not_loaded("something new")), "the loader rejects the backend"),
        (
            message(sentences::missing_function("rocblas_syrk_ex", "6.3.0", "/x", "nothing")),
            "a rocBLAS function that the backend does not have",
        ),
    ] {
        assert_eq!(titles(&line), [title], "{line}");
    }
}

#[test]
fn messages_of_earlier_versions_of_the_shim_are_explained() {
    for (line, title) in [
        (
            "rocblas-shim: error: no usable rocBLAS backend: every rocBLAS call answers \
             rocblas_status_internal_error",
            "the shim has no backend",
        ),
        (
            "  tried ROCBLAS_SHIM_BACKEND=8: names no backend in /x (a path needs a `/` in it)",
            "there is no backend of that name",
        ),
        (
            "rocblas-shim: error: rocblas_syrk_ex is not in backend 6.3.0 (/x): it answers \
             rocblas_status_not_implemented",
            "a rocBLAS function that the backend does not have",
        ),
        (
            "rocblas-shim: error: the trace cannot go on: /x: full; calls from here on are not in it",
            "a trace is incomplete",
        ),
    ] {
        assert_eq!(titles(line), [title], "{line}");
    }
}

#[test]
fn sentences_that_belong_together_are_one_finding() {
    let lines = [
        sentences::no_backend(),
        sentences::tried_line(
            "/x/librocblas.so.4",
            sentences::not_loaded("libmissing.so.3: cannot open shared object file"),
        ),
        sentences::how_to_choose("A", "/b/librocblas.so.4", "c", "d"),
    ];
    assert_eq!(titles(&lines.join("\n  ")), ["the shim has no backend", "a library is not found"]);
}

#[test]
fn every_sentence_of_the_shim_is_explained() {
    for sentence in Sentence::ALL {
        let cause::Fixed { title, why, cure } = shim::meaning(*sentence);
        assert!(!title.is_empty() && !why.is_empty() && !cure.is_empty(), "{sentence:?}");
    }
}

#[test]
fn a_log_is_explained_in_its_order_and_once() {
    let log = "\
llama_model_loader: loaded meta data with 39 key-value pairs
rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98
ggml_cuda_compute_forward: SOLVE_TRI failed
ROCm error: invalid device function
  current device: 0, in function ggml_cuda_compute_forward
rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98
Unable to open /dev/kfd read-write: Permission denied
";
    assert_eq!(
        titles(log),
        [
            "rocBLAS has no kernel for this GPU",
            "a kernel for this GPU is missing, in the program or in one of its libraries",
            "no permission to use the GPU",
        ]
    );
    assert_eq!(
        explain(log)[0].line.shown,
        "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98"
    );
}

#[test]
fn what_is_fine_is_not_explained() {
    for line in [
        "",
        "ggml_cuda_init: found 2 ROCm devices:",
        "load_backend: loaded ROCm backend from /app/libggml-hip.so",
        "-- Found rocblas: /opt/rocm/lib/cmake/rocblas/rocblas-config.cmake",
        "the file librocblas.so.4 was opened",
        "main: server is listening on http://127.0.0.1:8080",
    ] {
        assert_eq!(titles(line), [""; 0], "{line}");
    }
}

#[test]
fn each_text_is_reached_and_has_a_source() {
    assert!(TEXTS.len() >= 60, "{}", TEXTS.len());
    let mut signs = BTreeSet::new();
    for text in TEXTS.iter() {
        assert!(signs.insert(&text.sign), "{} is there twice", text.sign);
        let is_source = text.source.starts_with("https://") || text.source.contains([' ', '/']);
        assert!(is_source && text.source.len() > 10, "{text:?}");
        assert!(text.part().len() >= 8, "{text:?} would make too many lines be read closely");
        // A text of its own, and after what logs have before it.
        let rest = if text.whole { "" } else { " x" };
        let message = format!("{}{rest}", text.sign.replace('*', " ... "));
        let line = Line::read(&message);
        let first = TEXTS.iter().find(|other| other.fits(&line.message)).expect("itself");
        assert_eq!(first.cause, text.cause, "{message}: {} hides it", first.sign);
        let prefixed = format!("\u{1b}[31mserver-1  | 2026-01-08 20:56:32 {message}\u{1b}[0m\r");
        assert_eq!(titles(&prefixed), titles(&message), "{message}");
        if cause_is_told(text.cause) {
            assert_eq!(titles(&message).len(), 1, "{message}");
        }
    }
}

/// Whether an error with this cause is told by its line alone.
fn cause_is_told(cause: Cause) -> bool {
    !matches!(cause, Cause::ScanGoesOn | Cause::Preload)
}

#[test]
fn each_cause_says_something() {
    let advice = Advice::default();
    for text in TEXTS.iter() {
        let known = Known { cause: text.cause, line: Line::default(), also: None };
        let parts = [known.title().to_owned(), known.why().to_owned(), known.cure(&advice)];
        assert!(parts.iter().all(|part| !part.is_empty()), "{:?}", text.cause);
    }
}
