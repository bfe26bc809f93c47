//! The call of a capture, checked against the table of functions. The file may be untrusted, so only a
//! function of the table is ever called, and each of its pointers points to memory of our own that is as long
//! as the function's description requires.

use anyhow::{Context, Result, bail, ensure};
use rocblas_abi::{
    Base, C_EXPORTS, Direction, Kind, Param, Returns, by_name,
    operands::{self, Layout, Operand, Span},
    params,
};
use rocblas_trace::{
    call::{NumberKind, scalar_kind},
    capture::{Meta, PointerMode, element},
};

/// A call that can be replayed.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The function's index in the table.
    pub(super) function: usize,
    /// The arguments. Pointers are those of the captured program; they show which operands share memory.
    pub(super) words: Vec<u64>,
    /// The operands that have elements.
    pub(super) operands: Vec<Given>,
    /// The scalars that the call reads.
    pub(super) scalars: Vec<Scalar>,
    /// Whether scalars and results are in host or device memory.
    pub(super) pointer_mode: PointerMode,
    /// `rocblas_atomics_mode`, if it is known.
    pub(super) atomics_mode: Option<i32>,
    /// `rocblas_math_mode`, if it is known.
    pub(super) math_mode: Option<i32>,
}

/// An operand of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Given {
    /// The operand as the table describes it.
    pub(super) operand: Operand,
    /// The range of its elements, from the first to the last.
    pub(super) span: Span,
    /// Whether the call reads its previous values.
    pub(super) read: bool,
}

/// A scalar that a call reads.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    /// The position of its parameter.
    pub(super) parameter: usize,
    /// Its type.
    pub(super) kind: NumberKind,
    /// Its bytes in memory.
    pub(super) bytes: Vec<u8>,
}

impl Given {
    /// The position of its parameter.
    pub(super) fn parameter(&self) -> usize {
        usize::from(self.operand.parameter)
    }

    /// How many elements a span has, from the first to the last.
    pub(super) fn len(&self) -> usize {
        usize::try_from(self.span.len).unwrap_or(0)
    }

    /// How many spans it has: one, or one for each problem if the problems have separate addresses.
    pub(super) fn spans(&self) -> usize {
        match self.operand.batch {
            operands::Batch::Pointers { count } => usize::try_from(count).unwrap_or(0),
            _ => 1,
        }
    }

    /// The length of a span in bytes.
    pub(super) fn span_bytes(&self) -> usize {
        self.len() * self.operand.element.size()
    }

    /// The length of all spans in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.span_bytes() * self.spans()
    }

    /// For each problem, the position in all spans, in elements, that the problem's pointer refers to.
    pub(super) fn problems(&self) -> impl Iterator<Item = i64> + use<> {
        let Self { operand, span, .. } = *self;
        (0..operand.batch.count()).map(move |problem| match operand.batch {
            operands::Batch::One => -span.first,
            operands::Batch::Strided { stride, .. } => problem * stride - span.first,
            operands::Batch::Pointers { .. } => problem * span.len - span.first,
        })
    }
}

impl Scalar {
    /// Its value in double precision.
    pub(super) fn value(&self) -> [f64; 2] {
        element::value(element_of(self.kind), &self.bytes)
    }

    fn is_zero(&self) -> bool {
        self.value() == [0.0, 0.0]
    }
}

/// The element type that corresponds to a kind of scalar.
pub(super) fn element_of(kind: NumberKind) -> operands::Element {
    match kind {
        NumberKind::F16 => operands::Element::F16,
        NumberKind::Bf16 => operands::Element::Bf16,
        NumberKind::F32 => operands::Element::F32,
        NumberKind::F64 => operands::Element::F64,
        NumberKind::C32 => operands::Element::C32,
        NumberKind::C64 => operands::Element::C64,
        NumberKind::I32 => operands::Element::I32,
        NumberKind::I64 => operands::Element::I64,
    }
}

impl Call {
    /// The call of a capture.
    ///
    /// # Errors
    /// If the function is not in the table or the table does not describe its operands, if the arguments are
    /// not those of the function, or if the file's operands do not match the arguments.
    pub(super) fn of(meta: &Meta) -> Result<Self> {
        let name = &meta.function;
        let function = by_name(name)
            .filter(|function| function.kind == Kind::C && usize::from(function.index) < C_EXPORTS)
            .filter(|function| function.returns == Returns::Status)
            .with_context(|| {
                format!("`{name}` is not a function of rocBLAS that can be replayed")
            })?;
        let index = usize::from(function.index);
        let names = params(index).map(|param| param.name);
        ensure!(
            names.eq(meta.arguments.iter().map(|argument| argument.name.as_str())),
            "the arguments are not those of {name}"
        );
        let words: Vec<u64> = meta.arguments.iter().map(|argument| argument.word).collect();
        let mut scalars = Vec::new();
        for (position, (param, argument)) in params(index).zip(&meta.arguments).enumerate() {
            if let Some(given) = &argument.scalar {
                let kind = scalar_kind(index, &param, &|position| words[position]);
                let kind = kind.with_context(|| format!("{} has an unknown type", param.name))?;
                let bytes = given.bytes().filter(|_| given.element == element_of(kind));
                let bytes = bytes.filter(|bytes| bytes.len() == scalar_bytes(&param, kind));
                let wrong = || format!("the value of {} is not one of its type", param.name);
                scalars.push(Scalar {
                    parameter: position,
                    kind,
                    bytes: bytes.with_context(wrong)?,
                });
            }
        }
        let call = Self {
            function: index,
            operands: Vec::new(),
            words,
            scalars,
            pointer_mode: meta.pointer_mode,
            atomics_mode: meta.atomics_mode,
            math_mode: meta.math_mode,
        };
        let call = call.described()?;
        call.check_file(meta)?;
        Ok(call)
    }

