//! For every function of the CPU implementation: the result in its own precision is within the bound from
//! double precision, and changing one element by more than the bound makes it wrong.

use super::{
    call::Call,
    compute::{self, Bounds, Right},
    invoke,
    judge::{Verdict, judge},
    memory::Plan,
};
use rocblas_abi::{
    c_exports,
    operands::{self, Layout},
    value::{datatype, diagonal, fill, gemm_algo, operation, side},
};
use rocblas_trace::capture::{Capture, Meta, PointerMode, Time};
use std::time::Duration;
use tests::{
    captures::{self, noise},
    valid::types,
};

/// Triangular systems that are well conditioned: all leading dimensions are the same, and rows too.
const LD: usize = 13;

/// Sizes that are all different, with gaps everywhere and two problems.
fn integers(variant: usize) -> Vec<(&'static str, i64)> {
    let is = |bit: usize| variant >> bit & 1 == 1;
    let operation =
        |bit| i64::from(if is(bit) { operation::CONJUGATE_TRANSPOSE } else { operation::NONE });
    let ld = LD as i64;
    let mut integers = vec![
        ("m", 5),
        ("n", 7),
        ("k", 6),
        ("kl", 2),
        ("ku", 3),
        ("ldinvA", LD as i64),
        ("batch_count", 2),
        ("incx", 2),
        ("incy", if is(0) { 3 } else { -3 }),
        ("uplo", i64::from(if is(1) { fill::LOWER } else { fill::UPPER })),
        ("diag", i64::from(if is(2) { diagonal::UNIT } else { diagonal::NON_UNIT })),
        ("side", i64::from(if is(0) { side::RIGHT } else { side::LEFT })),
        ("transA", operation(1)),
        ("trans", operation(1)),
        ("transB", operation(2)),
        ("algo", gemm_algo::STANDARD.into()),
        ("solution_index", 0),
        ("flags", 0),
    ];
    integers.extend(["lda", "ldb", "ldc", "ldd"].map(|name| (name, ld)));
    let strides = [
        "stride_a",
        "stride_b",
        "stride_c",
        "stride_d",
        "stride_A",
        "stride_B",
        "stride_C",
        "strideA",
        "stridex",
        "stridey",
        "stride_x",
        "stride_s",
        "stride_invA",
        "stride_y",
    ];
    integers.extend(strides.map(|name| (name, 150)));
    integers
}

const SCALARS: [(&str, f64); 4] = [("alpha", 1.25), ("beta", -0.75), ("c", 0.8), ("s", 0.6)];

/// Diagonal elements are larger than the rest of their row.
fn value(parameter: &str, place: usize) -> f64 {
    let place = place % 150;
    if parameter == "A" && place.is_multiple_of(LD + 1) {
        4.0
    } else {
        noise(parameter, place) / 4.0
    }
}

fn before(capture: &Capture<'_>, call: &Call, position: usize) -> Option<Vec<u8>> {
    let name = call.param(call.operands[position].parameter()).name;
    let number = capture.meta.operands.iter().position(|operand| operand.parameter == name)?;
    let tensor = capture.tensors.iter().find(|t| (t.operand, t.time) == (number, Time::Before))?;
    Some(tensor.data.to_vec())
}

/// Longer than any call here takes.
const LIMIT: Duration = Duration::from_secs(300);

/// The CPU's results in the call's own precision, and the right results.
fn computed(capture: &Capture<'_>) -> (Call, Vec<u8>, Right) {
    let call = Call::of(&capture.meta).expect("a call");
    let before = |position| Ok(before(capture, &call, position));
    let outputs =
        invoke::on_cpu(&call, before).unwrap_or_else(|e| panic!("{}: {e:#}", call.name()));
    let right = compute::compute(&call, LIMIT, &before);
    let right = right.unwrap_or_else(|e| panic!("{}: {e:#}", call.name()));
    (call, outputs, right)
}

