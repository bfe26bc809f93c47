//! Formats a call as a line of text:
//! `rocblas_strsm_batched(right, upper, none, non_unit, m=417, n=79, alpha=1, lda=79, ldb=417, batch=4)
//! = success  12.3 us`.

use crate::{
    call::{Answer, Call, NumberKind, Numbers, Value},
    layout::Capture,
    types::{Types, is_type},
};
use rocblas_abi::{Base, EnumId, Param, enumeration};
use rocblas_contract::hip_errors::error_name;
use std::fmt::{self, Display, Write};

/// The level of detail. The element types of a call are one word ([`Types`]), except at full detail.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Detail {
    /// The shape of the problem: enums, dimensions, batches and types, but no increments, strides or scalars.
    Shape,
    /// Everything that determines which kernel runs and how long it takes, but no matrix addresses and no
    /// handle.
    #[default]
    Short,
    /// Every argument.
    Full,
}

/// The function with its arguments.
#[derive(Clone, Copy, Debug)]
pub struct Signature<'a>(pub Call<'a>, pub Detail);

impl Display for Signature<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(call, detail) = self;
        write!(f, "{}(", call.name())?;
        let types = Types::of(call).filter(|_| *detail != Detail::Full);
        let mut first = true;
        for (position, (param, value)) in call.values().enumerate() {
            let is_wanted = match detail {
                Detail::Shape => is_shape(&param),
                Detail::Short => is_telling(&value),
                Detail::Full => true,
            };
            // The word for all types is at the position of the last type.
            let word = types.filter(|_| is_type(&param));
            if !is_wanted || word.is_some_and(|types| types.last() != position) {
                continue;
            }
            if !first {
                f.write_str(", ")?;
            }
            first = false;
            match word {
                Some(types) => write!(f, "{types}")?,
                None => argument(f, &param, &value)?,
            }
        }
        f.write_char(')')
    }
}

/// Whether a parameter is part of the problem's shape: an enum or a number that is neither a leading
/// dimension, an increment, a stride nor a choice among solutions.
#[must_use]
pub fn is_shape(param: &Param) -> bool {
    let is_number = matches!(param.ty.base, Base::Int | Base::I32 | Base::I64 | Base::Size);
    let is_enum = matches!(param.ty.base, Base::Enum(_));
    let is_layout = ["ld", "inc", "stride", "solution_index", "elem_size", "len", "list_size"]
        .iter()
        .any(|prefix| param.name.starts_with(prefix));
    let is_choice = matches!(param.ty.base, Base::Enum(EnumId::GemmAlgo));
    param.ty.pointers == 0 && (is_number || is_enum) && !is_layout && !is_choice
}

/// Whether a short line includes a value: handles and addresses are omitted, because they do not help a
/// reader.
fn is_telling(value: &Value) -> bool {
    !matches!(value, Value::Handle(_) | Value::Pointer(_))
}

fn argument(f: &mut fmt::Formatter<'_>, param: &Param, value: &Value) -> fmt::Result {
    // The names of these parameters are clear from their values.
    if let Value::Enum(
        id @ (EnumId::Operation | EnumId::Fill | EnumId::Diagonal | EnumId::Side),
        value,
    ) = value
    {
        return enum_name(f, *id, *value);
    }
    let name = if param.name == "batch_count" { "batch" } else { param.name };
    write!(f, "{name}=")?;
    match value {
        Value::Handle(address) | Value::Pointer(address) => write!(f, "{address:#x}"),
        Value::Device(address) => write!(f, "<device {address:#x}>"),
        Value::Integer(value) => write!(f, "{value}"),
        Value::Size(value) => write!(f, "{value}"),
        Value::Enum(id, value) => enum_name(f, *id, *value),
        Value::Number(numbers) => write!(f, "{numbers}"),
    }
}

fn enum_name(f: &mut fmt::Formatter<'_>, id: EnumId, value: i32) -> fmt::Result {
    match enumeration(id).short_name_of(value) {
        Some(name) => f.write_str(name),
        None => write!(f, "{value}"),
    }
}

