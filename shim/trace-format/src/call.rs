//! A recorded call, and the meaning of its words according to the table of functions.

use crate::layout::{
    ARGUMENTS, BEGIN, Capture, END, HEAD, Head, Mode, NOTE, Note, RESULT, SEQUENCE, Scalar, Shape,
};
use half::{bf16, f16};
use rocblas_abi::{
    Base, C_EXPORTS, Direction, EnumId, Param, RETURNS, Returns, operands::Element, params,
};

/// The functions of this program's table with the shapes of their records.
#[derive(Debug)]
pub struct Functions {
    shapes: Vec<Shape>,
}

impl Default for Functions {
    fn default() -> Self {
        Self { shapes: (0..C_EXPORTS).map(Shape::of).collect() }
    }
}

impl Functions {
    /// The shape of a function's records.
    #[must_use]
    pub fn shape(&self, function: usize) -> &Shape {
        &self.shapes[function]
    }

    /// All shapes, by index.
    #[must_use]
    pub fn shapes(&self) -> &[Shape] {
        &self.shapes
    }

    /// Interprets a record as a call of the function at that index of this table.
    #[must_use]
    pub fn call<'a>(&'a self, function: usize, words: &'a [u64]) -> Call<'a> {
        Call { function, shape: &self.shapes[function], words }
    }
}

/// A call. The number of words is that of the function's shape.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    function: usize,
    shape: &'a Shape,
    words: &'a [u64],
}

impl<'a> Call<'a> {
    /// Index of the function in this program's table.
    #[must_use]
    pub fn function(&self) -> usize {
        self.function
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        rocblas_abi::c_name(self.function).to_str().unwrap_or_default()
    }

    /// The record.
    #[must_use]
    pub fn words(&self) -> &'a [u64] {
        self.words
    }

    fn head(&self) -> Head {
        Head(self.words[HEAD])
    }

    /// The number of traced calls of the thread that were in flight.
    #[must_use]
    pub fn depth(&self) -> u8 {
        self.head().depth()
    }

    /// Whether the shim handled the call instead of the first backend: it keeps a promise, or the backend lacks
    /// the function. For handles of other backends, see [`crate::read::Backends::by_shim`].
    #[must_use]
    pub fn by_shim(&self) -> bool {
        self.head().answerer() != 0
    }

    /// The number of the record in its thread.
    #[must_use]
    pub fn sequence(&self) -> u64 {
        self.words[SEQUENCE]
    }

    /// The clock at entry, in ticks.
    #[must_use]
    pub fn begin(&self) -> u64 {
        self.words[BEGIN]
    }

    /// The clock at exit, in ticks; `None` if there was no exit.
    #[must_use]
    pub fn end(&self) -> Option<u64> {
        Some(self.words[END]).filter(|end| *end != 0)
    }

    /// How long it took, in ticks.
    #[must_use]
    pub fn ticks(&self) -> Option<u64> {
        // The clocks of processors may differ by a few ticks.
        self.end().map(|end| end.saturating_sub(self.begin()))
    }

    /// Whether it was abandoned by an exception or a jump.
    #[must_use]
    pub fn was_left(&self) -> bool {
        self.note().0 & Note::LEFT != 0
    }

    fn note(&self) -> Note {
        Note(self.words[NOTE])
    }

    /// The handle's pointer mode at entry.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.note().mode()
    }

    /// Whether its stream was being captured at entry.
    #[must_use]
    pub fn capture(&self) -> Capture {
        self.note().capture()
    }

    /// HIP's last errors before and after it, as `hipError_t`; `None` if they were not read.
    #[must_use]
    pub fn hip_errors(&self) -> Option<[u16; 2]> {
        self.note().errors().filter(|_| self.end().is_some())
    }

    /// The HIP error that it raised: the last error after it, if that differs from the one before.
    #[must_use]
    pub fn raised_hip_error(&self) -> Option<u16> {
        let [before, after] = self.hip_errors()?;
        (after != before && after != 0).then_some(after)
    }

    /// The HIP error that was already pending before it, and still is the last error.
    #[must_use]
    pub fn pending_hip_error(&self) -> Option<u16> {
        let [before, after] = self.hip_errors()?;
        (before != 0 && after == before).then_some(before)
    }

    /// Whether its GPU time is measured: usually a record with the time follows.
    #[must_use]
    pub fn is_timed(&self) -> bool {
        self.note().0 & Note::TIMED != 0
    }

    /// The handle.
    #[must_use]
    pub fn handle(&self) -> Option<u64> {
        self.shape.handle.map(|position| self.argument(usize::from(position)))
    }

    /// The status that it returned, if it returns one.
    #[must_use]
    pub fn status(&self) -> Option<i32> {
        (RETURNS[self.function] == Returns::Status && self.end().is_some())
            .then(|| self.words[RESULT] as i32)
    }

    /// Its return value; `None` in flight and for functions without one.
    #[must_use]
    pub fn result(&self) -> Option<Answer> {
        let raw = self.words[RESULT];
        self.end()?;
        Some(match RETURNS[self.function] {
            Returns::Void => return None,
            Returns::Status => Answer::Status(raw as i32),
            Returns::Bool => Answer::Bool(raw as u8 != 0),
            Returns::PointerMode => Answer::PointerMode(raw as i32),
            Returns::Size => Answer::Size(raw),
            _ => Answer::Pointer(raw),
        })
    }

    /// An argument as it was passed. The upper half of a 32-bit argument is undefined.
    #[must_use]
    pub fn argument(&self, position: usize) -> u64 {
        self.words[ARGUMENTS + position]
    }

    /// Parameters with their values.
    pub fn values(&self) -> impl Iterator<Item = (Param, Value)> + use<'a> {
        let call = *self;
        params(self.function).enumerate().map(move |(i, param)| (param, call.value(i, &param)))
    }

    /// The value of the parameter of that name.
    #[must_use]
    pub fn named(&self, name: &str) -> Option<Value> {
        let (position, param) = params(self.function).enumerate().find(|(_, p)| p.name == name)?;
        Some(self.value(position, &param))
    }

    fn value(&self, position: usize, param: &Param) -> Value {
        let raw = self.argument(position);
        match (param.ty.pointers, param.ty.base) {
            (0, Base::Handle) => Value::Handle(raw),
            (0, Base::Int | Base::I32) => Value::Integer(i64::from(raw as i32)),
            (0, Base::U32) => Value::Integer(i64::from(raw as u32)),
            (0, Base::I64 | Base::Stride) => Value::Integer(raw as i64),
            (0, Base::Size) => Value::Size(raw),
            (0, Base::Enum(id)) => Value::Enum(id, raw as i32),
            (0, _) => Value::Pointer(raw),
            _ if param.scalar.is_some() => self.scalar(position, param, raw),
            _ => Value::Pointer(raw),
        }
    }

    fn scalar(&self, position: usize, param: &Param, raw: u64) -> Value {
        let scalars = self.shape.scalars();
        let number = scalars.iter().position(|s| usize::from(s.parameter) == position);
        let Some((number, scalar)) = number.map(|number| (number, scalars[number])) else {
            return Value::Pointer(raw);
        };
        let note = self.note();
        let captured = match scalar.direction {
            Direction::In => note.at_entry(number),
            Direction::Out => note.at_exit(number),
            Direction::InOut => note.at_entry(number) || note.at_exit(number),
        };
        match self.mode() {
            _ if raw == 0 => Value::Pointer(0),
            Mode::Host if captured => match self.kind(param) {
                Some(kind) => Value::Number(Numbers { kind, bytes: self.bytes(scalar) }),
                None => Value::Pointer(raw),
            },
            Mode::Device => Value::Device(raw),
            _ => Value::Pointer(raw),
        }
    }

    fn bytes(&self, scalar: Scalar) -> ([u8; 40], usize) {
        let mut bytes = [0; 40];
        let size = usize::from(scalar.size);
        let words = self.words[usize::from(scalar.word)..].iter();
        for (place, word) in bytes[..size.next_multiple_of(8)].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        (bytes, size)
    }

    fn kind(&self, param: &Param) -> Option<NumberKind> {
        scalar_kind(self.function, param, &|position| self.argument(position))
    }
}

