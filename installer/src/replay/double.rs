//! The same call in double precision: the routine's variant for `f64` or complex `f64`, with the same sizes,
//! leading dimensions, increments and batches.

use super::{
    call::{Call, Given, Scalar},
    memory::Plan,
};
use rocblas_abi::{
    Base, C_EXPORTS, EnumId, Function, by_name,
    operands::{Batch, Element},
    params,
    value::{datatype, gemm_algo},
};
use rocblas_trace::{
    call::{NumberKind, scalar_kind},
    capture::{PointerMode, element},
};

/// The type letters in the names of functions, and their replacements.
const LETTERS: [(&str, &str); 18] = [
    ("s", "d"),
    ("h", "d"),
    ("bf", "d"),
    ("d", "d"),
    ("c", "z"),
    ("z", "z"),
    ("sc", "dz"),
    ("dz", "dz"),
    ("cs", "zd"),
    ("zd", "zd"),
    ("is", "id"),
    ("id", "id"),
    ("ic", "iz"),
    ("iz", "iz"),
    // Half or bfloat16 operands; the last letter is the type of the result.
    ("hsh", "d"),
    ("hss", "d"),
    ("tst", "d"),
    ("tss", "d"),
];

/// A call in double precision.
#[derive(Debug)]
pub(super) struct Double {
    /// The call.
    pub(super) call: Call,
    /// The routine without type, form and width, for example `gemm`.
    pub(super) routine: &'static str,
    /// For each operand, the position of the corresponding operand of the original.
    pub(super) from: Vec<usize>,
}

/// The double precision variant of any function, and the routine's name.
fn doubled(call: &Call) -> Option<(&'static Function, &'static str)> {
    let is_complex = call.operands.iter().any(|given| given.operand.element.is_complex());
    let name = call.name().strip_prefix("rocblas_")?;
    let (stem, width) = name.strip_suffix("_64").map_or((name, ""), |stem| (stem, "_64"));
    let (stem, ex) = stem.strip_suffix("_ex").map_or((stem, false), |stem| (stem, true));
    let (routine, form) = ["_strided_batched", "_batched"]
        .into_iter()
        .find_map(|form| Some((stem.strip_suffix(form)?, form)))
        .unwrap_or((stem, ""));
    let find = |letters: &str, routine: &str| {
        by_name(&format!("rocblas_{letters}{routine}{form}{width}"))
            .filter(|function| usize::from(function.index) < C_EXPORTS)
    };
    // These compute in double precision themselves.
    let itself = match (ex, routine) {
        (true, "gemm" | "trsm") => Some(routine),
        // Not a sum of matrices as geam is.
        (true, "geam") => Some("geam_ex"),
        _ => None,
    };
    if let Some(routine) = itself {
        return Some((by_name(call.name())?, routine));
    }
    if ex {
        // The original's arguments give the types.
        let (letters, routine) = match (routine, is_complex) {
            ("dot", true) => ("z", "dotu"),
            ("dotc", false) => ("d", "dot"),
            ("nrm2", true) => ("dz", routine),
            (_, true) => ("z", routine),
            (_, false) => ("d", routine),
        };
        return Some((find(letters, routine)?, stem_of(call, routine)?));
    }
    LETTERS.into_iter().find_map(|(letters, double)| {
        let routine = routine.strip_prefix(letters)?;
        Some((find(double, routine)?, routine))
    })
}

/// The part of the function's name that is the routine. It lives as long as the table.
fn stem_of(call: &Call, routine: &str) -> Option<&'static str> {
    let name = call.name();
    let start = name.find(routine.strip_suffix('u').unwrap_or(routine))?;
    let end = start + routine.strip_suffix('u').unwrap_or(routine).len();
    name.get(start..end)
}

impl Double {
    /// The call in double precision; `None` if the table has no such variant of the function.
    pub(super) fn of(original: &Call) -> Option<Self> {
        let (function, routine) = doubled(original)?;
        let index = usize::from(function.index);
        let is_complex = original.operands.iter().any(|given| given.operand.element.is_complex());
        // By position if the parameters are the same, otherwise by name.
        let is_same = params(index).len() == params(original.function).len();
        let sources: Vec<Option<usize>> = params(index)
            .enumerate()
            .map(
                |(position, param)| {
                    if is_same { Some(position) } else { named(original, param.name) }
                },
            )
            .collect();
        let addresses = addresses(original);
        let mut words = Vec::new();
        let mut scalars = Vec::new();
        for (position, (param, source)) in params(index).zip(&sources).enumerate() {
            let source = (*source)?;
            let word = original.words[source];
            let of_operand = original.operands.iter().position(|given| given.parameter() == source);
            words.push(match (param.ty.pointers, param.ty.base, of_operand) {
                (0, Base::Enum(EnumId::Datatype), _) => {
                    (if is_complex { datatype::F64_C } else { datatype::F64_R }) as u64
                }
                (0, Base::Enum(EnumId::GemmAlgo), _) => gemm_algo::STANDARD as u64,
                (0, _, _) if matches!(param.name, "solution_index" | "flags") => 0,
                (0, ..) => word,
                (_, _, Some(operand)) => addresses[operand],
                _ => word,
            });
            if let Some(scalar) = original.scalar(source) {
                let is_cosine = routine == "rot" && param.name == "c";
                let kind = match param.ty.base {
                    Base::Void if is_complex => NumberKind::C64,
                    Base::Void => NumberKind::F64,
                    _ => scalar_kind(index, &param, &|_| 0)?,
                };
                scalars.push(Scalar {
                    parameter: position,
                    kind,
                    bytes: bytes(kind, scalar, is_cosine)?,
                });
            }
        }
        let call = Call {
            function: index,
            words,
            operands: Vec::new(),
            scalars,
            pointer_mode: PointerMode::Host,
            atomics_mode: None,
            math_mode: None,
        };
        let call = call.described().ok()?;
        let mut from = Vec::new();
        for given in &call.operands {
            let source = sources[given.parameter()]?;
            let is_it = |other: &Given| other.parameter() == source && is_alike(given, other);
            from.push(original.operands.iter().position(is_it)?);
        }
        (from.len() == original.operands.len()).then_some(Self { call, routine, from })
    }

