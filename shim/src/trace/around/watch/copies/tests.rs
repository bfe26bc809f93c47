//! Tests copies of matrices with gaps and of batches, on the host.

use super::{
    super::job::{Pieces, slot_size},
    *,
};
use rocblas_abi::{
    Direction,
    operands::{Batch, Element, Layout, Operand, Part},
};
use rocblas_trace::{numbers::Bad, options::Check};

const CHECK: Check = Check { nan: true, inf: true, digest: false, inputs: false };

fn matrix(ld: i64, batch: Batch) -> Operand {
    Operand {
        parameter: 0,
        direction: Direction::Out,
        element: Element::F32,
        layout: Layout::Matrix { rows: 2, columns: 3, ld, part: Part::All },
        batch,
        unread_if_zero: None,
        scalar: false,
        host: false,
    }
}

/// Copies an operand. Returns how it was copied, and what a check finds in the copy.
fn copied(operand: &Operand, address: u64, whole: bool) -> (How, Bad) {
    let mut pieces = Pieces::NONE;
    pieces.add((0, operand), Time::After, address, (whole, false)).expect("small");
    let piece = *pieces.iter().next().expect("it has elements");
    let mut job = Way::Host.allocate(slot_size(pieces.bytes)).expect("memory");
    // SAFETY: the addresses are those of an operand, and the memory is large enough.
    assert!(unsafe { Way::Host.copy_piece(&job.memory, &piece, operand.batch.count()) });
    let bad = job.elements(operand, &piece).bad(CHECK);
    Way::Host.release(&mut job);
    (piece.how, bad)
}

fn found(first: u64) -> Bad {
    Bad { nan: 1, inf: 0, first: Some(first) }
}

#[test]
fn columns_far_apart_are_copied_without_what_is_between_them() {
    for (batch, at, first) in [
        (Batch::One, 19, 5),
        (Batch::Strided { count: 2, stride: 27 }, 27 + 9, 8),
        (Batch::Strided { count: 2, stride: 9 }, 9 + 19, 11),
        (Batch::Strided { count: 2, stride: 31 }, 31 + 1, 7),
    ] {
        let mut data = [1_f32; 64];
        // Between columns, and at an element.
        (data[3], data[at]) = (f32::NAN, f32::NAN);
        let operand = matrix(9, batch);
        let address = data.as_ptr().expose_provenance() as u64;
        let (how, bad) = copied(&operand, address, false);
        // Columns of different problems are at different distances.
        let is_even = batch != Batch::Strided { count: 2, stride: 31 };
        assert_eq!(matches!(how, How::Columns { .. }), is_even, "{batch:?}");
        let again = copied(&operand, address, true);
        assert!(matches!(again.0, How::Whole(_)), "{batch:?}");
        assert_eq!(bad, again.1, "{batch:?}");
        assert_eq!(bad, found(first), "{batch:?}");
    }
}

#[test]
fn problems_may_lie_before_the_address() {
    let mut data = [1_f32; 64];
    data[1] = f32::NAN;
    let address = data[40..].as_ptr().expose_provenance() as u64;
    let operand = matrix(3, Batch::Strided { count: 2, stride: -40 });
    assert_eq!(copied(&operand, address, false).1, found(7));
}

#[test]
fn problems_are_copied_from_their_own_addresses() {
    let (first, mut second) = ([1_f32; 8], [1_f32; 8]);
    // Between columns, and the last element.
    (second[2], second[7]) = (f32::NAN, f32::NAN);
    let array = [first.as_ptr(), second.as_ptr()];
    let operand = matrix(3, Batch::Pointers { count: 2 });
    let address = array.as_ptr().expose_provenance() as u64;
    assert_eq!(copied(&operand, address, false).1, found(11));
}

#[test]
fn memory_that_is_not_there_is_no_crash() {
    let operand = matrix(2, Batch::One);
    let mut pieces = Pieces::NONE;
    pieces.add((0, &operand), Time::After, 4096, (true, false)).expect("small");
    let piece = *pieces.iter().next().expect("it has elements");
    let mut job = Way::Host.allocate(slot_size(pieces.bytes)).expect("memory");
    // SAFETY: the kernel reads there.
    assert!(!unsafe { Way::Host.copy_piece(&job.memory, &piece, 1) });
    Way::Host.release(&mut job);
}
