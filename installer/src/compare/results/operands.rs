//! Compares the digests of two calls that are alike: whether their inputs are the same, and whether their
//! outputs are the same.

use super::{
    digests::{Digests, OfCall},
    tolerance::{Agreement, Deviation, Output, agreement, numbers_agree},
};
use crate::compare::align::{Data, Taken};
use rocblas_abi::{
    Direction,
    operands::{Element, operands, work},
    params,
};
use rocblas_trace::{
    call::{Call, Functions, NumberKind, Numbers, Value, scalar_kind},
    read::Digest,
};
use serde::Serialize;
use std::hash::{DefaultHasher, Hash};

/// How the outputs of two calls compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Outputs {
    /// Neither call has a digest.
    Unknown,
    /// Only one of the calls has a digest of each output.
    OneSided,
    /// All outputs have the same bits.
    Same,
    /// The numbers are the same except for rounding.
    Rounded,
    /// The numbers differ, in the output with this parameter.
    Different(u8, Deviation),
}

impl Outputs {
    /// Whether rounding explains all differences.
    pub(super) fn agree(self) -> bool {
        matches!(self, Self::Same | Self::Rounded)
    }
}

/// How the inputs of two calls compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Inputs {
    /// The bits are the same.
    Same,
    /// The numbers are the same except for rounding.
    Rounded,
    /// The numbers differ.
    Different,
    /// Digests of some inputs are missing.
    Unknown,
}

impl Inputs {
    /// Whether rounding explains all differences.
    pub(super) fn agree(self) -> bool {
        matches!(self, Self::Same | Self::Rounded)
    }
}

/// The digests of two processes.
pub(super) struct Sides<'a> {
    pub(super) functions: &'a Functions,
    pub(super) digests: [&'a Digests; 2],
}

impl Sides<'_> {
    /// Returns a call of a side.
    pub(super) fn call<'t>(&'t self, taken: &'t Taken) -> Call<'t> {
        taken.call(self.functions)
    }

    /// The digests of a call of a side.
    pub(super) fn of(&self, side: usize, taken: &Taken) -> OfCall<'_> {
        self.digests[side].of(taken.id)
    }

    fn of_both(&self, [x, y]: [&Taken; 2]) -> [OfCall<'_>; 2] {
        [self.of(0, x), self.of(1, y)]
    }

    /// Compares the outputs of two calls.
    pub(super) fn outputs(&self, pair: [&Taken; 2]) -> Outputs {
        let [a, b] = self.of_both(pair).map(|of| of.outputs);
        if a.is_empty() && b.is_empty() {
            return Outputs::Unknown;
        }
        if !have_the_same_parameters(a, b) {
            return Outputs::OneSided;
        }
        let call = self.call(pair[0]);
        let mut all = Outputs::Same;
        for (x, y) in a.iter().zip(b).filter(|(x, y)| x.hash != y.hash) {
            match agreement(&output(&call, x.parameter), x, y) {
                Agreement::Same => {}
                Agreement::Rounded => all = Outputs::Rounded,
                Agreement::Different(deviation) => {
                    return Outputs::Different(x.parameter, deviation);
                }
            }
        }
        all
    }

    /// Compares the inputs of two calls.
    pub(super) fn inputs(&self, pair: [&Taken; 2]) -> Inputs {
        let [a, b] = self.of_both(pair).map(|of| of.inputs);
        let calls = pair.map(|taken| self.call(taken));
        let mut all = scalars(&calls);
        if all == Inputs::Different {
            return all;
        }
        if a.is_empty() || b.is_empty() {
            let has_none = !reads(&calls[0]) && !reads(&calls[1]);
            return if has_none { all } else { Inputs::Unknown };
        }
        if !have_the_same_parameters(a, b) {
            return Inputs::Unknown;
        }
        for (x, y) in a.iter().zip(b).filter(|(x, y)| x.hash != y.hash) {
            match agreement(&input(&calls[0], x.parameter), x, y) {
                Agreement::Same => {}
                Agreement::Rounded => all = Inputs::Rounded,
                Agreement::Different(_) => return Inputs::Different,
            }
        }
        all
    }
}

