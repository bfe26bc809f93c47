//! A C caller for the tests, and operands with their expected contents.
//!
//! [`Call`] passes every argument as the machine word that the calling convention expects, with garbage in
//! the upper half of 32-bit arguments, after comparing it with the vendor's prototype in `rocblas-abi`. So
//! the tests depend on no Rust signature, and they fail for a routine whose parameters are in a different
//! order from the vendor's.
//!
//! [`Operand`] holds the memory of one array argument together with the expected contents, which a plain loop
//! in double precision computes from the same memory. The comparison covers every element, including those
//! between columns and those that the increments skip.

use num_complex::Complex;
use proptest::test_runner::Config;
use rocblas_abi::{Base, by_name};
use tests::valid::types;

use crate::handle::Handle;
use crate::personality::Personality;
use crate::scalar::{Element, Number};
use crate::{Status, entry_point};

pub(crate) type C32 = Complex<f32>;
pub(crate) type C64 = Complex<f64>;

pub(crate) const NONE: i32 = 111;
pub(crate) const TRANSPOSE: i32 = 112;
pub(crate) const CONJUGATE: i32 = 113;
pub(crate) const UPPER: i32 = 121;
pub(crate) const LOWER: i32 = 122;
pub(crate) const NON_UNIT: i32 = 131;
pub(crate) const UNIT: i32 = 132;
pub(crate) const LEFT: i32 = 141;
pub(crate) const RIGHT: i32 = 142;

pub(crate) const SUCCESS: i32 = Status::Success as i32;
pub(crate) const INVALID_HANDLE: i32 = Status::InvalidHandle as i32;
pub(crate) const INVALID_POINTER: i32 = Status::InvalidPointer as i32;
pub(crate) const INVALID_SIZE: i32 = Status::InvalidSize as i32;
pub(crate) const INVALID_VALUE: i32 = Status::InvalidValue as i32;
pub(crate) const NOT_IMPLEMENTED: i32 = Status::NotImplemented as i32;
pub(crate) const INTERNAL_ERROR: i32 = Status::InternalError as i32;

/// Each case of a property already runs all types, forms and widths, so a few cases make many calls.
pub(crate) fn cases(cases: u32) -> Config {
    Config { cases, failure_persistence: None, ..Config::default() }
}

/// An element type of which the tests can create values and measure errors.
pub(crate) trait Sample: Element {
    /// The letter of the type in routine names.
    const LETTER: &'static str;
    const BASE: Base;
    /// The number of the type in `rocblas_datatype`.
    const DATATYPE: i32;
    /// The relative error that a few dozen operations may accumulate.
    const TOLERANCE: f64;
    fn sample(value: C64) -> Self;

    fn value(self) -> C64 {
        let [re, im] = self.load().parts();
        Complex::new(re, im)
    }
}

macro_rules! sample {
    ($($element:ty, $letter:literal, $base:ident, $ty:ident, $tolerance:literal, $sample:expr;)+) => {$(
        impl Sample for $element {
            const LETTER: &'static str = $letter;
            const BASE: Base = Base::$base;
            const DATATYPE: i32 = crate::datatype::$ty;
            const TOLERANCE: f64 = $tolerance;
            fn sample(value: C64) -> Self {
                $sample(value)
            }
        }
    )+};
}

sample! {
    half::f16, "h", F16, F16, 2e-2, |value: C64| half::f16::from_f64(value.re);
    half::bf16, "bf", Bf16, BF16, 1e-1, |value: C64| half::bf16::from_f64(value.re);
    f32, "s", F32, F32, 1e-4, |value: C64| value.re as f32;
    f64, "d", F64, F64, 1e-12, |value: C64| value.re;
    C32, "c", C32, C32, 1e-4, |value: C64| Complex::new(value.re as f32, value.im as f32);
    C64, "z", C64, C64, 1e-12, core::convert::identity;
}

