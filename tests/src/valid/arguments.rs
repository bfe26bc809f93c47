//! Random valid arguments of a function, by its signature.

use super::memory::{Memory, store};
use super::random::Random;
use super::types::combinations;
use rocblas_abi::operands::{Batch, Layout, Operand, Operands, operands};
use rocblas_abi::value::operation::{CONJUGATE_TRANSPOSE as CONJUGATE, NONE, TRANSPOSE};
use rocblas_abi::{Base, Direction, EnumId, Function, Param, enumeration};
use rocblas_trace::call::scalar_kind;
use std::fmt;

/// The arguments of a call except its handle and the addresses of its operands.
#[derive(Debug)]
pub struct Arguments {
    function: &'static Function,
    values: Vec<i64>,
    /// The scalars, which must live as long as their addresses are in `values`.
    scalars: Vec<Option<(Box<[u128; 1]>, bool)>>,
}

impl Arguments {
    /// Arguments that the function accepts, except that an increment may be zero where it refuses that.
    #[must_use]
    pub fn random(function: &'static Function, random: &mut Random) -> Self {
        let mut types = random.one_of(combinations(function)).iter();
        let mut arguments = Self { function, values: Vec::new(), scalars: Vec::new() };
        for param in function.params {
            let value = arguments.value(param, &mut types, random);
            arguments.values.push(value);
        }
        for param in function.params {
            let scalar = arguments.scalar(param, random);
            arguments.scalars.push(scalar);
        }
        arguments.set_leading_dimensions(random);
        arguments.set_strides(random);
        arguments
    }

    /// The value of an argument; `types` are those that are left.
    fn value(
        &self,
        param: &Param,
        types: &mut core::slice::Iter<'_, i32>,
        random: &mut Random,
    ) -> i64 {
        let name = plain(param.name);
        match (param.ty.pointers, param.ty.base) {
            (1.., _) => 0,
            (_, Base::Enum(id)) => match &*name {
                _ if id == EnumId::Datatype => {
                    types.next().copied().expect("a type for each such parameter").into()
                }
                // It has no conjugated form.
                "transa" | "transb" if self.function.name.contains("geam_ex") => {
                    random.one_of(&[NONE, TRANSPOSE]).into()
                }
                "transa" | "trans" if self.function.name.contains("her") => {
                    random.one_of(&[NONE, CONJUGATE]).into()
                }
                "transa" | "trans" if self.function.name.contains("syr") => {
                    random.one_of(&[NONE, TRANSPOSE]).into()
                }
                "uplo" | "side" => random.one_of(&enumeration(id).values[..2]).value.into(),
                _ => random.one_of(enumeration(id).values).value.into(),
            },
            (_, Base::Int | Base::I64) if name.starts_with("inc") => {
                let is_copy = self.function.params.iter().any(|param| param.name == "elem_size");
                let choice: &[i64] = if is_copy { &[1, 2, 3] } else { &[1, 1, 2, 3, -1, -2, 0] };
                random.one_of(choice)
            }
            (_, Base::Int | Base::I64) if name == "batchcount" => random.one_of(&[1, 2, 3, 3, 0]),
            (_, Base::Int | Base::I64) if name.starts_with("ld") => 100,
            (_, Base::Int | Base::I64) if name == "elemsize" => 1 + random.below(5) as i64,
            (_, Base::Int | Base::I64) if random.chance(12) => 0,
            (_, Base::Int | Base::I64) => 1 + random.below(6) as i64,
            _ => 0,
        }
    }

    /// Memory for an input scalar, and whether it is zero.
    fn scalar(&self, param: &Param, random: &mut Random) -> Option<(Box<[u128; 1]>, bool)> {
        if param.scalar != Some(Direction::In) {
            return None;
        }
        let function = usize::from(self.function.index);
        let element = scalar_kind(function, param, &|position| self.word(position))?.element();
        let is_zero = random.chance(5);
        let number = match () {
            () if is_zero => [0.0; 2],
            () if random.chance(6) => [1.0, 0.0],
            () => [random.number(), random.number()],
        };
        let mut bytes = [0; 16];
        store(element, &mut bytes[..element.size()], number);
        Some((Box::new([u128::from_le_bytes(bytes)]), is_zero))
    }

    /// Sets each leading dimension to the minimum for its matrix, or more.
    fn set_leading_dimensions(&mut self, random: &mut Random) {
        let elem_size = self.find("elemsize").map_or(1, |position| self.values[position]);
        for operand in self.operands().iter() {
            let least = match operand.layout {
                Layout::Matrix { rows, .. } => rows / elem_size,
                Layout::Band { below, above, .. } => below + above + 1,
                Layout::Vector { .. } | Layout::Packed { .. } => continue,
            };
            let ld = format!("ld{}", plain(self.name(operand.parameter)));
            if let Some(position) = self.find(&ld) {
                self.values[position] = least.max(1) + random.below(3) as i64;
            }
        }
    }

