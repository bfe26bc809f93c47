//! Where in a line an error may stand: behind what a program printed without ending its line. And the same
//! words where they are no error: names of tests, source code, quotations.

use super::*;

fn causes(log: &str) -> Vec<Cause> {
    explain(log).into_iter().map(|known| known.cause).collect()
}

/// What programs print before they do something, without ending the line.
const UNFINISHED: [&str; 12] = [
    "SOLVE_TRI(type=f32,ne_lhs=[10,10,4,3],ne_rhs=[3,10,4,3]): ",
    "  MUL_MAT(type_a=f16,type_b=f32,m=16,n=1,k=256,bs=[1,1],nr=[1,1],per=[0,1,2,3]): ",
    "llama-1  | 2026-01-08 20:56:32   SOLVE_TRI(type=f32,ne_lhs=[64,64,4,4]): ",
    "Loading model... ",
    "common_init_from_params: warming up the model with an empty run - please wait ... ",
    "test solve::tests::batched ... ",
    "..........",
    " 45%|####5     | 9/20 [00:04<00:05,  2.01it/s]",
    "Sampling:   0%|          | 0/20 [00:00<?, ?it/s] ",
    "tests/test_solve.py::test_batched[gfx906] ",
    "12: ",
    "Loading checkpoint shards: 100%|##########| 2/2 [00:01<00:00,  1.5it/s]Warming up... ",
];

#[test]
fn an_error_behind_an_unfinished_line_is_found() {
    for (error, cause) in [
        (
            "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: Illegal seek for GPU \
             arch : gfx906",
            Cause::TensileMissing,
        ),
        (
            "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98",
            Cause::NoRocblasKernel,
        ),
        ("ROCm error: invalid device function", Cause::NoProgramKernel),
        ("ggml_cuda_compute_forward: SOLVE_TRI failed", Cause::NoRocblasKernel),
    ] {
        for before in UNFINISHED {
            assert_eq!(causes(&format!("{before}{error}")), [cause], "{before}{error}");
        }
    }
    let tensile = format!(
        "{}rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: Illegal seek for GPU arch \
         : gfx906",
        UNFINISHED[0]
    );
    let line = &explain(&tensile)[0].line;
    assert_eq!(line.gpu.as_deref(), Some("gfx906"));
    assert_eq!(line.tree.as_deref(), Some(std::path::Path::new("/opt/rocm/lib")));
    // Behind what is not known, where it is complete and no sentence's.
    for before in [
        "Generating: ",
        "[solve] x=1 ",
        "build/bin/test-backend-ops: ",
        "C:\\Users\\x> ",
        "$ ",
        "level=INFO msg=\"started\" ",
    ] {
        for error in [
            "rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: Illegal seek for GPU arch \
             : gfx906",
            "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98",
        ] {
            assert_eq!(causes(&format!("{before}{error}")).len(), 1, "{before}{error}");
            for sentence in
                ["I get ", "The README says: ", "assistant: ", "it prints \"", "when it says `"]
            {
                assert_eq!(causes(&format!("{sentence}{error}")), [], "{sentence}{error}");
            }
            let about = format!("{before}{error} means that a kernel is missing");
            assert_eq!(causes(&about), [], "{about}");
        }
    }
    for near in [
        "SOLVE_TRI(type=f32,ne_lhs=[10,10,4,3],ne_rhs=[3,10,4,3]): OK",
        "SOLVE_TRI(type=f32,ne_lhs=[10,10,4,3],ne_rhs=[3,10,4,3]): not supported [ROCm0]",
        "Loading model... done",
        "see the notes (README): rocBLAS error: Cannot read X is printed where a file is missing",
        "docs: rocBLAS error: Cannot read X means that a file is missing",
        "our log (yesterday): ROCm error: invalid device function",
        "12: what is rocBLAS error: Cannot read",
    ] {
        assert_eq!(causes(near), [], "{near}");
    }
}