/// Calls a generic check once for each of the four standard types.
macro_rules! for_standard_types {
    ($check:ident($($argument:expr),* $(,)?)) => {
        $check::<f32>($($argument),*);
        $check::<f64>($($argument),*);
        $check::<crate::testing::C32>($($argument),*);
        $check::<crate::testing::C64>($($argument),*);
    };
}
pub(crate) use for_standard_types;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FormName {
    Single,
    Batched,
    StridedBatched,
}

/// One of the six variants of every routine, with a handle and a source of numbers.
pub(crate) struct Bench {
    pub(crate) form: FormName,
    pub(crate) wide: bool,
    pub(crate) problems: usize,
    pub(crate) handle: Box<Handle>,
    random: u64,
}

impl Bench {
    pub(crate) fn new(form: FormName, wide: bool, problems: usize, seed: u64) -> Self {
        let problems = if form == FormName::Single { 1 } else { problems };
        let handle = Box::new(Handle::new(Personality::current()));
        Self { form, wide, problems, handle, random: seed | 1 }
    }

    /// Runs a test in all six variants.
    pub(crate) fn everywhere(problems: usize, seed: u64, mut test: impl FnMut(&mut Self)) {
        for form in [FormName::Single, FormName::Batched, FormName::StridedBatched] {
            for wide in [false, true] {
                test(&mut Self::new(form, wide, problems, seed));
            }
        }
    }

    /// A number between -1 and 1, by xorshift.
    fn real(&mut self) -> f64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) as f64 / (1_u64 << 52) as f64 - 1.0
    }

    /// A number of the type, already rounded to it.
    pub(crate) fn number<E: Sample>(&mut self) -> E {
        E::sample(Complex::new(self.real(), self.real()))
    }

    /// A scalar; from time to time one for which routines take shortcuts.
    pub(crate) fn alpha<E: Sample>(&mut self) -> E {
        match self.random % 7 {
            0 => E::sample(0.0.into()),
            1 => E::sample(1.0.into()),
            _ => self.number(),
        }
    }

    pub(crate) fn vector<E: Sample>(&mut self, n: i64, inc: i64) -> Operand<E> {
        Operand::new(self, [n, 1], [inc, 0], inc)
    }

    pub(crate) fn matrix<E: Sample>(&mut self, rows: i64, columns: i64, ld: i64) -> Operand<E> {
        Operand::new(self, [rows, columns], [1, ld], ld)
    }

    /// Another matrix with the contents of `original`.
    pub(crate) fn matrix_like<E: Sample>(&self, original: &Operand<E>) -> Operand<E> {
        Operand {
            memory: original.memory.clone(),
            expected: original.expected.clone(),
            starts: original.starts.clone(),
            table: Vec::new(),
            ..*original
        }
    }

    /// The name of this variant of the routine (`"sgemm"`, `"gemm_ex"`).
    fn name(&self, routine: &str) -> String {
        let (stem, ex) = routine.strip_suffix("_ex").map_or((routine, ""), |stem| (stem, "_ex"));
        let form = match self.form {
            FormName::Single => "",
            FormName::Batched => "_batched",
            FormName::StridedBatched => "_strided_batched",
        };
        let wide = if self.wide { "_64" } else { "" };
        format!("rocblas_{stem}{form}{ex}{wide}")
    }

    /// Whether rocBLAS has this variant of the routine.
    pub(crate) fn has(&self, routine: &str) -> bool {
        by_name(&self.name(routine)).is_some()
    }

    /// Begins a call of this variant of the routine.
    pub(crate) fn call(&self, routine: &str) -> Call<'_> {
        let handle = &raw const *self.handle;
        let mut call = Call::new(self.name(routine));
        call.bench = Some(self);
        call.handle(handle)
    }
}