impl Display for Numbers {
    /// `1`, `1+2i`, `[-2, 1, 0, 0, 1]`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = self.parts();
        match (self.kind(), parts.as_slice()) {
            (NumberKind::C32 | NumberKind::C64, [re, im]) => {
                write!(f, "{}{}{}i", short(*re, self.kind()), sign(*im), short(*im, self.kind()))
            }
            (_, [one]) => write!(f, "{}", short(*one, self.kind())),
            (_, several) => {
                f.write_char('[')?;
                for (i, part) in several.iter().enumerate() {
                    let comma = if i == 0 { "" } else { ", " };
                    write!(f, "{comma}{}", short(*part, self.kind()))?;
                }
                f.write_char(']')
            }
        }
    }
}

fn sign(imaginary: f64) -> &'static str {
    if imaginary.is_sign_negative() { "" } else { "+" }
}

/// The fewest digits that distinguish the number from others of its type.
fn short(number: f64, kind: NumberKind) -> String {
    match kind {
        NumberKind::F32 | NumberKind::C32 => (number as f32).to_string(),
        NumberKind::F16 => half::f16::from_f64(number).to_string(),
        NumberKind::Bf16 => half::bf16::from_f64(number).to_string(),
        _ => number.to_string(),
    }
}

/// How a call ended: `success`, `false`, or nothing for a function that returns nothing.
#[derive(Clone, Copy, Debug)]
pub struct Outcome<'a>(pub Call<'a>);

impl Display for Outcome<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.result() {
            _ if self.0.was_left() => f.write_str("left by an exception"),
            None if self.0.end().is_none() => f.write_str("in flight"),
            None => f.write_str("done"),
            Some(Answer::Status(value)) => enum_name(f, EnumId::Status, value),
            Some(Answer::PointerMode(value)) => enum_name(f, EnumId::PointerMode, value),
            Some(Answer::Bool(value)) => write!(f, "{value}"),
            Some(Answer::Size(value)) => write!(f, "{value}"),
            Some(Answer::Pointer(value)) => write!(f, "{value:#x}"),
        }
    }
}

/// HIP's last error after a call: ` with hipErrorInvalidDeviceFunction (98)`, and ` pending` if it was already the last
/// error before. Nothing if there is none.
#[derive(Clone, Copy, Debug)]
pub struct HipError<'a>(pub Call<'a>);

impl Display for HipError<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.0.raised_hip_error() {
            write!(f, " with {} ({error})", error_name(error))
        } else if let Some(error) = self.0.pending_hip_error() {
            write!(f, " with {} ({error}) pending", error_name(error))
        } else {
            Ok(())
        }
    }
}

/// A time in three digits and a unit: `850 ns`, `12.3 us`, `1.04 ms`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Time(pub f64);

impl Time {
    /// From nanoseconds.
    #[must_use]
    pub fn of_nanoseconds(nanoseconds: f64) -> Self {
        Self(nanoseconds)
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [(1e0, "ns"), (1e3, "us"), (1e6, "ms"), (1e9, "s")];
        // 999.9 ns is 1.00 us: the unit is chosen after rounding.
        let fits = |(scale, _): &(f64, &str)| self.0 / scale < 999.5;
        let (scale, unit) = units.into_iter().find(fits).unwrap_or(units[3]);
        let number = self.0 / scale;
        let decimals = match number {
            _ if scale == 1.0 => 0,
            n if n >= 99.95 => 0,
            n if n >= 9.995 => 1,
            _ => 2,
        };
        f.pad(&format!("{number:.decimals$} {unit}"))
    }
}

/// A whole line: arguments, outcome and time.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The call.
    pub call: Call<'a>,
    /// The level of detail.
    pub detail: Detail,
    /// Whether the shim handled it instead of the handle's backend.
    pub by_shim: bool,
    /// Ticks per nanosecond.
    pub ticks_per_nanosecond: f64,
}