    /// Converts an operand's values before the call from the original's, or with `magnitudes` their absolute
    /// values.
    pub(super) fn convert(
        &self,
        position: usize,
        from: Element,
        bytes: &[u8],
        magnitudes: bool,
    ) -> Vec<u8> {
        let to = self.call.operands[position].operand.element;
        let mut converted = Vec::with_capacity(bytes.len() / from.size() * to.size());
        for bytes in bytes.chunks_exact(from.size()) {
            let [re, im] = element::value(from, bytes);
            let value = if magnitudes { [re.hypot(im), 0.0] } else { [re, im] };
            store(to, value, &mut converted);
        }
        converted
    }

    /// The same call with changed scalar values.
    pub(super) fn with_scalars(&self, change: impl Fn(&str, [f64; 2]) -> [f64; 2]) -> Call {
        let mut call = self.call.clone();
        for scalar in &mut call.scalars {
            let name = self.call.param(scalar.parameter).name;
            let value = change(name, scalar.value());
            scalar.bytes.clear();
            store(super::call::element_of(scalar.kind), value, &mut scalar.bytes);
        }
        call
    }
}

/// Whether the elements of two operands have the same layout in memory.
fn is_alike(one: &Given, other: &Given) -> bool {
    one.operand.layout == other.operand.layout
        && one.operand.batch == other.operand.batch
        && one.span == other.span
}

/// The position of a call's parameter with that name. Some functions spell a name in another way, as `stridex` and
/// `stride_x`.
fn named(call: &Call, name: &str) -> Option<usize> {
    let plain = |name: &str| match name.replace('_', "").to_lowercase() {
        name if name == "results" => "result".to_owned(),
        name => name,
    };
    params(call.function).position(|param| plain(param.name) == plain(name))
}

/// The bytes of a scalar in double precision; `None` for scalars that differ in the double precision variant. Of a
/// cosine with an imaginary part, only the real part counts.
fn bytes(kind: NumberKind, scalar: &Scalar, is_cosine: bool) -> Option<Vec<u8>> {
    let [re, im] = scalar.value();
    let value = [re, if is_cosine { 0.0 } else { im }];
    let mut bytes = Vec::new();
    match kind {
        NumberKind::F64 if value[1] != 0.0 => return None,
        NumberKind::F64 | NumberKind::C64 => {
            store(super::call::element_of(kind), value, &mut bytes);
        }
        _ => return None,
    }
    // This excludes the five numbers of a modified Givens rotation.
    (scalar.bytes.len() == scalar.kind.size()).then_some(bytes)
}

/// Appends a value. Integers occur only as results, whose values before the call do not matter.
fn store(element: Element, [re, im]: [f64; 2], bytes: &mut Vec<u8>) {
    match element {
        Element::F64 => bytes.extend_from_slice(&re.to_le_bytes()),
        Element::C64 => {
            bytes.extend_from_slice(&re.to_le_bytes());
            bytes.extend_from_slice(&im.to_le_bytes());
        }
        _ => bytes.resize(bytes.len() + element.size(), 0),
    }
}

/// Addresses for the operands. Operands that shared memory still do, with larger elements.
fn addresses(call: &Call) -> Vec<u64> {
    // This is larger than any buffer.
    const DISTANCE: u64 = 1 << 44;
    let plan = Plan::of(call);
    let sizes = |buffer: usize| {
        let of = call.operands.iter().zip(&plan.places);
        of.filter(move |(_, place)| place.buffer == buffer)
    };
    let mut apart = plan.buffers.len() as u64;
    let operands = call.operands.iter().zip(&plan.places);
    operands
        .map(|(given, place)| {
            let size = given.operand.element.size();
            let first = sizes(place.buffer).map(|(_, place)| place.offset).min().unwrap_or(0);
            let is_shared = sizes(place.buffer).all(|(other, other_place)| {
                other.operand.element.size() == size
                    && (other_place.offset - first).is_multiple_of(size)
            });
            let base = if is_shared {
                (place.buffer as u64 + 1) * DISTANCE
            } else {
                apart += 1;
                apart * DISTANCE
            };
            if matches!(given.operand.batch, Batch::Pointers { .. }) {
                return base;
            }
            let new = if given.operand.element.is_complex() { 16 } else { 8 };
            let elements = if is_shared { ((place.offset - first) / size) as i64 } else { 0 };
            base.wrapping_add_signed((elements - given.span.first) * new)
        })
        .collect()
}