/// Checks that the results are right, and become wrong once an element is changed.
fn check(capture: &Capture<'_>) {
    let (call, outputs, right) = computed(capture);
    let judged = judge(&call, &right, &outputs);
    assert_eq!(judged.len(), call.written().count());
    for one in &judged {
        assert!(one.verdict == Verdict::Right, "{}: {one:?}", call.name());
        assert!(one.elements > 0, "{}: {one:?}", call.name());
    }
    let mut start = 0;
    for (number, (_, given)) in call.written().enumerate() {
        let size = given.operand.element.size();
        let run = given.operand.layout.runs().last().expect("elements");
        let problem = given.problems().last().expect("a problem");
        let last = usize::try_from(problem + run.first + (run.len - 1) * run.step).expect("inside");
        let at = start + last * size;
        start += given.bytes();
        let Bounds::Each(bounds) = &right.outputs[number].bounds else { continue };
        assert!(bounds[last].is_finite(), "{}", call.name());
        // This is NaN in each type.
        let mut spoilt = outputs.clone();
        spoilt[at..at + size].fill(0xff);
        let judged = judge(&call, &right, &spoilt);
        assert_eq!(
            (judged[number].verdict, judged[number].wrong),
            (Verdict::Wrong, 1),
            "{}",
            call.name()
        );
        if let (Layout::Matrix { rows, columns, .. }, 1) = (given.operand.layout, run.step)
            && right.outputs[number].values[last] != [0.0; 2]
        {
            let first = judged[number].first.as_ref().expect("an element");
            assert!(
                first.row < rows && first.column.is_some_and(|column| column < columns),
                "{first:?}"
            );
            assert!(first.got.contains("NaN"), "{first:?}");
        }
    }
}

#[test]
fn every_function_of_the_cpu_is_right_by_its_bound_and_wrong_beyond_it() {
    let mut checked = 0;
    for function in c_exports() {
        let is_described = operands::is_described(usize::from(function.index));
        // Those with types have a test of their own. There is no bound for the parameters of a rotation.
        let is_ex = function.name.contains("_ex") || function.name.contains("rotm");
        let is_transfer =
            function.name.contains("et_vector") || function.name.contains("et_matrix");
        if !is_described || is_ex || is_transfer || cpu_blas::entry_point(function.name).is_none() {
            continue;
        }
        for variant in 0..8 {
            let mut integers = integers(variant);
            // Symmetric products have no conjugated form.
            if function.name.contains("syr") && variant & 2 != 0 {
                let transposed = operation::TRANSPOSE.into();
                integers.splice(0..0, [("transA", transposed), ("trans", transposed)]);
            }
            // These use a different storage: columns of a band or of a packed triangle.
            let is_stored = ["tbsv", "tpsv"].iter().any(|routine| function.name.contains(routine));
            let value = |parameter: &str, place: usize| match parameter {
                "A" | "AP" if is_stored => 1.0 + noise(parameter, place) / 8.0,
                _ => value(parameter, place),
            };
            let call =
                captures::Call { function: function.name, integers: &integers, scalars: &SCALARS };
            check(&call.captured(value));
        }
        checked += 1;
    }
    assert!(checked > 300, "{checked}");
}

#[test]
fn functions_with_types_as_arguments_are_right_in_each_combination_of_types() {
    let mut checked = 0;
    for function in c_exports().iter().filter(|f| f.name.contains("_ex")) {
        if !operands::is_described(usize::from(function.index)) {
            continue;
        }
        for (row, variant) in
            types::combinations(function).iter().flat_map(|row| (0..8).map(move |v| (row, v)))
        {
            let mut integers = integers(variant);
            integers.extend(types::names(function).zip(row.iter().map(|ty| i64::from(*ty))));
            integers.extend([("invA_size", 128 * 7), ("geam_ex_op", (variant & 1) as i64)]);
            // Neither a symmetric update nor geam_ex has a conjugated form.
            if ["syrk_ex", "geam_ex"].iter().any(|routine| function.name.contains(routine)) {
                for (_, value) in &mut integers {
                    if *value == i64::from(operation::CONJUGATE_TRANSPOSE) {
                        *value = operation::TRANSPOSE.into();
                    }
                }
            }
            let call =
                captures::Call { function: function.name, integers: &integers, scalars: &SCALARS };
            check(&call.captured(value));
            checked += 1;
        }
    }
    assert!(checked > 2000, "{checked}");
}