/// A call under construction, with its arguments in order.
pub(crate) struct Call<'a> {
    bench: Option<&'a Bench>,
    name: String,
    words: Vec<u64>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { bench: None, name: name.into(), words: Vec::new() }
    }

    /// Adds an argument of the given type. `pointers` is 0 for a value, otherwise the minimum number of
    /// stars. `Void` pointers match all types.
    fn word(mut self, base: Base, pointers: u8, word: u64) -> Self {
        let function = by_name(&self.name).unwrap_or_else(|| panic!("no {} in the ABI", self.name));
        let position = self.words.len();
        let parameter = function.params.get(position).unwrap_or_else(|| {
            panic!("{} has no parameter {position}", self.name);
        });
        let ty = parameter.ty;
        let same_base = match (ty.base, base) {
            (Base::Enum(_) | Base::U32, Base::I32) => true,
            (Base::Void, _) => pointers > 0,
            (declared, given) => declared == given,
        };
        let same_depth = ty.pointers >= pointers && (ty.pointers > 0) == (pointers > 0);
        assert!(same_base && same_depth, "{}: {parameter:?} got {base:?}", self.name);
        self.words.push(word);
        self
    }

    fn bench(&self) -> &'a Bench {
        self.bench.expect("the call of a routine")
    }

    pub(crate) fn code(self, code: i32) -> Self {
        self.word(Base::I32, 0, narrow(code))
    }

    pub(crate) fn int(self, value: i64) -> Self {
        let wide = self.bench().wide;
        self.int_of(wide, value)
    }

    pub(crate) fn int_of(self, wide: bool, value: i64) -> Self {
        if wide {
            self.word(Base::I64, 0, value as u64)
        } else {
            self.word(Base::Int, 0, narrow(value as i32))
        }
    }

    pub(crate) fn handle(self, handle: *const Handle) -> Self {
        self.word(Base::Handle, 0, handle as u64)
    }

    pub(crate) fn stream_value(self, stream: u64) -> Self {
        self.word(Base::Stream, 0, stream)
    }

    /// A pointer to an option.
    pub(crate) fn code_pointer(self, place: *mut i32) -> Self {
        self.word(Base::I32, 1, place as u64)
    }

    pub(crate) fn scalar<E: Sample>(self, scalar: &'a E) -> Self {
        let address = &raw const *scalar as u64;
        self.word(E::BASE, 1, address)
    }

    /// An array with its leading dimension or increment, and its stride.
    pub(crate) fn operand<E: Sample>(self, operand: &mut Operand<E>) -> Self {
        let step = operand.step;
        self.array(operand).int(step).stride(operand)
    }

    /// The same, with the type between array and leading dimension, as gemm_ex expects it.
    pub(crate) fn typed_operand<E: Sample>(self, operand: &mut Operand<E>, ty: i32) -> Self {
        let step = operand.step;
        self.array(operand).code(ty).int(step).stride(operand)
    }

    /// The array alone.
    pub(crate) fn array<E: Sample>(self, operand: &mut Operand<E>) -> Self {
        if self.bench().form == FormName::Batched {
            let table = operand.table();
            self.word(E::BASE, 1, table)
        } else {
            let address = operand.memory.as_mut_ptr() as u64;
            self.word(E::BASE, 1, address)
        }
    }

    /// The stride, if the form has strides.
    pub(crate) fn stride<E: Sample>(self, operand: &Operand<E>) -> Self {
        if self.bench().form == FormName::StridedBatched {
            self.word(Base::Stride, 0, operand.stride as u64)
        } else {
            self
        }
    }

    /// The batch count, if the form has one.
    pub(crate) fn batch(self) -> Self {
        let problems = self.bench().problems as i64;
        if self.bench().form == FormName::Single { self } else { self.int(problems) }
    }

    pub(crate) fn results<E: Sample>(self, results: &mut [E]) -> Self {
        let address = results.as_mut_ptr() as u64;
        self.word(E::BASE, 1, address)
    }

    /// Index results. A function with 32-bit indices writes `int` results, two to each element of the buffer.
    pub(crate) fn positions(self, results: &mut [i64]) -> Self {
        let base = if self.bench().wide { Base::I64 } else { Base::Int };
        self.word(base, 1, results.as_mut_ptr() as u64)
    }

    pub(crate) fn pointer<T>(self, base: Base, pointer: *const T) -> Self {
        self.word(base, 1, pointer as u64)
    }

    pub(crate) fn size(self, size: usize) -> Self {
        self.word(Base::Size, 0, size as u64)
    }

    /// The position of a parameter in the prototype. The vendor names one parameter `trans` or `transA`.
    fn position(&self, name: &str) -> Option<usize> {
        let params = by_name(&self.name).expect("checked when it was built").params;
        let is = |declared: &str| {
            declared.eq_ignore_ascii_case(name) || declared.strip_suffix('A') == Some(name)
        };
        params.iter().position(|param| is(param.name))
    }

    /// Replaces an argument, if the prototype has it.
    pub(crate) fn with(mut self, name: &str, word: i64) -> Self {
        if let Some(position) = self.position(name) {
            self.words[position] = word as u64;
        }
        self
    }

    /// The word passed for an argument.
    pub(crate) fn argument(&self, name: &str) -> i64 {
        self.words[self.position(name).expect("a parameter")] as i64
    }

    pub(crate) fn run(self) -> i32 {
        self.run_for_word() as i32
    }

    /// Calls and returns the whole result register.
    pub(crate) fn run_for_word(mut self) -> u64 {
        type Word = u64;
        type AnyFunction = unsafe extern "C" fn(
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
            Word,
        ) -> Word;

        let declared = by_name(&self.name).map(|function| function.params.len());
        assert_eq!(declared, Some(self.words.len()), "arguments of {}", self.name);
        let function = entry_point(&self.name).unwrap_or_else(|| panic!("no {}", self.name));
        self.words.resize(30, 0xbad_c0de);
        let [
            w0,
            w1,
            w2,
            w3,
            w4,
            w5,
            w6,
            w7,
            w8,
            w9,
            w10,
            w11,
            w12,
            w13,
            w14,
            w15,
            w16,
            w17,
            w18,
            w19,
            w20,
            w21,
            w22,
            w23,
            w24,
            w25,
            w26,
            w27,
            w28,
            w29,
        ] = self.words[..]
        else {
            panic!("{} has more parameters than any function of rocBLAS", self.name)
        };
        // SAFETY: in this calling convention every parameter is one integer word, in registers or
        // on the stack, and words beyond the parameters are ignored.
        let function = unsafe { core::mem::transmute::<*const (), AnyFunction>(function) };
        // SAFETY: the arguments follow the prototype, and the operands outlive the call.
        unsafe {
            function(
                w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15, w16, w17,
                w18, w19, w20, w21, w22, w23, w24, w25, w26, w27, w28, w29,
            )
        }
    }
}

