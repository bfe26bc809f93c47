//! Compares layouts with loops over rows and columns, and checks the data with examples of each kind.

use super::*;
use crate::{by_name, c_exports, value};
use Part::{All, Lower, StrictLower, StrictUpper, Upper};

/// The operands of a call with these arguments; all others are 7.
fn operands_of(name: &str, arguments: &[(&str, i64)]) -> Operands {
    let function = by_name(name).expect("a function");
    let word = |position: usize| {
        let name = function.params[position].name;
        let named = arguments.iter().find(|(argument, _)| *argument == name);
        // The upper half of a 32-bit argument is garbage.
        let is_wide = function.params[position].ty.base == crate::Base::I64
            || function.params[position].ty.base == crate::Base::Stride;
        let value = named.map_or(7, |(_, value)| *value) as u64;
        if is_wide { value } else { value & 0xffff_ffff | 0xbad_c0de << 32 }
    };
    operands(usize::from(function.index), &word).expect("operands")
}

fn operand_of(name: &str, parameter: &str, arguments: &[(&str, i64)]) -> Operand {
    let function = by_name(name).expect("a function");
    let position = function.params.iter().position(|param| param.name == parameter);
    let operands = operands_of(name, arguments);
    let found = operands.iter().find(|o| Some(usize::from(o.parameter)) == position);
    *found.unwrap_or_else(|| panic!("{parameter} of {name} in {operands:?}"))
}

/// The places of the elements that `uses`, in a matrix whose elements are at `place`.
fn places(
    (rows, columns): (i64, i64),
    uses: impl Fn(i64, i64) -> bool,
    place: impl Fn(i64, i64) -> i64,
) -> Vec<i64> {
    let all = (0..columns).flat_map(|j| (0..rows).map(move |i| (i, j)));
    let mut places: Vec<i64> =
        all.filter(|(i, j)| uses(*i, *j)).map(|(i, j)| place(i, j)).collect();
    places.sort_unstable();
    places
}

fn check(layout: Layout, expected: &[i64]) {
    let runs = layout.runs().flat_map(|run| (0..run.len).map(move |i| run.first + i * run.step));
    assert_eq!(runs.collect::<Vec<_>>(), expected, "{layout:?}");
    assert_eq!(layout.elements(), expected.len() as f64, "{layout:?}");
    let span = expected.first().zip(expected.last());
    let span = span.map(|(first, last)| Span { first: *first, len: last - first + 1 });
    assert_eq!(layout.span(), span, "{layout:?}");
}

fn is_in(part: Part, i: i64, j: i64) -> bool {
    match part {
        All => true,
        Upper => i <= j,
        Lower => i >= j,
        StrictUpper => i < j,
        StrictLower => i > j,
    }
}

const PARTS: [Part; 5] = [All, Upper, Lower, StrictUpper, StrictLower];

#[test]
fn matrices_have_their_elements_column_by_column() {
    for (rows, columns, gap) in
        (0..5).flat_map(|r| (0..5).flat_map(move |c| [0, 3].map(|g| (r, c, g))))
    {
        for part in PARTS {
            let ld = rows + gap;
            let places = places((rows, columns), |i, j| is_in(part, i, j), |i, j| i + j * ld);
            check(Layout::Matrix { rows, columns, ld, part }, &places);
        }
    }
    let contiguous = Layout::Matrix { rows: 4, columns: 3, ld: 4, part: All };
    assert_eq!(contiguous.runs().collect::<Vec<_>>(), [Run { first: 0, len: 12, step: 1 }]);
    let overlapping = Layout::Matrix { rows: 4, columns: 3, ld: 3, part: All };
    assert_eq!((overlapping.span(), overlapping.runs().next()), (None, None));
}

#[test]
fn packed_triangles_have_their_columns_without_gaps() {
    for order in 0..6 {
        for part in [Upper, Lower, StrictUpper, StrictLower] {
            let is_upper = matches!(part, Upper | StrictUpper);
            // As in the reference BLAS, but counted from zero.
            let place = |i: i64, j: i64| {
                if is_upper { i + j * (j + 1) / 2 } else { i + (2 * order - j - 1) * j / 2 }
            };
            check(
                Layout::Packed { order, part },
                &places((order, order), |i, j| is_in(part, i, j), place),
            );
        }
    }
}

#[test]
fn bands_have_a_diagonal_in_each_row_of_memory() {
    for (rows, columns) in (0..5).flat_map(|r| (0..5).map(move |c| (r, c))) {
        for (below, above) in (0..6).flat_map(|l| (0..6).map(move |u| (l, u))) {
            for part in PARTS {
                let ld = below + above + 2;
                let uses = |i, j| i <= j + below && j <= i + above && is_in(part, i, j);
                // As in the reference BLAS, but counted from zero: A(ku + i - j, j) is a(i, j).
                let expected = places((rows, columns), uses, |i, j| above + i - j + j * ld);
                check(Layout::Band { rows, columns, below, above, ld, part }, &expected);
            }
        }
    }
}

