//! The element types of a call in one word: `f32`, `f16->f32`.

use crate::call::{Call, Value};
use rocblas_abi::{Base, EnumId, Param, enumeration};
use std::fmt::{self, Display};

/// The maximum number of types of inputs, or of outputs, of a function.
const MOST: usize = 4;

/// The types in a call's `rocblas_datatype` arguments.
///
/// Equal types are one word (`f32`). Otherwise inputs, computation and outputs are joined by arrows:
/// `f16->f32->f16`. Outputs of the computation's type are not repeated (`f16->f32`), and inputs or outputs of
/// different types are all listed, in the order of the arguments (`f16/bf16->f32`). Two calls of a function with
/// different types always have different words.
#[derive(Clone, Copy, Debug)]
pub struct Types {
    inputs: Group,
    compute: Option<i32>,
    outputs: Group,
    last: usize,
}

impl Types {
    /// The types of a call; `None` for a function whose name determines its types, or that has none.
    #[must_use]
    pub fn of(call: &Call<'_>) -> Option<Self> {
        let types = || call.values().enumerate().filter(|(_, (param, _))| is_type(param));
        let (last, _) = types().last()?;
        let has_result = types().any(|(_, (param, _))| param.name == "result_type");
        let mut of =
            Self { inputs: Group::default(), compute: None, outputs: Group::default(), last };
        for (_, (param, value)) in types() {
            let Value::Enum(_, value) = value else { continue };
            match param.name {
                "compute_type" | "execution_type" => of.compute = Some(value),
                "c_type" | "d_type" | "result_type" | "output_type" => of.outputs.push(value),
                // A dot product only reads y; other functions write to it.
                "y_type" if !has_result => of.outputs.push(value),
                _ => of.inputs.push(value),
            }
        }
        Some(of)
    }

    /// The position of the last argument that is a type.
    pub(crate) fn last(&self) -> usize {
        self.last
    }
}

/// Whether a parameter is the type of elements or of the computation.
pub(crate) fn is_type(param: &Param) -> bool {
    param.ty.pointers == 0 && matches!(param.ty.base, Base::Enum(EnumId::Datatype))
}

impl Display for Types {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = || self.inputs.all().iter().chain(&self.compute).chain(self.outputs.all());
        let mut types = all();
        let first = types.next();
        if let Some(first) = first
            && types.all(|of| of == first)
        {
            return Element(*first).fmt(f);
        }
        self.inputs.fmt(f)?;
        if let Some(compute) = self.compute {
            let arrow = if self.inputs.all().is_empty() { "" } else { "->" };
            write!(f, "{arrow}{}", Element(compute))?;
        }
        if self.outputs.all().iter().any(|of| Some(*of) != self.compute) {
            write!(f, "->{}", self.outputs)?;
        }
        Ok(())
    }
}

/// Types of some arguments.
#[derive(Clone, Copy, Debug, Default)]
struct Group {
    types: [i32; MOST],
    count: usize,
}

impl Group {
    fn push(&mut self, of: i32) {
        if let Some(place) = self.types.get_mut(self.count) {
            *place = of;
            self.count += 1;
        }
    }

    fn all(&self) -> &[i32] {
        &self.types[..self.count]
    }
}

impl Display for Group {
    /// Prints the type once if all are the same.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.all();
        let is_one = all.windows(2).all(|pair| pair[0] == pair[1]);
        let shown = if is_one { 1 } else { all.len() };
        for (i, of) in all.iter().take(shown).enumerate() {
            let slash = if i == 0 { "" } else { "/" };
            write!(f, "{slash}{}", Element(*of))?;
        }
        Ok(())
    }
}

/// A `rocblas_datatype` in short: `f32` for `rocblas_datatype_f32_r`, `c32` for the complex type of two such
/// numbers.
struct Element(i32);