/// A 32-bit argument. A C compiler may leave anything in the upper half.
fn narrow(value: i32) -> u64 {
    u64::from(value as u32) | 0xdead_beef_0000_0000
}

/// The memory of an array argument, and its expected contents.
pub(crate) struct Operand<E> {
    pub(crate) memory: Vec<E>,
    expected: Vec<C64>,
    /// The start of each problem. In a table of pointers they are in reverse order, since any order is legal.
    starts: Vec<usize>,
    table: Vec<*mut E>,
    stride: usize,
    shape: [i64; 2],
    steps: [i64; 2],
    step: i64,
}

impl<E: Sample> Operand<E> {
    fn new(bench: &mut Bench, shape: [i64; 2], steps: [i64; 2], step: i64) -> Self {
        let span = |axis: usize| (shape[axis] - 1).max(0) * steps[axis].abs();
        let stride = (span(0) + span(1) + 1 + 2) as usize;
        let memory: Vec<E> = (0..stride * bench.problems).map(|_| bench.number()).collect();
        let mut starts: Vec<usize> = (0..bench.problems).map(|p| p * stride).collect();
        if bench.form == FormName::Batched {
            starts.reverse();
        }
        let expected = memory.iter().map(|element| element.value()).collect();
        Self { memory, expected, starts, table: Vec::new(), stride, shape, steps, step }
    }

