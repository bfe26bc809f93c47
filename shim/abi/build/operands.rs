//! Reads `operands.abi`, applies its lines to the exported C functions, and packs the result.

use crate::{
    code,
    formula::{self, Names},
    parse::{Enum, Function, Param},
};
use std::{collections::HashMap, fmt::Write};

/// The prefixes of a routine's name in the names of its functions.
const PRECISIONS: [&str; 16] =
    ["h", "bf", "s", "d", "c", "z", "sc", "dz", "is", "id", "ic", "iz", "hsh", "hss", "tss", "tst"];

/// Alternative names that some functions have for a parameter.
const ALIASES: [(&str, &str); 2] = [("trans", "transa"), ("result", "results")];

/// A line of the file.
struct Routine<'a> {
    line: usize,
    operands: Vec<Operand<'a>>,
    flops: &'a str,
    complex: Option<&'a str>,
}

struct Operand<'a> {
    direction: &'a str,
    name: &'a str,
    shape: &'a str,
    sizes: Vec<&'a str>,
    unread_if_zero: Option<&'a str>,
    host: bool,
}

/// The lines of the file: routines, and the functions that have no operands.
struct Lines<'a> {
    routines: Vec<Routine<'a>>,
    by_name: HashMap<&'a str, usize>,
    without: HashMap<&'a str, usize>,
}

impl<'a> Lines<'a> {
    fn parse(text: &'a str) -> Self {
        let mut lines =
            Self { routines: Vec::new(), by_name: HashMap::new(), without: HashMap::new() };
        for (number, text) in (1..).zip(text.lines()) {
            let text = text.trim();
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            let (names, rest) = text
                .split_once(": ")
                .unwrap_or_else(|| panic!("operands.abi:{number}: no `NAME: `: {text}"));
            let of = lines.routines.len();
            let (names, known, of) = match names.strip_prefix("without ") {
                Some(names) => (names, &mut lines.without, number),
                None => {
                    lines.routines.push(routine(number, rest));
                    (names, &mut lines.by_name, of)
                }
            };
            for name in names.split_whitespace() {
                let before = known.insert(name, of);
                assert!(before.is_none(), "operands.abi:{number}: {name} occurs twice");
            }
        }
        lines
    }

    /// The routine of a function.
    fn of(&self, function: &str) -> Option<(&'a str, &Routine<'a>)> {
        let Name { stem, is_ex, .. } = Name::of(function);
        let found = |name: &str| {
            self.by_name.get_key_value(name).map(|(name, at)| (*name, &self.routines[*at]))
        };
        let of_precision = |precision: &&str| found(stem.strip_prefix(*precision)?);
        is_ex
            .then(|| found(&format!("{stem}_ex")))
            .flatten()
            .or_else(|| found(stem))
            .or_else(|| PRECISIONS.iter().find_map(of_precision))
    }
}

fn routine(line: usize, text: &str) -> Routine<'_> {
    let mut parts: Vec<&str> = text.split("; ").collect();
    let counts: Vec<&str> = parts.pop().unwrap_or_default().split_whitespace().collect();
    let (flops, complex) = match counts[..] {
        ["flops", flops] => (flops, None),
        ["flops", flops, "complex", complex] => (flops, Some(complex)),
        _ => panic!("operands.abi:{line}: does not end with `flops COUNT`: {text}"),
    };
    let operands = parts.into_iter().map(|part| operand(line, part)).collect();
    Routine { line, operands, flops, complex }
}

fn operand(line: usize, text: &str) -> Operand<'_> {
    let mut words: Vec<&str> = text.split_whitespace().collect();
    let host = words.pop_if(|word| *word == "host").is_some();
    let unread_if_zero = match words[..] {
        [.., "if", scalar] => {
            words.truncate(words.len() - 2);
            Some(scalar)
        }
        _ => None,
    };
    let [direction, name, shape, ref sizes @ ..] = words[..] else {
        panic!("operands.abi:{line}: not `in|out|inout PARAMETER SHAPE`: {text}");
    };
    Operand { direction, name, shape, sizes: sizes.to_vec(), unread_if_zero, host }
}

/// The parts of a function's name.
struct Name<'a> {
    stem: &'a str,
    batch: Batch,
    is_ex: bool,
}

#[derive(Clone, Copy, PartialEq)]
enum Batch {
    One,
    Pointers,
    Strided,
}

impl<'a> Name<'a> {
    fn of(function: &'a str) -> Self {
        let name = short(function);
        let (name, is_ex) = name.strip_suffix("_ex").map_or((name, false), |name| (name, true));
        let strided = name.strip_suffix("_strided_batched").map(|stem| (stem, Batch::Strided));
        let batched = name.strip_suffix("_batched").map(|stem| (stem, Batch::Pointers));
        let (stem, batch) = strided.or(batched).unwrap_or((name, Batch::One));
        Self { stem, batch, is_ex }
    }
}