impl Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(name) = enumeration(EnumId::Datatype).short_name_of(self.0) else {
            return write!(f, "{}", self.0);
        };
        match name.split_once('_') {
            Some((real, "r")) => f.write_str(real),
            Some((real, "c")) if real.starts_with('f') => write!(f, "c{}", &real[1..]),
            _ => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{call::Functions, layout::ARGUMENTS};
    use std::collections::BTreeSet;

    /// The word of a call with these types, in the order of the arguments.
    fn word(name: &str, types: &[&str]) -> Option<String> {
        let function = usize::from(rocblas_abi::by_name(name).expect("a function").index);
        let functions = Functions::default();
        let mut words = vec![0; usize::from(functions.shape(function).words)];
        let mut types = types.iter();
        for (i, param) in rocblas_abi::params(function).enumerate() {
            if is_type(&param) {
                let full = format!("rocblas_datatype_{}", types.next().expect("enough types"));
                let value = enumeration(EnumId::Datatype).value_of(&full).expect("a type");
                // The upper half of a register may hold anything.
                words[ARGUMENTS + i] = 0xdead_beef << 32 | u64::from(value.cast_unsigned());
            }
        }
        assert_eq!(types.next(), None, "too many types");
        Types::of(&functions.call(function, &words)).map(|types| types.to_string())
    }

    #[test]
    fn a_product_has_its_types_in_one_word() {
        let gemm = |types: [&str; 5]| word("rocblas_gemm_ex", &types).expect("types");
        let [h, b, s, z, i8, i32] = ["f16_r", "bf16_r", "f32_r", "f64_c", "i8_r", "i32_r"];
        for (types, expected) in [
            ([s, s, s, s, s], "f32"),
            ([z, z, z, z, z], "c64"),
            ([h, h, s, s, s], "f16->f32"),
            ([i8, i8, i32, i32, i32], "i8->i32"),
            ([h, h, h, h, s], "f16->f32->f16"),
            ([s, s, h, h, s], "f32->f32->f16"),
            ([s, s, h, h, h], "f32->f16"),
            ([h, b, s, s, s], "f16/bf16->f32"),
            ([h, h, h, s, s], "f16->f32->f16/f32"),
        ] {
            assert_eq!(gemm(types), expected, "{types:?}");
        }
    }

    #[test]
    fn other_functions_have_their_types_in_one_word_too() {
        let (h, s) = ("f16_r", "f32_r");
        for (name, types, expected) in [
            ("rocblas_trsm_ex", &["f32_c"][..], "c32"),
            ("rocblas_axpy_ex", &[s, h, h, s], "f32/f16->f32->f16"),
            ("rocblas_scal_ex", &[s, h, s], "f32/f16->f32"),
            ("rocblas_dot_ex", &[h, h, h, s], "f16->f32->f16"),
            ("rocblas_nrm2_ex", &[h, s, s], "f16->f32"),
            ("rocblas_gemm_ex_get_solutions_by_type", &[h, s, s], "f16->f32"),
        ] {
            assert_eq!(word(name, types).as_deref(), Some(expected), "{name} {types:?}");
        }
        assert_eq!(word("rocblas_sgemm", &[]), None);
    }

    #[test]
    fn different_types_have_different_words() {
        let names = ["f16_r", "bf16_r", "f32_r"];
        let mut words = BTreeSet::new();
        for n in 0..3_usize.pow(5) {
            let types: Vec<&str> = (0..5).map(|i| names[n / 3_usize.pow(i) % 3]).collect();
            words.insert(word("rocblas_gemm_ex", &types).expect("types"));
        }
        assert_eq!(words.len(), 3_usize.pow(5), "no word stands for two");
    }

    #[test]
    fn no_function_has_more_types_than_there_is_room_for() {
        let of = |function: usize| rocblas_abi::params(function).filter(is_type).count();
        let most = (0..rocblas_abi::C_EXPORTS).map(of).max().expect("functions");
        assert_eq!(most, 5, "a computation's type, and at most {MOST} inputs or outputs");
    }
}
