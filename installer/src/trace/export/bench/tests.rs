use super::*;
use rocblas_abi::{Whose, c_exports};
use rocblas_trace::{
    call::Functions,
    layout::{ARGUMENTS, Mode, NOTE, Note, Shape},
};

/// A record of a function with scalars in host memory; arguments that are not given are 0.
struct Recorded {
    function: usize,
    words: Vec<u64>,
}

impl Recorded {
    fn of(name: &str) -> Self {
        let function = usize::from(rocblas_abi::by_name(name).expect("a function").index);
        let mut words = vec![0; usize::from(Shape::of(function).words)];
        words[NOTE] = (Mode::Host as u64) << Note::MODE;
        Self { function, words }
    }

    fn place(&self, name: &str) -> usize {
        params(self.function).position(|p| p.name == name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn with(mut self, arguments: &[(&str, u64)]) -> Self {
        for (name, value) in arguments {
            let place = self.place(name);
            self.words[ARGUMENTS + place] = *value;
        }
        self
    }

    /// Adds a scalar with these bytes.
    fn scalar(self, name: &str, bytes: &[u8]) -> Self {
        let mut recorded = self.with(&[(name, 0x7ffc_0000)]);
        let place = recorded.place(name);
        let shape = Shape::of(recorded.function);
        let mut scalars = shape.scalars().iter().zip(0..);
        let (scalar, number) =
            scalars.find(|(s, _)| usize::from(s.parameter) == place).expect("a scalar");
        let mut padded = bytes.to_vec();
        padded.resize(bytes.len().next_multiple_of(8), 0);
        for (word, bytes) in padded.chunks_exact(8).enumerate() {
            recorded.words[usize::from(scalar.word) + word] =
                u64::from_le_bytes(bytes.try_into().expect("eight"));
        }
        recorded.words[NOTE] |= 1 << (Note::ENTRY + number);
        recorded
    }

    fn in_mode(mut self, mode: Mode) -> Self {
        self.words[NOTE] = (mode as u64) << Note::MODE;
        self
    }

    /// The line without the prefix common to all lines.
    fn line(&self) -> Option<String> {
        let line = line(&Functions::default().call(self.function, &self.words))?;
        Some(line.strip_prefix("./rocblas-bench ").expect("rocblas-bench").to_owned())
    }

    #[track_caller]
    fn assert(&self, expected: &str) {
        assert_eq!(self.line().as_deref(), Some(expected));
    }
}

/// The first value of each enum: none, upper, non-unit, left.
fn strsm_batched() -> Recorded {
    Recorded::of("rocblas_strsm_batched").with(&[
        ("side", 142),
        ("uplo", 121),
        ("transA", 111),
        ("diag", 131),
        ("m", 417),
        ("n", 79),
        ("lda", 79),
        ("ldb", 417),
        ("batch_count", 4),
    ])
}

/// `(compute type, alpha of that type, C, D)`.
fn gemm_ex(compute: u64, alpha: &[u8], c: u64, d: u64) -> Recorded {
    let operations = [("transA", 111), ("transB", 113)];
    let sizes = [("m", 5), ("n", 6), ("k", 7), ("lda", 8), ("ldb", 9), ("ldc", 10), ("ldd", 11)];
    let types = [("a_type", 160), ("b_type", 160), ("c_type", 162), ("d_type", 162)];
    let how = [("algo", 1), ("solution_index", u64::from(u32::MAX)), ("flags", 4)];
    Recorded::of("rocblas_gemm_ex")
        .with(&operations)
        .with(&sizes)
        .with(&types)
        .with(&how)
        .with(&[("compute_type", compute), ("c", c), ("d", d)])
        .scalar("alpha", alpha)
        .scalar("beta", &[0; 16])
}

#[test]
fn parameters_become_options_in_their_order() {
    strsm_batched().scalar("alpha", &1_f32.to_le_bytes()).assert(
        "-f trsm_batched -r f32_r --side R --uplo U --transposeA N --diag N -m 417 -n 79 --alpha 1 \
         --lda 79 --ldb 417 --batch_count 4",
    );
}

#[test]
fn functions_that_compute_have_a_line_and_no_others() {
    for function in c_exports() {
        let is_size = |p: &&Param| p.ty.pointers == 0 && matches!(p.ty.base, Base::Int | Base::I64);
        let computes = matches!(function.whose, Whose::Handle(_))
            && function.params.iter().any(|p| p.scalar.is_some() || is_size(&p))
            && !function.name.contains("_get_solutions")
            // Their sizes are in arrays, which a trace does not contain.
            && !function.name.contains("_grouped_");
        assert_eq!(Function::of(function.name).is_some(), computes, "{}", function.name);
    }
}

#[test]
fn scalars_that_are_not_known_are_left_out_with_a_remark() {
    let ger = |mode| Recorded::of("rocblas_sger").with(&[("alpha", 0xd000)]).in_mode(mode);
    let options = "-f ger -r f32_r -m 0 -n 0 --incx 0 --incy 0 --lda 0";
    ger(Mode::Device).assert(&format!("{options} # alpha in device memory, 1 is taken"));
    ger(Mode::Host).assert(&format!("{options} # alpha not recorded, 1 is taken"));
    ger(Mode::Unknown).assert(&format!("{options} # alpha not recorded, 1 is taken"));
    let gemv = Recorded::of("rocblas_sgemv").with(&[("trans", 112), ("alpha", 1), ("beta", 2)]);
    gemv.in_mode(Mode::Device).assert(
        "-f gemv -r f32_r --transposeA T -m 0 -n 0 --lda 0 --incx 0 --incy 0 \
         # alpha in device memory, 1 is taken; beta in device memory, 0 is taken",
    );
}

#[test]
fn numbers_have_the_digits_of_their_type() {
    let axpy = |name: &str, alpha: &[u8]| {
        let line = Recorded::of(name).scalar("alpha", alpha).line().expect("a line");
        let after = line.split_once("-n 0 ").expect("a size").1;
        after.split_once(" --incx").expect("an increment").0.to_owned()
    };
    assert_eq!(axpy("rocblas_saxpy", &0.1_f32.to_le_bytes()), "--alpha 0.1");
    assert_eq!(axpy("rocblas_daxpy", &(1.0_f64 / 3.0).to_le_bytes()), "--alpha 0.3333333333333333");
    assert_eq!(axpy("rocblas_haxpy", &0x3c01_u16.to_le_bytes()), "--alpha 1.0009766");
    let complex = |re: f32, im: f32| [re.to_le_bytes(), im.to_le_bytes()].concat();
    assert_eq!(axpy("rocblas_caxpy", &complex(1.5, -0.1)), "--alpha 1.5 --alphai -0.1");
    assert_eq!(axpy("rocblas_caxpy", &complex(0.0, 2.0)), "--alpha 0 --alphai 2");
    assert_eq!(axpy("rocblas_caxpy", &complex(1.5, 0.0)), "--alpha 1.5");
}

#[test]
fn the_64_bit_interface_is_told_and_used() {
    let n = 5_000_000_000;
    Recorded::of("rocblas_isamax_64")
        .with(&[("n", n), ("incx", 1)])
        .assert("--api 1 -f iamax -r f32_r -n 5000000000 --incx 1");
    // The upper half of a 32-bit argument is undefined.
    Recorded::of("rocblas_isamax")
        .with(&[("n", 0xdead_0000_0000_0007), ("incx", 1)])
        .assert("-f iamax -r f32_r -n 7 --incx 1");
}

#[test]
fn a_function_is_named_without_the_letters_of_its_types() {
    for (name, begin) in [
        ("rocblas_dzasum", "-f asum -r f64_c -n"),
        ("rocblas_icamin_batched", "-f iamin_batched -r f32_c -n"),
        ("rocblas_cdotu", "-f dot -r f32_c -n"),
        ("rocblas_cdotc", "-f dotc -r f32_c -n"),
        ("rocblas_bfdot", "-f dot -r bf16_r -n"),
        ("rocblas_drotmg", "-f rotmg -r f64_r"),
        ("rocblas_hgemm_strided_batched", "-f gemm_strided_batched -r f16_r --transposeA"),
        // Its alpha is real.
        ("rocblas_cher2k", "-f her2k -r f32_c --uplo"),
        ("rocblas_zherk", "-f herk -r f64_c --uplo"),
    ] {
        let choices = [("uplo", 121), ("trans", 111), ("transA", 111), ("transB", 111)];
        let mut recorded = Recorded::of(name);
        for choice in choices {
            if params(recorded.function).any(|p| p.name == choice.0) {
                recorded = recorded.with(&[choice]);
            }
        }
        let line = recorded.line().expect("a line");
        assert!(line.starts_with(begin), "{name}: {line}");
    }
}

#[test]
fn types_that_differ_from_the_precision_are_told() {
    let one = 1_f32.to_le_bytes();
    let line = |name: &str| Recorded::of(name).scalar("alpha", &one).line().expect("a line");
    for (name, begin) in [
        ("rocblas_dscal", "-f scal -r f64_r -n 0"),
        ("rocblas_cscal", "-f scal -r f32_c -n 0"),
        ("rocblas_csscal", "-f scal -r f32_r --a_type f32_c -n 0"),
        ("rocblas_zdscal_batched", "-f scal_batched -r f64_r --a_type f64_c -n 0"),
    ] {
        assert!(line(name).starts_with(begin), "{}", line(name));
    }
    let rot = |name: &str, begin: &str| {
        let line = Recorded::of(name).line().expect("a line");
        assert!(line.starts_with(begin), "{line}");
    };
    rot("rocblas_srot", "-f rot -r f32_r -n 0");
    rot("rocblas_crot", "-f rot -r f32_r --a_type f32_c --c_type f32_c -n 0");
    rot("rocblas_zdrot", "-f rot -r f64_r --a_type f64_c -n 0");
    rot("rocblas_zrotg", "-f rotg -r f64_r --a_type f64_c");
    let gemv = |name: &str, begin: &str| {
        let line = Recorded::of(name).with(&[("trans", 111)]).line().expect("a line");
        assert!(line.starts_with(begin), "{line}");
    };
    gemv("rocblas_hssgemv_batched", "-f gemv_batched -r f32_r --a_type f16_r --transposeA N");
    gemv(
        "rocblas_tstgemv_batched",
        "-f gemv_batched -r f32_r --a_type bf16_r --c_type bf16_r --transposeA N",
    );
    gemv("rocblas_cgemv_batched", "-f gemv_batched -r f32_c --transposeA N");
}

#[test]
fn types_that_parameters_name_are_told_where_they_are() {
    let options = |compute: &str, alpha: &str, beta: &str| {
        format!(
            "-f gemm_ex --transposeA N --transposeB C -m 5 -n 6 -k 7 --alpha {alpha} --a_type i8_r \
             --lda 8 --b_type i8_r --ldb 9 --beta {beta} --c_type i32_r --ldc 10 --d_type i32_r \
             --ldd 11 --compute_type {compute} --algo 1 --solution_index -1 --flags 4"
        )
    };
    gemm_ex(162, &7_i32.to_le_bytes(), 1, 1).assert(&options("i32_r", "7", "0"));
    let complex = [1.5_f64.to_le_bytes(), (-2_f64).to_le_bytes()].concat();
    gemm_ex(155, &complex, 1, 1).assert(&options("f64_c", "1.5 --alphai -2", "0"));
    // Without `--outofplace`, rocblas-bench uses one matrix for C and D.
    let apart = options("f32_r", "0.5", "0") + " --outofplace";
    gemm_ex(151, &0.5_f32.to_le_bytes(), 1, 2).assert(&apart);

    let types = [("x_type", 150), ("y_type", 168), ("result_type", 152), ("execution_type", 151)];
    Recorded::of("rocblas_dot_ex").with(&types).assert(
        "-f dot_ex -n 0 --a_type f16_r --incx 0 --b_type bf16_r --incy 0 --c_type f64_r \
         --compute_type f32_r",
    );
    let types = [("a_type", 150), ("c_type", 151), ("execution_type", 151)];
    let choices = [("uplo", 122), ("transA", 112)];
    let syrk = Recorded::of("rocblas_syrk_ex").with(&types).with(&choices);
    let line = syrk.line().expect("a line");
    assert!(
        line.starts_with("-f syrk_ex --uplo L --transposeA T -n 0 -k 0 --a_type f16_r"),
        "{line}"
    );
    assert!(line.contains("--c_type f32_r --ldc 0 --compute_type f32_r"), "{line}");
}

#[test]
fn one_type_for_all_is_the_precision() {
    let nrm2 = |result: u64, execution: u64| {
        let types = [("x_type", 155), ("result_type", result), ("execution_type", execution)];
        Recorded::of("rocblas_nrm2_ex").with(&types)
    };
    nrm2(155, 155).assert("-f nrm2_ex -r f64_c -n 0 --incx 0");
    nrm2(152, 152)
        .assert("-f nrm2_ex -n 0 --a_type f64_c --incx 0 --b_type f64_r --compute_type f64_r");
    let types = [("alpha_type", 152), ("x_type", 152), ("execution_type", 152)];
    Recorded::of("rocblas_scal_ex")
        .with(&types)
        .scalar("alpha", &2_f64.to_le_bytes())
        .assert("-f scal_ex -r f64_r -n 0 --alpha 2 --incx 0");
    let choices = [("side", 141), ("uplo", 122), ("transA", 113), ("diag", 132)];
    Recorded::of("rocblas_trsm_ex")
        .with(&choices)
        .with(&[("compute_type", 154), ("invA_size", 3)])
        .scalar("alpha", &[0; 8])
        .assert(
            "-f trsm_ex -r f32_c --side L --uplo L --transposeA C --diag U -m 0 -n 0 --alpha 0 \
             --lda 0 --ldb 0",
        );
}

#[test]
fn strides_are_those_of_rocblas_benchs_operands() {
    for (name, strides, end) in [
        (
            "rocblas_srotmg_strided_batched",
            [("stride_d1", 1), ("stride_x1", 3), ("stride_y1", 4), ("stride_param", 5)].as_slice(),
            "--stride_a 1 --stride_b 0 --stride_x 3 --stride_y 4 --stride_c 5 --batch_count 0",
        ),
        (
            "rocblas_srotg_strided_batched",
            &[("stride_a", 1), ("stride_b", 2), ("stride_c", 3), ("stride_s", 4)],
            "--stride_a 1 --stride_b 2 --stride_c 3 --stride_d 4 --batch_count 0",
        ),
        (
            "rocblas_srotm_strided_batched",
            &[("stride_x", 1), ("stride_y", 2), ("stride_param", 3)],
            "--incx 0 --stride_x 1 --incy 0 --stride_y 2 --stride_c 3 --batch_count 0",
        ),
        (
            "rocblas_sdot_strided_batched",
            &[("stridex", 1), ("stridey", 2)],
            "--incx 0 --stride_x 1 --incy 0 --stride_y 2 --batch_count 0",
        ),
        (
            "rocblas_strtri_strided_batched",
            &[("uplo", 121), ("diag", 132), ("lda", 7), ("ldinvA", 8), ("stride_a", 1)],
            "--uplo U --diag U -n 0 --lda 7 --stride_a 1 --batch_count 0",
        ),
        (
            "rocblas_ssbmv_strided_batched",
            &[("uplo", 122), ("strideA", 1), ("stridex", u64::MAX)],
            "--lda 0 --stride_a 1 --incx 0 --stride_x -1 --incy 0 --stride_y 0 --batch_count 0 \
             # alpha not recorded, 1 is taken; beta not recorded, 0 is taken",
        ),
    ] {
        let line = Recorded::of(name).with(strides).line().expect("a line");
        assert!(line.ends_with(end), "{line}");
    }
}

#[test]
fn results_in_an_operand_of_their_own_are_told() {
    let trmm = |c: u64| {
        let choices = [("side", 141), ("uplo", 121), ("transA", 111), ("diag", 131)];
        let recorded = Recorded::of("rocblas_strmm").with(&choices).with(&[("B", 7), ("C", c)]);
        recorded.scalar("alpha", &[0; 4]).line().expect("a line")
    };
    assert!(trmm(7).ends_with("--ldc 0"), "{}", trmm(7));
    assert!(trmm(8).ends_with("--ldc 0 --outofplace"), "{}", trmm(8));
}

#[test]
fn numbers_that_no_enum_has_make_no_line() {
    for name in ["side", "uplo", "transA", "diag"] {
        assert_eq!(strsm_batched().with(&[(name, 99)]).line(), None, "{name}");
    }
    assert_eq!(gemm_ex(99, &[0; 4], 1, 1).line(), None);
    assert_eq!(gemm_ex(151, &[0; 4], 1, 1).with(&[("a_type", 99)]).line(), None);
}