    /// The table of pointers. It is created only once, because a call may pass the operand twice.
    fn table(&mut self) -> u64 {
        if self.table.is_empty() {
            let base = self.memory.as_mut_ptr();
            self.table = self.starts.iter().map(|start| base.wrapping_add(*start)).collect();
        }
        self.table.as_ptr() as u64
    }

    fn index(&self, problem: usize, i: i64, j: i64) -> usize {
        let [row_step, column_step] = self.steps;
        let back = if row_step < 0 { (1 - self.shape[0]) * row_step } else { 0 };
        self.starts[problem] + (back + i * row_step + j * column_step) as usize
    }

    /// The expected value of element (i, j) of a problem, as far as the test has computed it.
    pub(crate) fn want(&self, problem: usize, i: i64, j: i64) -> C64 {
        self.expected[self.index(problem, i, j)]
    }

    pub(crate) fn want_op(&self, operation: i32, problem: usize, i: i64, j: i64) -> C64 {
        match operation {
            NONE => self.want(problem, i, j),
            TRANSPOSE => self.want(problem, j, i),
            _ => self.want(problem, j, i).conj(),
        }
    }

    /// Sets the expected value of an element.
    pub(crate) fn expect(&mut self, problem: usize, i: i64, j: i64, value: C64) {
        let index = self.index(problem, i, j);
        self.expected[index] = value;
    }

    /// beta times the expected value. A beta of zero yields zero even for a NaN.
    pub(crate) fn kept(&self, beta: impl Sample, problem: usize, i: i64, j: i64) -> C64 {
        match beta.value() {
            beta if beta == C64::default() => beta,
            beta => beta * self.want(problem, i, j),
        }
    }

    /// The value in memory.
    pub(crate) fn got(&self, problem: usize, i: i64, j: i64) -> C64 {
        self.memory[self.index(problem, i, j)].value()
    }

    /// Writes a value into memory without expecting it there.
    pub(crate) fn store(&mut self, problem: usize, i: i64, j: i64, value: C64) {
        let index = self.index(problem, i, j);
        self.memory[index] = E::sample(value);
    }

    /// Writes a value into memory before a call, and expects it there.
    pub(crate) fn put(&mut self, problem: usize, i: i64, j: i64, value: C64) {
        self.store(problem, i, j, value);
        let stored = self.got(problem, i, j);
        self.expect(problem, i, j, stored);
    }

    /// Writes NaN wherever `poisoned` returns true, to show that a routine does not read there.
    pub(crate) fn poison(&mut self, poisoned: impl Fn(i64, i64) -> bool) {
        for problem in 0..self.starts.len() {
            for j in 0..self.shape[1] {
                for i in 0..self.shape[0] {
                    if poisoned(i, j) {
                        self.put(problem, i, j, Complex::new(f64::NAN, f64::NAN));
                    }
                }
            }
        }
    }

    /// Compares memory with the expected values.
    pub(crate) fn check(&self, what: &str) {
        for (i, (got, want)) in self.memory.iter().zip(&self.expected).enumerate() {
            assert_close::<E>(*got, *want, || format!("{what}: element {i} of {:?}", self.shape));
        }
    }
}

pub(crate) fn assert_close<E: Sample>(got: E, want: C64, what: impl Fn() -> String) {
    let got = got.value();
    let close = (got - want).norm() <= E::TOLERANCE * (1.0 + want.norm());
    assert!(close || got.is_nan() && want.is_nan(), "{}: {got} instead of {want}", what());
}

/// One wrong argument: its name in the prototype, the word to pass instead, and the expected status.
pub(crate) type Wrong = (&'static str, i64, i32);

/// Checks the order of a routine's argument checks. For each row, a call gets the wrong argument of that row
/// and of all later rows, and must return the status of that row: each error takes precedence over those
/// below it. Rows for arguments that the form does not have are skipped.
pub(crate) fn check_order<'a>(mut call: impl FnMut() -> Call<'a>, rows: &[Wrong]) {
    for row in 0..rows.len() {
        if call().position(rows[row].0).is_none() {
            continue;
        }
        let wrong_call =
            rows[row..].iter().rev().fold(call(), |call, (name, word, _)| call.with(name, *word));
        let name = wrong_call.name.clone();
        assert_eq!(wrong_call.run(), rows[row].2, "{name} with {:?} and worse", rows[row]);
    }
}