impl Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { call, detail, by_shim, ticks_per_nanosecond } = *self;
        write!(f, "{} = {}", Signature(call, detail), Outcome(call))?;
        if by_shim {
            f.write_str(" by the shim")?;
        }
        if call.capture() == Capture::Yes {
            f.write_str(" into a graph")?;
        }
        write!(f, "{}", HipError(call))?;
        match call.ticks() {
            Some(ticks) => write!(f, "  {}", Time(ticks as f64 / ticks_per_nanosecond)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        call::Functions,
        layout::{ARGUMENTS, BEGIN, Capture, END, Mode, NOTE, Note, RESULT},
    };

    /// A record of a function with these arguments, scalars in host memory.
    fn record(name: &str, arguments: &[u64], scalars: &[&[u8]]) -> (usize, Vec<u64>) {
        let function = usize::from(rocblas_abi::by_name(name).expect("a function").index);
        let shape = crate::layout::Shape::of(function);
        let mut words = vec![0; usize::from(shape.words)];
        words[ARGUMENTS..ARGUMENTS + arguments.len()].copy_from_slice(arguments);
        for (i, (scalar, bytes)) in shape.scalars().iter().zip(scalars).enumerate() {
            let mut padded = bytes.to_vec();
            padded.resize(usize::from(scalar.size).next_multiple_of(8), 0);
            for (j, word) in padded.chunks_exact(8).enumerate() {
                words[usize::from(scalar.word) + j] =
                    u64::from_le_bytes(word.try_into().expect("eight"));
            }
            words[NOTE] |= 1 << (Note::ENTRY + i as u32) | 1 << (Note::EXIT + i as u32);
        }
        words[NOTE] |= (Mode::Host as u64) << Note::MODE;
        words[BEGIN] = 1000;
        words[END] = 13_300;
        (function, words)
    }

    fn line(function: usize, words: &[u64], detail: Detail) -> String {
        let functions = Functions::default();
        let call = functions.call(function, words);
        Line { call, detail, by_shim: call.by_shim(), ticks_per_nanosecond: 1.0 }.to_string()
    }

    const STRSM: [u64; 13] =
        [0xa0, 142, 121, 111, 131, 417, 79, 0x7ffc_0000, 0xd000, 79, 0xd100, 417, 4];

    #[test]
    fn a_call_is_a_line() {
        let (function, mut words) =
            record("rocblas_strsm_batched", &STRSM, &[&1_f32.to_le_bytes()]);
        assert_eq!(
            line(function, &words, Detail::Short),
            "rocblas_strsm_batched(right, upper, none, non_unit, m=417, n=79, alpha=1, lda=79, \
             ldb=417, batch=4) = success  12.3 us"
        );
        assert!(line(function, &words, Detail::Shape).starts_with(
            "rocblas_strsm_batched(right, upper, none, non_unit, m=417, n=79, batch=4) = "
        ));
        let full = line(function, &words, Detail::Full);
        assert!(full.starts_with("rocblas_strsm_batched(handle=0xa0, right, upper,"), "{full}");
        assert!(full.contains("A=0xd000, lda=79, B=0xd100"), "{full}");
        words[RESULT] = 6;
        assert!(line(function, &words, Detail::Short).contains("= internal_error  12.3 us"));
        words[NOTE] |= (Capture::Yes as u64) << Note::CAPTURE;
        let captured = line(function, &words, Detail::Short);
        assert!(captured.contains("= internal_error into a graph  12.3 us"), "{captured}");
        words[NOTE] ^= ((Capture::Yes as u64) ^ (Capture::No as u64)) << Note::CAPTURE;
        words[RESULT] = 0;
        let succeeded = words.clone();
        let with_errors = |before: u64, after: u64| {
            let mut words = succeeded.clone();
            words[NOTE] |= Note::ERRORS | before << Note::ERROR_BEFORE | after << Note::ERROR_AFTER;
            line(function, &words, Detail::Short)
        };
        let raised = " with hipErrorInvalidDeviceFunction (98)  12.3 us";
        assert!(with_errors(0, 98).contains(raised), "{}", with_errors(0, 98));
        assert!(with_errors(1, 98).contains(raised), "{}", with_errors(1, 98));
        assert!(with_errors(98, 98).contains("Function (98) pending  12.3 us"));
        for (before, after) in [(0, 0), (98, 0)] {
            assert!(!with_errors(before, after).contains("hipError"));
        }
        words[END] = 0;
        assert!(!with_errors(0, 0).contains("hipError"));
        assert!(line(function, &words, Detail::Short).ends_with("batch=4) = in flight"));
        words[NOTE] |= Note::LEFT;
        assert!(line(function, &words, Detail::Short).ends_with("= left by an exception"));
    }

    #[test]
    fn scalars_are_shown_where_they_are() {
        let (function, mut words) =
            record("rocblas_strsm_batched", &STRSM, &[&(-0.5_f32).to_le_bytes()]);
        assert!(line(function, &words, Detail::Short).contains("alpha=-0.5,"));
        words[NOTE] = (Mode::Device as u64) << Note::MODE;
        assert!(line(function, &words, Detail::Short).contains("alpha=<device 0x7ffc0000>,"));
        words[NOTE] = 0;
        assert!(!line(function, &words, Detail::Short).contains("alpha"), "nothing is known");
        assert!(line(function, &words, Detail::Full).contains("alpha=0x7ffc0000,"));
    }

    #[test]
    fn scalars_behind_void_have_the_type_that_another_argument_says() {
        let gemm_ex = |compute: u64, alpha: &[u8]| {
            let mut arguments = [0; 23];
            arguments[0] = 1;
            arguments[6] = 0x10;
            let place = rocblas_abi::by_name("rocblas_gemm_ex").expect("there").params;
            let place = place.iter().position(|p| p.name == "compute_type").expect("there");
            arguments[place] = compute;
            let (function, words) = record("rocblas_gemm_ex", &arguments, &[alpha]);
            line(function, &words, Detail::Short)
        };
        assert!(gemm_ex(150, &0x3c00_u16.to_le_bytes()).contains("alpha=1,"));
        assert!(gemm_ex(151, &0.1_f32.to_le_bytes()).contains("alpha=0.1,"));
        assert!(gemm_ex(152, &0.1_f64.to_le_bytes()).contains("alpha=0.1,"));
        assert!(gemm_ex(162, &7_i32.to_le_bytes()).contains("alpha=7,"));
        let complex = [1.5_f32.to_le_bytes(), (-2_f32).to_le_bytes()].concat();
        assert!(gemm_ex(154, &complex).contains("alpha=1.5-2i,"));
        assert!(gemm_ex(151, &[0; 4]).contains(", 0->f32->0, algo="), "types that do not exist");
    }

    #[test]
    fn a_rotation_has_five_numbers_and_a_dot_product_its_result() {
        let param: Vec<u8> =
            [-2_f64, 1.0, 0.0, 0.0, 1.0].iter().flat_map(|x| x.to_le_bytes()).collect();
        let (function, words) = record("rocblas_drotm", &[1, 8, 2, 1, 3, 1, 4], &[&param]);
        let text = line(function, &words, Detail::Short);
        assert!(text.contains("n=8, incx=1, incy=1, param=[-2, 1, 0, 0, 1])"), "{text}");
        let (function, words) =
            record("rocblas_sdot", &[1, 3, 2, 1, 3, 1, 4], &[&32_f32.to_le_bytes()]);
        assert!(line(function, &words, Detail::Short).contains("result=32) = success"));
        let (function, words) = record("rocblas_idamax", &[1, 3, 2, 1, 4], &[&2_i32.to_le_bytes()]);
        assert!(line(function, &words, Detail::Short).contains("result=2) = success"));
    }

    #[test]
    fn numbers_that_no_enum_has_are_shown_as_numbers() {
        let mut arguments = STRSM;
        arguments[1] = 99;
        let (function, words) = record("rocblas_strsm_batched", &arguments, &[]);
        assert!(line(function, &words, Detail::Short).contains("(99, upper, "));
        // The upper half of a register is undefined.
        arguments[5] = 0xdead_beef_ffff_ffff;
        let (function, words) = record("rocblas_strsm_batched", &arguments, &[]);
        assert!(line(function, &words, Detail::Short).contains("m=-1, "));
    }

    #[test]
    fn times_have_three_digits() {
        for (nanoseconds, text) in [
            (0.0, "0 ns"),
            (17.4, "17 ns"),
            (999.4, "999 ns"),
            (999.6, "1.00 us"),
            (12_345.0, "12.3 us"),
            (123_456.0, "123 us"),
            (1_040_000.0, "1.04 ms"),
            (2.5e9, "2.50 s"),
            (1.5e12, "1500 s"),
        ] {
            assert_eq!(Time(nanoseconds).to_string(), text);
        }
    }
}
