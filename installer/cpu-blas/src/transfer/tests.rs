//! Copies of vectors and matrices.

use rocblas_abi::Base;

use crate::testing::*;

/// All functions of a kind, `"vector"` or `"matrix"`.
fn functions(kind: &str) -> impl Iterator<Item = (String, bool, bool)> {
    let variants = ["set", "get"].into_iter().flat_map(|direction| {
        [false, true]
            .into_iter()
            .flat_map(move |asynchronous| [false, true].map(|wide| (direction, asynchronous, wide)))
    });
    variants.map(move |(direction, asynchronous, wide)| {
        let suffix = if asynchronous { "_async" } else { "" };
        let width = if wide { "_64" } else { "" };
        (format!("rocblas_{direction}_{kind}{suffix}{width}"), asynchronous, wide)
    })
}

fn call(
    (name, asynchronous, wide): &(String, bool, bool),
    counts: &[i64],
    (from, from_step): (*const u8, i64),
    (to, to_step): (*mut u8, i64),
) -> Call<'static> {
    let call = counts.iter().fold(Call::new(name), |call, count| call.int_of(*wide, *count));
    let call = call.pointer(Base::Void, from).int_of(*wide, from_step);
    let call = call.pointer(Base::Void, to).int_of(*wide, to_step);
    if *asynchronous { call.stream_value(0) } else { call }
}

#[test]
fn vectors_are_copied_element_by_element() {
    let from: Vec<u8> = (0..60).collect();
    for function in functions("vector") {
        // Four elements of three bytes: from every second place to every third.
        let mut to = vec![0xff_u8; 60];
        let mut want = to.clone();
        for i in 0..4 {
            want[i * 9..][..3].copy_from_slice(&from[i * 6..][..3]);
        }
        let call = call(&function, &[4, 3], (from.as_ptr(), 2), (to.as_mut_ptr(), 3));
        assert_eq!(call.run(), SUCCESS, "{function:?}");
        assert_eq!(to, want, "{function:?}");
    }
}

#[test]
fn matrices_are_copied_column_by_column() {
    let from: Vec<u8> = (0..60).collect();
    for function in functions("matrix") {
        // Three rows and two columns of two bytes.
        let mut to = vec![0xff_u8; 60];
        let mut want = to.clone();
        for column in 0..2 {
            want[column * 10..][..6].copy_from_slice(&from[column * 8..][..6]);
        }
        let call = call(&function, &[3, 2, 2], (from.as_ptr(), 4), (to.as_mut_ptr(), 5));
        assert_eq!(call.run(), SUCCESS, "{function:?}");
        assert_eq!(to, want, "{function:?}");
    }
}

#[test]
fn the_first_wrong_argument_decides() {
    let (from, mut to) = ([0_u8; 16], [0_u8; 16]);
    for function in functions("vector") {
        check_order(
            || call(&function, &[4, 4], (from.as_ptr(), 1), (to.as_mut_ptr(), 1)),
            &[
                ("n", 0, SUCCESS),
                ("n", -1, INVALID_SIZE),
                ("elem_size", 0, INVALID_SIZE),
                ("incx", 0, INVALID_SIZE),
                ("incy", -1, INVALID_SIZE),
                ("x", 0, INVALID_POINTER),
                ("y", 0, INVALID_POINTER),
            ],
        );
    }
    for function in functions("matrix") {
        check_order(
            || call(&function, &[2, 2, 4], (from.as_ptr(), 2), (to.as_mut_ptr(), 2)),
            &[
                ("rows", 0, SUCCESS),
                ("cols", 0, SUCCESS),
                ("rows", -1, INVALID_SIZE),
                ("cols", -1, INVALID_SIZE),
                ("lda", 1, INVALID_SIZE),
                ("ldb", 1, INVALID_SIZE),
                ("elem_size", 0, INVALID_SIZE),
                ("a", 0, INVALID_POINTER),
                ("b", 0, INVALID_POINTER),
            ],
        );
    }
}