/// The type of a scalar of a function with that index; `argument` returns the argument at a position. For `void *`
/// another argument determines the type.
#[must_use]
pub fn scalar_kind(
    function: usize,
    param: &Param,
    argument: &dyn Fn(usize) -> u64,
) -> Option<NumberKind> {
    Some(match param.ty.base {
        Base::F16 => NumberKind::F16,
        Base::Bf16 => NumberKind::Bf16,
        Base::F32 => NumberKind::F32,
        Base::F64 => NumberKind::F64,
        Base::C32 => NumberKind::C32,
        Base::C64 => NumberKind::C64,
        Base::Int | Base::I32 | Base::Enum(_) => NumberKind::I32,
        Base::I64 | Base::Stride | Base::Size => NumberKind::I64,
        Base::Void => return declared_kind(function, param.name, argument),
        _ => return None,
    })
}

fn declared_kind(
    function: usize,
    name: &str,
    argument: &dyn Fn(usize) -> u64,
) -> Option<NumberKind> {
    let declared: &[&str] = match name {
        "alpha" => &["alpha_type", "compute_type", "execution_type"],
        "c" | "s" => &["cs_type"],
        "result" | "results" => &["result_type"],
        _ => &["compute_type", "execution_type"],
    };
    let datatype = |name: &&str| {
        let position = params(function).position(|param| {
            param.name == *name && param.ty.base == Base::Enum(EnumId::Datatype)
        })?;
        Some(argument(position) as i32)
    };
    let kind = NumberKind::of_datatype(declared.iter().find_map(datatype)?)?;
    // The scalars of a Hermitian update are real, although its type of computation is complex.
    let is_real = rocblas_abi::c_name(function) == c"rocblas_herk_ex";
    Some(if is_real { kind.real() } else { kind })
}

/// The return value of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// `rocblas_status`
    Status(i32),
    /// `bool`
    Bool(bool),
    /// `rocblas_pointer_mode`
    PointerMode(i32),
    /// `size_t`
    Size(u64),
    /// An address.
    Pointer(u64),
}