#[test]
fn an_error_of_the_bounds_size_is_wrong() {
    let call =
        captures::Call { function: "rocblas_sgemm", integers: &integers(0), scalars: &SCALARS };
    let capture = call.captured(value);
    let (call, outputs, right) = computed(&capture);
    let Bounds::Each(bounds) = &right.outputs[0].bounds else { panic!("a bound of each") };
    let [exact, _] = right.outputs[0].values[3];
    for (times, verdict) in [(0.5, Verdict::Right), (2.0, Verdict::Wrong), (-2.0, Verdict::Wrong)] {
        let mut changed = outputs.clone();
        let value = (exact + times * bounds[3]) as f32;
        changed[12..16].copy_from_slice(&value.to_le_bytes());
        assert_eq!(judge(&call, &right, &changed)[0].verdict, verdict, "{times}");
    }
    // The bound amounts to a few roundings, so it does not hide wrong results.
    assert!(bounds[3] < 1e-5 && bounds[3] > 1e-8, "{}", bounds[3]);
}

#[test]
fn what_beta_and_alpha_exclude_may_be_nan() {
    for scalars in [[("alpha", 1.5), ("beta", 0.0)], [("alpha", 0.0), ("beta", 2.0)]] {
        let call =
            captures::Call { function: "rocblas_sgemm", integers: &integers(0), scalars: &scalars };
        let capture = call.captured(value);
        let read: Vec<bool> = capture.meta.operands.iter().map(|operand| operand.read).collect();
        assert_eq!(
            read,
            if scalars[0].1 == 0.0 { [false, false, true] } else { [true, true, false] }
        );
        check(&capture);
    }
}

#[test]
fn a_product_in_the_place_of_c_stays_in_its_place() {
    let mut integers = integers(0);
    let types = ["a_type", "b_type", "c_type", "d_type", "compute_type"];
    integers.extend(types.map(|name| (name, i64::from(datatype::F32_R))));
    // C and D are the same matrix.
    integers.extend([("c", 1 << 40), ("d", 1 << 40)]);
    let call =
        captures::Call { function: "rocblas_gemm_ex", integers: &integers, scalars: &SCALARS };
    check(&call.captured(value));
}

#[test]
fn an_infinity_where_it_has_to_be_is_right() {
    let call =
        captures::Call { function: "rocblas_sgemm", integers: &integers(0), scalars: &SCALARS };
    let infinite = |parameter: &str, place| {
        if (parameter, place) == ("A", 1) { f64::INFINITY } else { value(parameter, place) }
    };
    let (call, outputs, right) = computed(&call.captured(infinite));
    let judged = judge(&call, &right, &outputs);
    assert_eq!((judged[0].verdict, judged[0].not_finite), (Verdict::Right, 0), "{judged:?}");
    // A number where none could be right.
    let mut finite = outputs.clone();
    finite[4..8].copy_from_slice(&1_f32.to_le_bytes());
    assert_eq!(judge(&call, &right, &finite)[0].wrong, 1);
}

#[test]
fn results_are_where_the_pointer_mode_says() {
    let call = captures::Call { function: "rocblas_sdot", integers: &integers(0), scalars: &[] };
    let mut meta = call.captured(value).meta;
    for (mode, is_host) in [(PointerMode::Host, 1), (PointerMode::Device, 0)] {
        meta.pointer_mode = mode;
        let plan = Plan::of(&Call::of(&meta).expect("a call"));
        assert_eq!(plan.is_host.iter().filter(|is_host| **is_host).count(), is_host, "{plan:?}");
        assert_eq!(plan.buffers.len(), 3);
    }
}