/// Checks which combinations of types a routine accepts: those that its documentation lists, and no others. The
/// operands must have elements of the largest type.
pub(crate) fn check_types<'a>(mut call: impl FnMut() -> Call<'a>) {
    // All types that any routine accepts, and an integer.
    let all = [150, 151, 152, 154, 155, 168, 160];
    let function = by_name(&call().name).expect("checked when it was built");
    let names: Vec<_> = types::names(function).collect();
    let mut accepted = 0;
    for number in 0..all.len().pow(names.len() as u32) {
        let row: Vec<i32> = (0..names.len() as u32)
            .map(|position| all[number / all.len().pow(position) % all.len()])
            .collect();
        let typed = names.iter().zip(&row);
        let typed = typed.fold(call(), |call, (name, ty)| call.with(name, (*ty).into()));
        let is_listed = types::combinations(function).contains(&&row[..]);
        let expected = if is_listed { SUCCESS } else { NOT_IMPLEMENTED };
        assert_eq!(typed.run(), expected, "{} with {row:?}", function.name);
        accepted += usize::from(is_listed);
    }
    assert_eq!(accepted, types::combinations(function).len(), "{}", function.name);
}

/// Runs a test for all combinations of fill, operation and diagonal.
pub(crate) fn for_all_triangles(mut test: impl FnMut(i32, i32, i32)) {
    for fill in [UPPER, LOWER] {
        for operation in [NONE, TRANSPOSE, CONJUGATE] {
            for diagonal in [NON_UNIT, UNIT] {
                test(fill, operation, diagonal);
            }
        }
    }
}

/// A triangular matrix that can be solved with accurately, with NaN wherever a routine must not read.
pub(crate) fn triangle<E: Sample>(
    bench: &mut Bench,
    n: i64,
    ld: i64,
    fill: i32,
    diagonal: i32,
) -> Operand<E> {
    let mut a = bench.matrix::<E>(n, n, ld);
    for problem in 0..bench.problems {
        for (i, j) in (0..n).flat_map(|i| (0..n).map(move |j| (i, j))) {
            let value = a.want(problem, i, j);
            let tame = if i == j { value * 0.4 + 1.5 } else { value / n as f64 };
            a.put(problem, i, j, tame);
        }
    }
    a.poison(|i, j| match i.cmp(&j) {
        core::cmp::Ordering::Equal => diagonal == UNIT,
        below => (fill == LOWER) != below.is_gt(),
    });
    a
}

/// Element (i, j) of op(A) for a triangular A.
pub(crate) fn triangle_element<E: Sample>(
    a: &Operand<E>,
    [fill, operation, diagonal]: [i32; 3],
    problem: usize,
    i: i64,
    j: i64,
) -> C64 {
    let (row, column) = if operation == NONE { (i, j) } else { (j, i) };
    if row == column && diagonal == UNIT {
        1.0.into()
    } else if row == column || (row > column) == (fill == LOWER) {
        a.want_op(operation, problem, i, j)
    } else {
        0.0.into()
    }
}

/// The element (i, j) of a symmetric or Hermitian matrix of which one half is stored.
pub(crate) fn mirrored_element<E: Sample>(
    a: &Operand<E>,
    hermitian: bool,
    fill: i32,
    problem: usize,
    i: i64,
    j: i64,
) -> C64 {
    let stored = if fill == LOWER { i >= j } else { i <= j };
    match (stored, hermitian) {
        (_, true) if i == j => a.want(problem, i, i).re.into(),
        (true, _) => a.want(problem, i, j),
        (false, false) => a.want(problem, j, i),
        (false, true) => a.want(problem, j, i).conj(),
    }
}