/// A function's name without the common prefix and without the width of its sizes.
fn short(function: &str) -> &str {
    let name = function.strip_prefix("rocblas_").unwrap_or(function);
    name.strip_suffix("_64").unwrap_or(name)
}

fn plain(name: &str) -> String {
    name.replace('_', "").to_lowercase()
}

/// A function to which a line is applied.
struct Applied<'a> {
    function: &'a Function,
    routine: &'a Routine<'a>,
    enums: &'a [Enum],
    batch: Batch,
}

impl Applied<'_> {
    fn fail(&self, problem: &str) -> ! {
        panic!("operands.abi:{}: {}: {problem}", self.routine.line, self.function.name)
    }

    fn find(&self, name: &str) -> Option<u8> {
        let name = plain(name);
        let alias = ALIASES.iter().find(|(general, _)| *general == name).map(|(_, alias)| *alias);
        let position = |wanted: &str| {
            self.function.params.iter().position(|param| plain(&param.name) == wanted)
        };
        let position = position(&name).or_else(|| position(alias?))?;
        u8::try_from(position).ok().filter(|position| *position < code::PARAMETERS)
    }

    fn require(&self, name: &str) -> u8 {
        self.find(name).unwrap_or_else(|| self.fail(&format!("there is no parameter `{name}`")))
    }

    fn param(&self, position: u8) -> &Param {
        &self.function.params[usize::from(position)]
    }

    /// The bytes of the function.
    fn code(&self) -> Vec<u8> {
        let batch_count = match self.batch {
            Batch::One => code::NONE,
            _ => self.require("batch_count"),
        };
        let operands = &self.routine.operands;
        assert!(operands.len() <= code::OPERANDS, "operands.abi:{}: too many", self.routine.line);
        let mut bytes = vec![operands.len() as u8, batch_count];
        let positions = operands.iter().map(|operand| self.require(operand.name));
        if !positions.is_sorted() {
            self.fail("operands are not in the order of parameters");
        }
        for operand in operands {
            self.operand(operand, &mut bytes);
        }
        let four = format!("4*({})", self.routine.flops);
        for count in [self.routine.flops, self.routine.complex.unwrap_or(&four)] {
            bytes.extend(formula::compile(count, self));
        }
        bytes
    }

    fn operand(&self, operand: &Operand<'_>, bytes: &mut Vec<u8>) {
        let name = operand.name;
        let position = self.require(name);
        let param = self.param(position);
        let mut flags = match operand.direction {
            "in" => code::READ,
            "out" => code::WRITTEN,
            "inout" => code::READ | code::WRITTEN,
            other => self.fail(&format!("`{other}` is not a direction")),
        };
        if param.ty.pointers == 0 {
            self.fail(&format!("`{name}` is no pointer"));
        }
        if flags & code::WRITTEN != 0 && param.ty.constant {
            self.fail(&format!("`{name}` is an output, but const"));
        }
        for (is_set, flag) in [
            (operand.host, code::HOST),
            (param.scalar.is_some(), code::SCALAR),
            (operand.shape == "forward", code::FORWARD),
        ] {
            flags |= if is_set { flag } else { 0 };
        }
        let scalar = operand.unread_if_zero.map_or(code::NONE, |scalar| self.require(scalar));
        let (stride, is_array) = self.stride(operand, param);
        let (shape, part, formulas) = self.shape(operand, is_array);
        let [uplo, diag] =
            [0, 1].map(|at| part.get(at).map_or(code::NONE, |name| self.require(name)));
        let distance = match shape {
            code::VECTOR => self.find(&format!("inc{name}")).unwrap_or(code::NONE),
            _ => code::NONE,
        };
        bytes.extend([position, flags, shape, scalar, self.datatype(name, param)]);
        bytes.extend([stride, uplo, diag, distance]);
        for text in formulas {
            if text.contains('|') {
                self.fail("a size by the number of elements");
            }
            bytes.extend(formula::compile(&text, self));
        }
    }

    /// The shape's code, the names of the parameters that select a part of it, and the formulas of its sizes.
    fn shape<'o>(&self, operand: &Operand<'o>, is_array: bool) -> (u8, Vec<&'o str>, Vec<String>) {
        let ld = || format!("ld{}", operand.name);
        let texts =
            |sizes: &[&str]| sizes.iter().map(|size| (*size).to_owned()).collect::<Vec<_>>();
        let matrix = |rows: &str, columns: &str, ld: String| texts(&[rows, columns, &ld]);
        match (operand.shape, &operand.sizes[..]) {
            ("scalar", []) if is_array => (code::VECTOR, vec![], texts(&["batch_count"])),
            ("scalar", []) => (code::VECTOR, vec![], texts(&["1"])),
            ("vector" | "forward", sizes @ [_]) => (code::VECTOR, vec![], texts(sizes)),
            ("matrix", [rows, columns]) => (code::MATRIX, vec![], matrix(rows, columns, ld())),
            ("matrix", [rows, columns, ld]) => {
                (code::MATRIX, vec![], matrix(rows, columns, (*ld).to_owned()))
            }
            ("triangle", [n, part @ ..]) => (code::MATRIX, part.to_vec(), matrix(n, n, ld())),
            ("packed", [n, part @ ..]) => (code::PACKED, part.to_vec(), texts(&[*n])),
            ("band", [rows, columns, below, above, part @ ..]) => {
                let sizes = texts(&[*rows, *columns, *below, *above, &ld()]);
                (code::BAND, part.to_vec(), sizes)
            }
            (shape, sizes) => self.fail(&format!("`{shape}` with sizes {sizes:?} is not a shape")),
        }
    }

    /// The parameter that is the stride between problems, and whether the operand is instead one array with
    /// one element for each problem.
    fn stride(&self, operand: &Operand<'_>, param: &Param) -> (u8, bool) {
        let name = operand.name;
        let is_typed_pointer = param.ty.pointers == 1 && param.ty.base != "void";
        match self.batch {
            Batch::One => (code::NONE, false),
            Batch::Pointers if param.ty.pointers == 2 => (code::POINTERS, false),
            // gemm_batched_ex takes an array of pointers as `void *`.
            Batch::Pointers if !is_typed_pointer && param.scalar.is_none() => {
                (code::POINTERS, false)
            }
            Batch::Strided | Batch::Pointers => {
                let packed = name.strip_suffix('P').unwrap_or(name);
                match self
                    .find(&format!("stride{name}"))
                    .or_else(|| self.find(&format!("stride{packed}")))
                {
                    Some(stride) => (stride, false),
                    None if operand.shape == "scalar" => (code::NONE, true),
                    None => self.fail(&format!("there is no stride of `{name}`")),
                }
            }
        }
    }

    /// The parameter that is the type of an operand.
    fn datatype(&self, name: &str, param: &Param) -> u8 {
        if param.ty.base != "void" {
            return code::NONE;
        }
        let candidates = [&format!("{name}_type"), "compute_type", "execution_type"];
        candidates.into_iter().find_map(|name| self.find(name)).unwrap_or(code::NONE)
    }
}