#[test]
fn files_that_ask_for_anything_else_are_refused() {
    let call =
        captures::Call { function: "rocblas_sgemm", integers: &integers(0), scalars: &SCALARS };
    let good = call.captured(value).meta;
    Call::of(&good).expect("a call");
    let refused = |change: &dyn Fn(&mut Meta)| {
        let mut meta = good.clone();
        change(&mut meta);
        format!("{:#}", Call::of(&meta).expect_err("refused"))
    };
    for name in ["system", "rocblas_nothing", "rocblas_get_version_string", "rocblas_set_matrix"] {
        refused(&|meta| meta.function = name.to_owned());
    }
    refused(&|meta| drop(meta.arguments.pop()));
    refused(&|meta| meta.arguments[3].name = "rows".to_owned());
    assert!(refused(&|meta| meta.arguments[6].scalar = None).contains("the value of alpha"));
    let bits = |meta: &mut Meta, bits: &str| {
        meta.arguments[6].scalar.as_mut().expect("alpha").bits = bits.to_owned();
    };
    for wrong in ["", "0000", "zz000000", "0000000000000000"] {
        assert!(refused(&|meta| bits(meta, wrong)).contains("the value of alpha"), "{wrong}");
    }
    // These are sizes that do not match the operands in the file.
    assert!(refused(&|meta| meta.arguments[3].word = 6).contains("operand A is not what"));
    assert!(refused(&|meta| meta.arguments[3].word = 600).contains("no such shape in memory"));
    assert!(refused(&|meta| drop(meta.operands.pop())).contains("operand C"));
    assert!(
        refused(&|meta| meta.operands[0].element = operands::Element::F64).contains("operand A")
    );
}

#[test]
fn vectors_that_never_end_are_refused() {
    let mut integers = integers(0);
    integers.extend([("n", 1 << 60), ("incx", 0), ("incy", 0)]);
    integers.reverse();
    let call = captures::Call { function: "rocblas_sdot_64", integers: &integers, scalars: &[] };
    let capture = call.captured(value);
    let refusal = format!("{:#}", Call::of(&capture.meta).expect_err("refused"));
    assert!(refusal.contains("too large"), "{refusal}");
}

/// A product of single numbers, repeated as a batch in the same memory. The file contains only that memory.
fn repeated(function: &str, batch: i64) -> Capture<'static> {
    let mut integers = integers(0);
    for (name, value) in &mut integers {
        match *name {
            "m" | "n" | "k" | "lda" | "ldb" | "ldc" | "incx" | "incy" => *value = 1,
            "batch_count" => *value = batch,
            name if name.starts_with("stride") => *value = 0,
            _ => {}
        }
    }
    captures::Call { function, integers: &integers, scalars: &SCALARS }.captured(noise)
}

#[test]
fn a_small_file_of_a_long_call_is_not_computed() {
    // A copy has no operations, but takes time.
    for function in ["rocblas_sgemm_strided_batched_64", "rocblas_scopy_strided_batched_64"] {
        let said = |batch, limit| {
            let capture = repeated(function, batch);
            let call = Call::of(&capture.meta).expect("a call");
            let before = |position| Ok(before(&capture, &call, position));
            compute::compute(&call, limit, &before).map(|_| ()).map_err(|e| e.to_string())
        };
        assert_eq!(said(1000, LIMIT), Ok(()), "{function}");
        let why = said(50_000_000_000, LIMIT).expect_err("hours");
        assert!(why.ends_with(" s, and --limit allows 300 s: a larger one lifts this"), "{why}");
        assert!(said(1000, Duration::ZERO).is_err(), "{function}");
    }
}