/// The value of an argument.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value {
    /// The rocBLAS handle.
    Handle(u64),
    /// A dimension, increment, stride or count.
    Integer(i64),
    /// `size_t`
    Size(u64),
    /// An enum's value.
    Enum(EnumId, i32),
    /// An address, usually of device memory.
    Pointer(u64),
    /// A scalar in device memory, at this address.
    Device(u64),
    /// A scalar's value.
    Number(Numbers),
}

impl Value {
    /// A whole number, if it is one.
    #[must_use]
    pub fn integer(self) -> Option<i64> {
        match self {
            Self::Integer(value) => Some(value),
            Self::Size(value) => i64::try_from(value).ok(),
            _ => None,
        }
    }
}

/// The type of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberKind {
    /// Half precision.
    F16,
    /// bfloat16.
    Bf16,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// Two of single precision.
    C32,
    /// Two of double precision.
    C64,
    /// 32-bit integer.
    I32,
    /// 64-bit integer.
    I64,
}

impl NumberKind {
    /// The type of a `rocblas_datatype`; `None` for those that scalars cannot have.
    #[must_use]
    pub fn of_datatype(value: i32) -> Option<Self> {
        let datatypes = rocblas_abi::enumeration(EnumId::Datatype);
        Some(match datatypes.short_name_of(value)? {
            "f16_r" => Self::F16,
            "bf16_r" => Self::Bf16,
            "f32_r" => Self::F32,
            "f64_r" => Self::F64,
            "f32_c" => Self::C32,
            "f64_c" => Self::C64,
            "i32_r" => Self::I32,
            _ => return None,
        })
    }

    /// The type of a complex number's parts; a real type itself.
    const fn real(self) -> Self {
        match self {
            Self::C32 => Self::F32,
            Self::C64 => Self::F64,
            real => real,
        }
    }

    /// The element type that corresponds to it.
    #[must_use]
    pub const fn element(self) -> Element {
        match self {
            Self::F16 => Element::F16,
            Self::Bf16 => Element::Bf16,
            Self::F32 => Element::F32,
            Self::F64 => Element::F64,
            Self::C32 => Element::C32,
            Self::C64 => Element::C64,
            Self::I32 => Element::I32,
            Self::I64 => Element::I64,
        }
    }

    /// Its length in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::F32 | Self::I32 => 4,
            Self::F64 | Self::C32 | Self::I64 => 8,
            Self::C64 => 16,
        }
    }
}

/// The value of a scalar, or of the five that a modified Givens rotation takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Numbers {
    kind: NumberKind,
    bytes: ([u8; 40], usize),
}

impl Numbers {
    /// The type of each.
    #[must_use]
    pub fn kind(&self) -> NumberKind {
        self.kind
    }

    /// The numbers, a complex one as two. 64-bit integers above 2^53 are rounded.
    #[must_use]
    pub fn parts(&self) -> Vec<f64> {
        let (bytes, length) = &self.bytes;
        let size = self.kind.size();
        // A `void*` scalar has room for the largest type.
        let count = if *length == 16 { 1 } else { length / size };
        let of = |bytes: &[u8]| -> Vec<f64> {
            let part = |i: usize, width: usize| &bytes[i * width..(i + 1) * width];
            let single = |i| f32::from_le_bytes(part(i, 4).try_into().unwrap_or_default());
            let double = |i| f64::from_le_bytes(part(i, 8).try_into().unwrap_or_default());
            let word = || u16::from_le_bytes(part(0, 2).try_into().unwrap_or_default());
            match self.kind {
                NumberKind::F16 => vec![f16::from_bits(word()).to_f64()],
                NumberKind::Bf16 => vec![bf16::from_bits(word()).to_f64()],
                NumberKind::F32 => vec![f64::from(single(0))],
                NumberKind::F64 => vec![double(0)],
                NumberKind::C32 => vec![f64::from(single(0)), f64::from(single(1))],
                NumberKind::C64 => vec![double(0), double(1)],
                NumberKind::I32 => {
                    vec![f64::from(i32::from_le_bytes(part(0, 4).try_into().unwrap_or_default()))]
                }
                NumberKind::I64 => {
                    vec![i64::from_le_bytes(part(0, 8).try_into().unwrap_or_default()) as f64]
                }
            }
        };
        bytes[..count * size].chunks_exact(size).flat_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_abi::{by_name, value::datatype::F64_C};

    #[test]
    fn the_scalars_of_a_hermitian_update_are_real() {
        let kind = |name: &str, scalar: &str| {
            let function = usize::from(by_name(name).expect("a function").index);
            let param = params(function).find(|param| param.name == scalar).expect("a scalar");
            scalar_kind(function, &param, &|_| F64_C as u64)
        };
        for scalar in ["alpha", "beta"] {
            assert_eq!(kind("rocblas_herk_ex", scalar), Some(NumberKind::F64));
            assert_eq!(kind("rocblas_zherk", scalar), Some(NumberKind::F64));
            assert_eq!(kind("rocblas_gemm_ex", scalar), Some(NumberKind::C64));
        }
    }
}