    /// Determines the call's operands from its arguments.
    ///
    /// # Errors
    /// If the table does not describe the operands, or if an argument is neither described nor a number.
    pub(super) fn described(mut self) -> Result<Self> {
        let name = self.name();
        let described = operands::operands(self.function, &|position| self.words[position])
            .with_context(|| format!("the operands of {name} are not described"))?;
        for (position, param) in params(self.function).enumerate() {
            let is_operand =
                described.iter().any(|operand| usize::from(operand.parameter) == position);
            let is_read_scalar = param.scalar == Some(Direction::In)
                && (self.scalar(position).is_some() || self.words[position] == 0);
            let is_number = param.ty.pointers == 0
                && !matches!(param.ty.base, Base::Stream | Base::Event | Base::DeviceMalloc);
            if param.scalar == Some(Direction::In) && !is_operand && !is_read_scalar {
                bail!("the value of {} is not in the file", param.name);
            }
            ensure!(
                is_operand || is_read_scalar || is_number,
                "{name} cannot be replayed: its argument {} is not described",
                param.name
            );
        }
        self.operands = Vec::new();
        for operand in described.iter() {
            ensure!(!operand.host, "{name} cannot be replayed: it copies from or to the host");
            ensure!(
                !is_impossible(operand),
                "{name} cannot be replayed: its operand {} has no such shape in memory",
                self.param(usize::from(operand.parameter)).name
            );
            let is_null = self.words[usize::from(operand.parameter)] == 0;
            if let Some(span) = operand.span().filter(|_| !is_null) {
                let read =
                    operand.is_read(|position| self.scalar(position).is_some_and(Scalar::is_zero));
                let given = Given { operand: *operand, span, read };
                let bytes = (given.len().checked_mul(given.operand.element.size()))
                    .and_then(|bytes| bytes.checked_mul(given.spans()));
                // With an increment or a stride of zero, little memory has many elements.
                let fits = bytes.is_some_and(|bytes| bytes <= MOST_BYTES)
                    && operand.elements() <= MOST_ELEMENTS;
                ensure!(fits, "its operands are too large");
                self.operands.push(given);
            }
        }
        Ok(self)
    }

    /// Checks that the operands in the file match those of the call.
    fn check_file(&self, meta: &Meta) -> Result<()> {
        for given in &self.operands {
            let name = self.param(given.parameter()).name;
            let operand = &given.operand;
            let in_file = meta.operands.iter().find(|in_file| in_file.parameter == name);
            let is_it = in_file.is_some_and(|in_file| {
                in_file.element == operand.element
                    && in_file.batch == operand.batch
                    && in_file.layout == operand.layout
            });
            ensure!(is_it, "the file's operand {name} is not what the arguments make it");
        }
        Ok(())
    }

    /// The function's name.
    pub(super) fn name(&self) -> &'static str {
        rocblas_abi::name(self.function).to_str().unwrap_or_default()
    }

    /// The parameter at that position, which must exist.
    pub(super) fn param(&self, position: usize) -> Param {
        params(self.function).nth(position).expect("a position of this function")
    }

    /// The position of the parameter with that name.
    pub(super) fn position(&self, name: &str) -> Option<usize> {
        params(self.function).position(|param| param.name == name)
    }

    /// The value of the integer parameter with that name.
    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        let position = self.position(name)?;
        let word = self.words[position];
        Some(match self.param(position).ty.base {
            Base::I64 | Base::Stride | Base::Size => word as i64,
            Base::U32 => i64::from(word as u32),
            _ => i64::from(word as i32),
        })
    }

    /// The scalar for the parameter at that position.
    pub(super) fn scalar(&self, position: usize) -> Option<&Scalar> {
        self.scalars.iter().find(|scalar| scalar.parameter == position)
    }

    /// The operands that the call writes, with their positions in `operands`.
    pub(super) fn written(&self) -> impl Iterator<Item = (usize, &Given)> {
        self.operands.iter().enumerate().filter(|(_, given)| given.operand.is_written())
    }
}

/// Whether no memory can have the operand's shape: the leading dimension is too small, or the numbers are too
/// large. rocBLAS returns an error for such sizes, but a replacement may not check.
fn is_impossible(operand: &Operand) -> bool {
    let is_too_near = match operand.layout {
        Layout::Matrix { rows, columns, ld, .. } => rows > 0 && columns > 0 && ld < rows,
        Layout::Band { rows, columns, below, above, ld, .. } => {
            rows > 0 && columns > 0 && ld <= below.saturating_add(above)
        }
        Layout::Vector { .. } | Layout::Packed { .. } => false,
    };
    is_too_near || operand.elements() > 0.0 && operand.span().is_none()
}

/// The maximum size of an operand in bytes: more memory than any GPU has.
const MOST_BYTES: usize = 1 << 40;

/// The maximum number of elements of an operand, all problems together.
const MOST_ELEMENTS: f64 = (1_u64 << 36) as f64;

/// The size of a scalar's value in bytes.
fn scalar_bytes(param: &Param, kind: NumberKind) -> usize {
    if param.name == "param" { 5 * kind.size() } else { kind.size() }
}