impl Names for Applied<'_> {
    fn parameter(&self, name: &str) -> u8 {
        self.require(name)
    }

    fn choice(&self, name: &str) -> (u8, u8) {
        let position = self.require(name);
        let param = self.param(position);
        let first =
            self.enums.iter().find(|e| e.name == param.ty.base).and_then(|e| e.values.first());
        let first = first.and_then(|first| u8::try_from(first.value).ok());
        (position, first.unwrap_or_else(|| self.fail(&format!("`{name}` is no enum"))))
    }

    fn operand(&self, name: &str) -> u8 {
        let number = self.routine.operands.iter().position(|operand| operand.name == name);
        number.unwrap_or_else(|| self.fail(&format!("`{name}` is no operand"))) as u8
    }
}

/// Whether a parameter may be an operand: a pointer to elements, but not to a scalar that is only read.
fn is_operand(param: &Param) -> bool {
    let is_element =
        matches!(&*param.ty.base, "f16" | "bf16" | "f32" | "f64" | "c32" | "c64" | "void");
    param.ty.pointers > 0 && is_element && param.scalar.as_deref() != Some("in")
}

/// The code of each function, with equal codes stored once, and the start of each function's code.
pub(crate) fn operands(text: &str, functions: &[&Function], enums: &[Enum]) -> String {
    let lines = Lines::parse(text);
    let mut used: Vec<&str> = Vec::new();
    let mut bytes: Vec<u8> = Vec::new();
    let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
    let mut starts: Vec<u16> = Vec::new();
    for function in functions {
        let excluded = lines.without.get_key_value(short(&function.name));
        let start = match (lines.of(&function.name), excluded) {
            (Some((name, routine)), None) => {
                used.push(name);
                let batch = Name::of(&function.name).batch;
                let code = Applied { function, routine, enums, batch }.code();
                Some(*known.entry(code).or_insert_with_key(|code| {
                    bytes.extend(code);
                    bytes.len() - code.len()
                }))
            }
            (None, Some((name, _))) => {
                used.push(name);
                None
            }
            (None, None) => {
                if let Some(param) = function.params.iter().find(|param| is_operand(param)) {
                    panic!(
                        "operands.abi: no line describes {}, which has elements in `{}`, or says why it has no operands",
                        function.name, param.name
                    );
                }
                None
            }
            (Some((name, _)), Some(_)) => {
                panic!(
                    "operands.abi: {} has operands (as {name}) but is listed without",
                    function.name
                )
            }
        };
        starts.push(start.map_or(u16::MAX, |start| start.try_into().expect("fewer than 64 KiB")));
    }
    if let Some(name) =
        lines.by_name.keys().chain(lines.without.keys()).find(|name| !used.contains(name))
    {
        panic!("operands.abi: there is no function {name}");
    }
    let mut out = String::new();
    write!(
        out,
        "static CODE: [u8; {}] = {bytes:?};\nstatic STARTS: [u16; {}] = {starts:?};\n",
        bytes.len(),
        starts.len()
    )
    .expect("write to a string");
    out
}
