//! Reads the description of a function's operands and applies it to a call's arguments.
//!
//! Formulas are computed in `f64`, which is exact up to 2^53, more than the size of an address space.

use super::{Batch, CODE, Element, Layout, Operand, Operands, Part, code, start};
use crate::{
    Base, Direction,
    signature::type_of,
    value::{diagonal, fill},
};

/// Fills the unused places of the array of operands.
const NO_OPERAND: Operand = Operand {
    parameter: 0,
    direction: Direction::In,
    element: Element::U8,
    layout: Layout::Vector { len: 0, inc: 1 },
    batch: Batch::One,
    unread_if_zero: None,
    scalar: false,
    host: false,
};

/// A position in the description of a function, and the arguments of a call.
pub(super) struct Decoder<'a> {
    function: usize,
    argument: &'a dyn Fn(usize) -> u64,
    code: core::slice::Iter<'static, u8>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(function: usize, argument: &'a dyn Fn(usize) -> u64) -> Option<Self> {
        Some(Self { function, argument, code: CODE.get(start(function)?..)?.iter() })
    }

    /// The operands, and the decoder positioned after them. `None` if there is no such element type.
    pub(super) fn operands(mut self) -> Option<(Operands, Self)> {
        let count = usize::from(self.byte());
        let batch_count = self.byte();
        let mut operands = Operands { operands: [NO_OPERAND; code::OPERANDS], count: 0 };
        for operand in operands.operands.iter_mut().take(count) {
            *operand = self.operand(batch_count)?;
        }
        operands.count = count;
        Some((operands, self))
    }

    /// The operations of all problems of the call whose operands these are.
    pub(super) fn operations(mut self, operands: &Operands) -> f64 {
        let real = self.formula(operands);
        let complex = self.formula(operands);
        let is_complex = operands.first().is_some_and(|operand| operand.element.is_complex());
        let problems =
            operands.iter().map(|operand| operand.batch.count()).find(|count| *count != 1);
        (if is_complex { complex } else { real }) * problems.unwrap_or(1) as f64
    }

    fn byte(&mut self) -> u8 {
        self.code.next().copied().unwrap_or(code::END)
    }

    fn operand(&mut self, batch_count: u8) -> Option<Operand> {
        let [parameter, flags, shape, scalar, datatype] = [(); 5].map(|()| self.byte());
        let [stride, uplo, diag, distance] = [(); 4].map(|()| self.byte());
        let mut sizes = [0; 5];
        for size in sizes.iter_mut().take(code::FORMULAS[usize::from(shape)]) {
            // The cast saturates: a number that is too large yields an operand that is too large.
            *size = self.formula(&[]) as i64;
        }
        let part = self.part(uplo, diag);
        let layout = match (shape, sizes) {
            (code::MATRIX, [rows, columns, ld, ..]) => Layout::Matrix { rows, columns, ld, part },
            (code::PACKED, [order, ..]) => Layout::Packed { order, part },
            (code::BAND, [rows, columns, below, above, ld]) => {
                Layout::Band { rows, columns, below, above, ld, part }
            }
            (code::VECTOR.., [len, ..]) => {
                let inc = self.optional(distance).unwrap_or(1);
                let is_empty = flags & code::FORWARD != 0 && inc <= 0;
                Layout::Vector { len: if is_empty { 0 } else { len }, inc }
            }
        };
        let problems = self.optional(batch_count).unwrap_or(1).max(0);
        let batch = match stride {
            code::NONE => Batch::One,
            code::POINTERS => Batch::Pointers { count: problems },
            stride => Batch::Strided { count: problems, stride: self.integer(stride) },
        };
        let direction = match flags & (code::READ | code::WRITTEN) {
            code::READ => Direction::In,
            code::WRITTEN => Direction::Out,
            _ => Direction::InOut,
        };
        let element = match datatype {
            code::NONE => Element::of_base(type_of(self.function, usize::from(parameter)).base),
            datatype => Element::of_datatype(self.word(datatype) as i32),
        };
        Some(Operand {
            parameter,
            direction,
            element: element?,
            layout,
            batch,
            unread_if_zero: Some(scalar).filter(|scalar| *scalar != code::NONE),
            scalar: flags & code::SCALAR != 0,
            host: flags & code::HOST != 0,
        })
    }

    fn part(&self, uplo: u8, diag: u8) -> Part {
        let is = |parameter, value| parameter != code::NONE && self.word(parameter) as i32 == value;
        match (uplo, is(uplo, fill::UPPER), is(diag, diagonal::UNIT)) {
            (code::NONE, ..) => Part::All,
            (_, true, false) => Part::Upper,
            (_, true, true) => Part::StrictUpper,
            (_, false, false) => Part::Lower,
            (_, false, true) => Part::StrictLower,
        }
    }

    fn word(&self, position: u8) -> u64 {
        (self.argument)(usize::from(position))
    }

    /// The value of a parameter that is an integer.
    fn integer(&self, position: u8) -> i64 {
        let word = self.word(position);
        match type_of(self.function, usize::from(position)).base {
            Base::I64 | Base::Stride => word as i64,
            Base::Size => i64::try_from(word).unwrap_or(i64::MAX),
            Base::U32 => i64::from(word as u32),
            _ => i64::from(word as i32),
        }
    }

    fn optional(&self, position: u8) -> Option<i64> {
        (position != code::NONE).then(|| self.integer(position))
    }

    fn formula(&mut self, operands: &[Operand]) -> f64 {
        let mut stack = [0.0; code::DEPTH];
        // The build script has checked that no formula underflows or overflows the stack.
        let mut depth = 0_usize;
        loop {
            let instruction = self.byte();
            let value = match instruction {
                0..code::PARAMETERS => self.integer(instruction).max(0) as f64,
                code::NUMBER => f64::from(self.byte()),
                code::ELEMENTS => {
                    let operand = operands.get(usize::from(self.byte()));
                    operand.map_or(0.0, |operand| operand.layout.elements())
                }
                code::END => return stack[0],
                _ => {
                    depth = depth.saturating_sub(2);
                    let (a, b) = (stack[depth], stack[(depth + 1) % code::DEPTH]);
                    match instruction {
                        code::ADD => a + b,
                        code::SUBTRACT => a - b,
                        code::MULTIPLY => a * b,
                        code::DIVIDE => a / b,
                        code::MIN => a.min(b),
                        choose => {
                            let first = i32::from(self.byte());
                            let is_first = self.word(choose - code::CHOOSE) as i32 == first;
                            if is_first { a } else { b }
                        }
                    }
                }
            };
            stack[depth % code::DEPTH] = value;
            depth += 1;
        }
    }
}