#[test]
fn vectors_begin_at_their_address_in_both_directions() {
    check(Layout::Vector { len: 3, inc: 2 }, &[0, 2, 4]);
    check(Layout::Vector { len: 3, inc: -2 }, &[0, 2, 4]);
    check(Layout::Vector { len: 0, inc: 1 }, &[]);
    let same = Layout::Vector { len: 3, inc: 0 };
    assert_eq!(same.runs().collect::<Vec<_>>(), [Run { first: 0, len: 1, step: 1 }]);
    assert_eq!(same.span(), Some(Span { first: 0, len: 1 }));
}

#[test]
fn operands_larger_than_memory_have_no_span() {
    let most = i64::MAX;
    for layout in [
        Layout::Vector { len: 2, inc: i64::MIN },
        Layout::Vector { len: most, inc: 1 },
        Layout::Matrix { rows: 1, columns: most, ld: most, part: All },
        Layout::Matrix { rows: most, columns: 2, ld: most, part: Lower },
        Layout::Packed { order: most, part: Upper },
        Layout::Packed { order: most, part: StrictLower },
        Layout::Band { rows: 3, columns: 3, below: most, above: 1, ld: most, part: All },
        Layout::Matrix { rows: -1, columns: 2, ld: 5, part: All },
        Layout::Vector { len: -1, inc: 1 },
    ] {
        assert_eq!(layout.span(), None, "{layout:?}");
        assert_eq!(layout.runs().next(), None, "{layout:?}");
        assert!(layout.elements() >= 0.0, "{layout:?}");
    }
}

#[test]
fn all_functions_with_elements_are_described() {
    let described = c_exports().iter().filter(|f| is_described(usize::from(f.index)));
    let names: Vec<&str> = described.map(|f| f.name).collect();
    assert_eq!(names.len(), 1172);
    for later in ["rocblas_syrk_ex", "rocblas_herk_ex", "rocblas_trsm_batched_ex"] {
        assert!(names.contains(&later), "{later}");
    }
    for without in ["rocblas_gemm_ex_get_solutions", "rocblas_set_workspace", "rocblas_abort"] {
        assert!(!names.contains(&without), "{without}");
    }
}

#[test]
fn sizes_depend_on_side_and_transposition() {
    let arguments = [("side", 142), ("uplo", 121), ("diag", 132), ("m", 3), ("n", 2), ("lda", 5)];
    let a = operand_of("rocblas_strsm", "A", &arguments);
    assert_eq!(a.layout, Layout::Matrix { rows: 2, columns: 2, ld: 5, part: StrictUpper });
    assert_eq!((a.direction, a.element, a.unread_if_zero), (Direction::In, Element::F32, Some(7)));
    let b = operand_of("rocblas_strsm", "B", &arguments);
    assert_eq!(b.layout, Layout::Matrix { rows: 3, columns: 2, ld: 7, part: All });
    assert_eq!((b.direction, b.batch), (Direction::InOut, Batch::One));
    for (operation, len) in [(111, (4, 9)), (112, (9, 4)), (113, (9, 4))] {
        let arguments =
            [("transA", operation), ("m", 9), ("n", 4), ("incx", -1), ("batch_count", 5)];
        let name = "rocblas_cgemv_strided_batched_64";
        let x = operand_of(name, "x", &arguments);
        assert_eq!(x.layout, Layout::Vector { len: len.0, inc: -1 });
        assert_eq!(x.batch, Batch::Strided { count: 5, stride: 7 });
        let y = operand_of(name, "y", &arguments);
        assert_eq!((y.layout, y.element), (Layout::Vector { len: len.1, inc: 7 }, Element::C32));
    }
}

#[test]
fn types_come_from_the_parameter_or_an_argument() {
    let datatypes = [("a_type", 168), ("b_type", 160), ("c_type", 162), ("d_type", 155)];
    let elements: Vec<Element> =
        operands_of("rocblas_gemm_batched_ex", &datatypes).iter().map(|o| o.element).collect();
    assert_eq!(elements, [Element::Bf16, Element::I8, Element::I32, Element::C64]);
    let compute = [("compute_type", i64::from(value::datatype::F64_R))];
    assert_eq!(operand_of("rocblas_trsm_ex", "invA", &compute).element, Element::F64);
    assert_eq!(operand_of("rocblas_tssgemv_batched", "A", &[]).element, Element::Bf16);
    assert_eq!(operand_of("rocblas_isamax_64", "result", &[]).element, Element::I64);
    let index = usize::from(by_name("rocblas_gemm_ex").expect("a function").index);
    assert!(operands(index, &|_| 1000).is_none(), "no such datatype");
}