#[test]
fn names_of_tests_source_code_and_quotations_are_no_errors() {
    for line in [
        "test hipErrorInvalidDeviceFunction handling ... ok",
        "[ RUN      ] hipErrorNoBinaryForGpu",
        "[       OK ] hipErrorInvalidDeviceFunction (0 ms)",
        "[  PASSED  ] hipErrorNoBinaryForGpu: Unable to find code object for all current devices!",
        "tests/test_errors.py::test_message[HIP error: invalid device function] PASSED [ 50%]",
        "PASSED tests/test_errors.py::test_message[HIP error: out of memory]",
        "ok 12 - hipErrorNoDevice: no ROCm-capable device is detected",
        "--- PASS: TestError/hipErrorNoBinaryForGpu: text (0.00s)",
        "1/3 Test #1: no ROCm-capable device is detected ..........   Passed    0.01 sec",
        "[PASS] hipErrorNoBinaryForGpu",
        "[ OK ] hipErrorNoBinaryForGpu: Unable to find code object",
        "PASS: hipErrorNoBinaryForGpu",
        "1. hipErrorNoBinaryForGpu: Unable to find code object for all current devices!",
        "slot print: prompt: 'HIP error: invalid device function'",
        "src/llama.cpp:33:// HIP error: invalid device function",
        "docs/build.md-12-  HIP error: invalid device function",
        "[WARN] test hipErrorNoBinaryForGpu: passed",
        "test result: ok. hipErrorNoBinaryForGpu: covered",
        " \u{2713} reports HIP error: invalid device function (3ms)",
        "assistant: HIP error: invalid device function",
        "ChatGPT said: HIP error: invalid device function",
        "<!-- HIP error: invalid device function -->",
        "    \"\"\"HIP error: invalid device function\"\"\"",
        "// hipErrorNoBinaryForGpu",
        "  // hipErrorNoBinaryForGpu: Unable to find code object for all current devices!",
        " * hipErrorInvalidDeviceFunction (98): invalid device function",
        "   98 | hipErrorInvalidDeviceFunction = 98,   ///< the device function is invalid",
        "    hipErrorNoBinaryForGpu = 209,",
        "    hipErrorNoDevice,",
        "        case hipErrorNoDevice: return \"no ROCm-capable device is detected\";",
        "if (error == hipErrorNoBinaryForGpu) {",
        "src/hip_error.cpp:34:  case hipErrorNoDevice: return \"no ROCm-capable device is detected\";",
        "+    // HIP error: invalid device function",
        "# \"HIP error: invalid device function\" is printed where a kernel is missing",
        "README.md:42:HIP error: invalid device function",
        "The message `ROCm error: invalid device function` is printed where a kernel is missing",
        "It then says \"HIP error: invalid device function\" and ends",
        "| hipErrorNoBinaryForGpu: | no code for the GPU |",
        "- hipErrorNoBinaryForGpu: the program was built for another GPU",
        "hipErrorNoBinaryForGpu means that the program has no code for the GPU",
        "HIP error: invalid device function is what a missing kernel looks like",
        "what does HIP error: invalid device function mean?",
        "The error \"librocblas.so.5: cannot open shared object file\" is solved by ldconfig",
        "> rocBLAS error: Cannot read /opt/rocm/lib/rocblas/library/TensileLibrary.dat: Illegal seek",
    ] {
        assert_eq!(causes(line), [], "{line}");
    }
    // The same words as programs print them, some in quotation marks of their own.
    for line in [
        "\"hipErrorNoBinaryForGpu: Unable to find code object for all current devices!\"",
        "hipErrorInvalidDeviceFunction (98): invalid device function",
        "hipErrorNoBinaryForGpu",
        "level=ERROR msg=\"error loading\" error=\"HIP error: invalid device function\"",
        "{\"error\":\"HIP error: invalid device function\"}",
        "ray.exceptions.RayTaskError: RuntimeError('HIP error: invalid device function')",
        "/src/hip_code_object.cpp:120: guarantee(false && \"hipErrorNoBinaryForGpu: Coudn't find binary for current \
         devices!\")",
        "2026-01-08 20:56:32,123 - vllm.worker - ERROR - HIP error: invalid device function",
        "2026-01-08 20:56:32 - worker 3 - HIP error: invalid device function",
        "[FAILED] HIP error: invalid device function",
        "[rank1]: RuntimeError: HIP error: invalid device function.",
        "FAILED tests/test_x.py::test_solve - RuntimeError: HIP error: invalid device function",
    ] {
        assert_eq!(causes(line), [Cause::NoProgramKernel], "{line}");
    }
}