    /// Sets strides so that problems follow one another, in either direction. Inputs may all be the same
    /// problem.
    fn set_strides(&mut self, random: &mut Random) {
        for operand in self.operands().iter() {
            let name = plain(self.name(operand.parameter));
            let stride = self.find(&format!("stride{name}"));
            let stride =
                stride.or_else(|| self.find(&format!("stride{}", name.trim_end_matches('p'))));
            let (Batch::Strided { .. }, Some(position)) = (operand.batch, stride) else { continue };
            let extent = operand.layout.span().map_or(0, |span| span.first + span.len);
            let distance = extent + random.below(4) as i64;
            self.values[position] = match () {
                () if operand.direction == Direction::In && random.chance(4) => 0,
                () if random.chance(4) => -distance,
                () => distance,
            };
        }
    }

    fn find(&self, name: &str) -> Option<usize> {
        self.function.params.iter().position(|param| plain(param.name) == name)
    }

    /// The name of a parameter.
    #[must_use]
    pub fn name(&self, parameter: u8) -> &'static str {
        self.function.params[usize::from(parameter)].name
    }

    /// The word of an argument. A 32-bit argument has garbage in its upper half.
    fn word(&self, position: usize) -> u64 {
        let value = self.values[position] as u64;
        match self.function.params[position].ty.base {
            Base::Int | Base::I32 | Base::U32 | Base::Enum(_) => {
                value & 0xffff_ffff | 0xbad_c0de << 32
            }
            _ => value,
        }
    }

    /// The operands.
    ///
    /// # Panics
    /// If the function is not described.
    #[must_use]
    pub fn operands(&self) -> Operands {
        let index = usize::from(self.function.index);
        operands(index, &|position| self.word(position)).expect("a function that is described")
    }

    /// Whether the scalar at this position is zero.
    #[must_use]
    pub fn is_zero(&self, position: usize) -> bool {
        self.scalars[position].as_ref().is_some_and(|(_, is_zero)| *is_zero)
    }

    /// Whether an increment is zero, which only level 1 routines allow.
    #[must_use]
    pub fn has_zero_increment(&self) -> bool {
        let mut params = self.function.params.iter().zip(&self.values);
        params.any(|(param, value)| param.name.starts_with("inc") && *value == 0)
    }

    /// Whether some elements are read without affecting the result: a single element is always the largest, a
    /// band may not reach the last elements of x, and a rotation may fail.
    #[must_use]
    pub fn has_idle_elements(&self, operand: &Operand) -> bool {
        let name = self.function.name;
        if name.contains("gbmv") && self.name(operand.parameter) == "x" {
            let [m, n, kl, ku] = ["m", "n", "kl", "ku"]
                .map(|name| self.find(name).map_or(0, |position| self.values[position]));
            return n > m + ku || m > n + kl;
        }
        let is_search = name.contains("amax") || name.contains("amin");
        name.contains("rotmg")
            || self.is_aid(operand)
            || is_search && operand.layout.elements() == 1.0
    }

    /// Whether the operand does not determine the result: the inverses of A's blocks, which the caller may give
    /// `trsm_ex`, save a solver the time to compute them.
    #[must_use]
    pub fn is_aid(&self, operand: &Operand) -> bool {
        self.function.name.contains("trsm") && self.name(operand.parameter) == "invA"
    }

    /// The argument words of a call with this handle on this memory, and the arrays of pointers to which they
    /// point.
    #[must_use]
    pub fn words(
        &self,
        handle: u64,
        found: &[Operand],
        memory: &mut Memory,
    ) -> (Vec<u64>, Vec<Vec<u64>>) {
        let mut words: Vec<u64> = (0..self.values.len()).map(|i| self.word(i)).collect();
        let mut tables = Vec::new();
        for (word, (param, scalar)) in
            words.iter_mut().zip(self.function.params.iter().zip(&self.scalars))
        {
            if let Some((scalar, _)) = scalar {
                *word = scalar.as_ptr().expose_provenance() as u64;
            } else if param.ty.base == Base::Handle {
                *word = handle;
            }
        }
        for (number, operand) in found.iter().enumerate() {
            let addresses = memory.addresses(number);
            words[usize::from(operand.parameter)] = match operand.batch {
                Batch::Pointers { .. } => {
                    let address = addresses.as_ptr().expose_provenance() as u64;
                    tables.push(addresses);
                    address
                }
                Batch::One | Batch::Strided { .. } => addresses[0],
            };
        }
        (words, tables)
    }
}

impl fmt::Display for Arguments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (param, value) in self.function.params.iter().zip(&self.values) {
            if param.ty.pointers == 0 && param.ty.base != Base::Handle {
                write!(f, "{}={value} ", param.name)?;
            }
        }
        let scalars = self.function.params.iter().zip(&self.scalars);
        let zero = scalars.filter(|(_, scalar)| scalar.as_ref().is_some_and(|(_, zero)| *zero));
        write!(f, "zero: {:?}", zero.map(|(param, _)| param.name).collect::<Vec<_>>())
    }
}

fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}