#[test]
fn batches_follow_from_the_functions_name() {
    let pointers = Batch::Pointers { count: 3 };
    for (name, parameter) in [
        ("rocblas_gemm_batched_ex", "a"),
        ("rocblas_srotg_batched", "c"),
        ("rocblas_drotm_batched", "param"),
        ("rocblas_trsm_batched_ex", "invA"),
    ] {
        let arguments = [("batch_count", 3), ("a_type", 151), ("b_type", 151), ("c_type", 151)];
        let arguments = [&arguments[..], &[("d_type", 151), ("compute_type", 151)]].concat();
        assert_eq!(operand_of(name, parameter, &arguments).batch, pointers, "{name}");
    }
    for name in ["rocblas_sdot_batched", "rocblas_sdot_strided_batched"] {
        let result = operand_of(name, "result", &[("batch_count", 3)]);
        assert_eq!(result.batch, Batch::One);
        assert_eq!(result.layout, Layout::Vector { len: 3, inc: 1 });
        assert!(result.scalar);
    }
    let strided = operand_of("rocblas_chpr_strided_batched", "AP", &[("batch_count", -3)]);
    assert_eq!(strided.batch, Batch::Strided { count: 0, stride: 7 });
    assert_eq!(strided.span(), None);
    let backwards = [("n", 2), ("uplo", 121), ("stride_A", -10), ("batch_count", 3)];
    let backwards = operand_of("rocblas_chpr_strided_batched", "AP", &backwards);
    assert_eq!(backwards.span(), Some(Span { first: -20, len: 23 }));
    assert_eq!(backwards.elements(), 9.0);
}

#[test]
fn copies_mark_the_operand_in_host_memory() {
    let arguments = [("n", 3), ("elem_size", 6), ("incx", 2)];
    let x = operand_of("rocblas_set_vector_async_64", "x", &arguments);
    let layout = Layout::Matrix { rows: 6, columns: 3, ld: 12, part: All };
    assert_eq!((x.host, x.element, x.layout), (true, Element::U8, layout));
    let x = operand_of("rocblas_get_vector", "x", &arguments);
    assert!(!x.host && operand_of("rocblas_get_matrix", "b", &[]).host);
}

#[test]
fn an_operand_multiplied_by_zero_is_not_read() {
    let c = operand_of("rocblas_zherk", "C", &[]);
    assert_eq!((c.direction, c.unread_if_zero), (Direction::InOut, Some(8)));
    assert!(c.is_read(|_| false) && !c.is_read(|scalar| scalar == 8) && c.is_written());
    let b = operand_of("rocblas_sgeam", "B", &[]);
    assert!(!b.is_read(|scalar| scalar == usize::from(b.unread_if_zero.expect("beta"))));
}

#[test]
fn work_counts_operations_and_bytes() {
    let work_of = |name: &str, arguments: &[(&str, u64)], zero: &str| {
        let function = by_name(name).expect("a function");
        let word = |position: usize| {
            let named = arguments.iter().find(|(name, _)| *name == function.params[position].name);
            named.map_or(99, |(_, value)| *value)
        };
        let is_zero = |position: usize| function.params[position].name == zero;
        let Work { operations, bytes } =
            work(usize::from(function.index), &word, &is_zero).expect("known");
        (operations, bytes)
    };
    let dimensions = [("m", 2), ("n", 3), ("k", 5), ("batch_count", 2)];
    assert_eq!(work_of("rocblas_sgemm", &dimensions, ""), (60.0, 4.0 * (10.0 + 15.0 + 12.0)));
    assert_eq!(work_of("rocblas_sgemm", &dimensions, "beta"), (60.0, 4.0 * (10.0 + 15.0 + 6.0)));
    assert_eq!(work_of("rocblas_zgemm_batched", &dimensions, ""), (480.0, 32.0 * 37.0));
    assert_eq!(work_of("rocblas_zdscal", &[("n", 4)], ""), (8.0, 128.0));
    assert_eq!(work_of("rocblas_zscal", &[("n", 4)], ""), (24.0, 128.0));
    let band = [("n", 5), ("k", 1), ("uplo", 121)];
    assert_eq!(work_of("rocblas_stbmv", &band, ""), (18.0, 4.0 * (9.0 + 10.0)));
    assert_eq!(work_of("rocblas_sdot_batched", &dimensions, ""), (12.0, 4.0 * (12.0 + 2.0)));
}

#[test]
fn any_words_are_resolved_without_a_panic() {
    let edges = [0, 1, 2, 111, 121, 132, 141, 150, 151, 1 << 31, 1 << 53, 1 << 63, u64::MAX];
    let mut state = 1_u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 29
    };
    for function in c_exports() {
        let index = usize::from(function.index);
        for round in 0..200 {
            let words: [u64; 32] = std::array::from_fn(|_| match round % 3 {
                0 => random(),
                1 => random().wrapping_mul(0x9e37_79b9_7f4a_7c15),
                _ => edges[random() as usize % edges.len()],
            });
            let argument = |position: usize| words[position];
            for operand in operands(index, &argument).iter().flat_map(|found| found.iter()) {
                let _ = (operand.span(), operand.elements());
                let span = operand.layout.span();
                for run in operand.layout.runs().take(50) {
                    let span = span.expect("where there are elements");
                    assert!(run.len > 0 && run.step > 0, "{operand:?}");
                    assert!(run.first >= span.first, "{operand:?}");
                    let last = run.first + (run.len - 1) * run.step;
                    assert!(last < span.first + span.len, "{operand:?}");
                }
            }
            let _ = work(index, &argument, &|_| round % 2 == 0);
        }
    }
}