/// Distinguishes threads that make the same calls by the calls' inputs, or otherwise by their outputs.
impl Data for Sides<'_> {
    fn hash(&self, side: usize, taken: &Taken, hasher: &mut DefaultHasher) {
        let of = self.of(side, taken);
        for digest in of.inputs.iter().chain(of.outputs) {
            (digest.is_before, digest.parameter, digest.hash).hash(hasher);
        }
        for number in numbers(&self.call(taken)) {
            number.parts().iter().for_each(|part| part.to_bits().hash(hasher));
        }
    }

    fn agree(&self, pair: [&Taken; 2]) -> bool {
        match self.inputs(pair) {
            Inputs::Same | Inputs::Rounded => true,
            Inputs::Different => false,
            Inputs::Unknown => self.outputs(pair).agree(),
        }
    }
}

fn have_the_same_parameters(a: &[Digest], b: &[Digest]) -> bool {
    let parameters = |of: &[Digest]| of.iter().map(|digest| digest.parameter).collect::<Vec<_>>();
    parameters(a) == parameters(b)
}

/// The input scalars of a call that are recorded: those in host memory.
fn numbers<'a>(call: &Call<'a>) -> impl Iterator<Item = Numbers> + use<'a> {
    call.values().filter_map(|(param, value)| match value {
        Value::Number(numbers) if param.scalar == Some(Direction::In) => Some(numbers),
        _ => None,
    })
}

fn scalars([a, b]: &[Call<'_>; 2]) -> Inputs {
    let mut all = Inputs::Same;
    for (x, y) in numbers(a).zip(numbers(b)).filter(|(x, y)| x != y) {
        if !numbers_agree(x.kind().element(), &x.parts(), &y.parts()) {
            return Inputs::Different;
        }
        all = Inputs::Rounded;
    }
    all
}

/// Whether a call has an operand with elements that it may read.
fn reads(call: &Call<'_>) -> bool {
    let operands = operands(call.function(), &|position| call.argument(position));
    operands.is_some_and(|operands| {
        operands.iter().any(|operand| operand.is_read(|_| false) && operand.elements() > 0.0)
    })
}

/// What is known about an input of a call: an operand, or a scalar in device memory.
fn input(call: &Call<'_>, parameter: u8) -> Output {
    let (function, argument) = (call.function(), |position: usize| call.argument(position));
    let operand = operands(function, &argument)
        .and_then(|all| all.iter().find(|operand| operand.parameter == parameter).copied());
    let Some(operand) = operand else {
        let param = params(function).nth(usize::from(parameter));
        let kind = param.and_then(|param| scalar_kind(function, &param, &argument));
        return Output::of_earlier(kind.map_or(Element::Bf16, NumberKind::element), 1.0);
    };
    Output::of_earlier(operand.element, operand.elements())
}

/// The name of a parameter of a call.
pub(super) fn name(call: &Call<'_>, parameter: u8) -> &'static str {
    params(call.function()).nth(usize::from(parameter)).map_or("", |param| param.name)
}

/// What is known about an output of a call.
fn output(call: &Call<'_>, parameter: u8) -> Output {
    let function = call.function();
    let argument = |position: usize| call.argument(position);
    let operands = operands(function, &argument);
    let operand = operands.and_then(|operands| {
        operands.iter().find(|operand| operand.parameter == parameter).copied()
    });
    let Some(operand) = operand else {
        // Nothing is known, so assume the coarsest type.
        return Output {
            element: Element::Bf16,
            computed: Element::F16,
            elements: 1.0,
            terms: 1.0,
        };
    };
    let elements = operand.elements();
    let operations = work(function, &argument, &|_| false).map_or(0.0, |work| work.operations);
    let of_a_term = if operand.element.is_complex() { 8.0 } else { 2.0 };
    let named = params(function).position(|param| param.name == "compute_type");
    let named = named.and_then(|at| Element::of_datatype(argument(at) as i32));
    let computed = match operand.element {
        // No function adds in bfloat16.
        Element::Bf16 => Element::F32,
        element => element,
    };
    Output {
        element: operand.element,
        computed: named.unwrap_or(computed),
        elements,
        terms: operations / (of_a_term * elements.max(1.0)),
    }
}
