//! Describes the file of a captured call: the call, where it was made, and its operands.

use super::diff::table;
use crate::output::{BAD, DIM, HEADING, Line, NOTE, Text, grouped};
use anyhow::Result;
use rocblas_abi::{Base, EnumId, by_name, enumeration, operands};
use rocblas_trace::capture::{
    Argument, Batch, Direction, Entry, Layout, Meta, Operand, Part, PointerMode, Reader, Values,
    element,
};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// How much of a tensor is read at once, in bytes; a whole number of elements for every type.
const BLOCK: usize = 1 << 20;

/// The description of a capture.
#[derive(Debug, Serialize)]
pub struct Shown {
    /// The file.
    #[serde(serialize_with = "crate::output::json::path")]
    pub file: PathBuf,
    /// The call, in one line.
    pub call: String,
    /// The file's metadata.
    pub meta: Meta,
    /// Statistics of the operands.
    pub tensors: Vec<Statistics>,
}

/// The elements of an operand that the function uses, before or after the call. Gaps are left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Statistics {
    /// The parameter's name.
    pub operand: String,
    /// `before` or `after`.
    pub time: &'static str,
    /// The number of elements.
    pub elements: u64,
    /// The smallest finite real or imaginary part, if there is one.
    pub min: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// How many elements are NaN.
    pub nan: u64,
    /// How many are infinite.
    pub infinite: u64,
}

impl Statistics {
    fn add(&mut self, parts: &[f64]) {
        self.elements += 1;
        if parts.iter().any(|part| part.is_nan()) {
            self.nan += 1;
        } else if parts.iter().any(|part| part.is_infinite()) {
            self.infinite += 1;
        } else {
            let least = parts.iter().copied().fold(f64::INFINITY, f64::min);
            let most = parts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            self.min = Some(self.min.map_or(least, |min| min.min(least)));
            self.max = Some(self.max.map_or(most, |max| max.max(most)));
        }
    }
}

/// Reads a capture.
///
/// # Errors
/// Fails if the file is not a capture or cannot be read.
pub fn show(path: &Path) -> Result<Shown> {
    let reader = Reader::open(path)?;
    let mut tensors = Vec::new();
    for entry in reader.entries() {
        tensors.push(statistics(&reader, entry)?);
    }
    let meta = reader.meta().clone();
    Ok(Shown { file: path.to_owned(), call: signature(&meta), meta, tensors })
}

/// Examines each element of a tensor, block by block.
fn statistics(reader: &Reader, entry: &Entry) -> Result<Statistics> {
    let operand = &reader.meta().operands[entry.operand];
    let mut statistics = Statistics {
        operand: operand.parameter.clone(),
        time: entry.time.name(),
        ..Statistics::default()
    };
    let mut used = Used::of(operand);
    let size = operand.element.size();
    let parts = if operand.element.is_complex() { 2 } else { 1 };
    let mut block = vec![0; BLOCK.min(entry.bytes())];
    let mut offset = 0;
    while offset < entry.bytes() {
        let length = block.len().min(entry.bytes() - offset);
        reader.read_part(entry, offset, &mut block[..length])?;
        for (number, bytes) in block[..length].chunks_exact(size).enumerate() {
            if used.has((offset / size + number) as u64) {
                statistics.add(&element::value(operand.element, bytes)[..parts]);
            }
        }
        offset += length;
    }
    Ok(statistics)
}

/// Tells used elements of an operand's spans from gaps; must be queried in ascending order.
struct Used<'a> {
    operand: &'a Operand,
    /// Runs of one problem's elements: their position relative to the problem's start, their number and their
    /// distance.
    runs: operands::Runs,
    run: Option<(i64, i64, i64)>,
    /// Where the current problem begins, and the distance from there to the next one.
    start: i64,
    next: i64,
}

impl<'a> Used<'a> {
    fn of(operand: &'a Operand) -> Self {
        let runs = operand.layout.runs();
        let mut used = Self { operand, runs, run: None, start: 0, next: i64::MAX };
        match operand.batch {
            Batch::One => used.begin(-operand.first),
            Batch::Strided { stride, .. } => {
                used.begin(if stride < 0 { 0 } else { -operand.first });
                used.next = stride.abs();
            }
            Batch::Pointers { .. } => {
                used.begin(-operand.first);
                used.next = i64::try_from(operand.len).unwrap_or(i64::MAX);
            }
        }
        used
    }

    fn begin(&mut self, start: i64) {
        self.start = start;
        self.runs = self.operand.layout.runs();
        self.run = self.runs.next().map(|run| (run.first, run.len, run.step));
    }

    /// Whether an element is used. Overlapping problems are treated as one.
    fn has(&mut self, place: u64) -> bool {
        let place = i64::try_from(place).unwrap_or(i64::MAX);
        while self.next > 0 && place - self.start >= self.next && self.next < i64::MAX {
            self.begin(self.start + self.next);
        }
        let place = place - self.start;
        while let Some((first, len, step)) = self.run {
            let last = first + (len - 1) * step;
            if place <= last {
                return place >= first && (place - first) % step == 0;
            }
            self.run = self.runs.next().map(|run| (run.first, run.len, run.step));
        }
        false
    }
}

/// The call in one line, without handles and addresses: `rocblas_sgemm(none, transpose, m=64, ...)`.
#[must_use]
pub fn signature(meta: &Meta) -> String {
    let function = by_name(&meta.function);
    let params = function.map(|function| function.params).unwrap_or_default();
    let arguments = meta.arguments.iter().enumerate().filter_map(|(position, argument)| {
        let param = params.get(position).filter(|param| param.name == argument.name);
        let name = if argument.name == "batch_count" { "batch" } else { argument.name.as_str() };
        if let Some(scalar) = &argument.scalar {
            return Some(format!("{name}={}", value(scalar)));
        }
        let Some(param) = param else { return Some(format!("{name}={:#x}", argument.word)) };
        match (param.ty.pointers, param.ty.base) {
            (1.., _) | (_, Base::Handle | Base::Stream | Base::Event | Base::DeviceMalloc) => None,
            (0, Base::Enum(id)) => {
                let word = argument.word as i32;
                let short = enumeration(id).short_name_of(word);
                let short = short.map_or_else(|| word.to_string(), str::to_owned);
                let is_clear =
                    ["rocblas_operation", "rocblas_fill", "rocblas_diagonal", "rocblas_side"]
                        .contains(&enumeration(id).name);
                Some(if is_clear { short } else { format!("{name}={short}") })
            }
            (0, base) => Some(format!("{name}={}", number(base, argument))),
        }
    });
    format!("{}({})", meta.function, arguments.collect::<Vec<_>>().join(", "))
}

fn number(base: Base, argument: &Argument) -> String {
    match base {
        Base::I64 | Base::Stride => (argument.word as i64).to_string(),
        Base::Size => argument.word.to_string(),
        Base::U32 => (argument.word as u32).to_string(),
        _ => (argument.word as i32).to_string(),
    }
}

fn value(scalar: &rocblas_trace::capture::Scalar) -> String {
    let Some(bytes) = scalar.bytes() else { return "?".to_owned() };
    let values: Vec<String> = bytes
        .chunks_exact(scalar.element.size())
        .map(|bytes| {
            let [re, im] = element::value(scalar.element, bytes);
            let is_complex = scalar.element.is_complex();
            // The fewest digits that identify the value among those of its type.
            let part = |part: f64| match scalar.element.size() / if is_complex { 2 } else { 1 } {
                2 | 4 => (part as f32).to_string(),
                _ => part.to_string(),
            };
            let sign = if im.is_sign_negative() { "" } else { "+" };
            if is_complex { format!("{}{sign}{}i", part(re), part(im)) } else { part(re) }
        })
        .collect();
    match values.as_slice() {
        [one] => one.clone(),
        several => format!("[{}]", several.join(", ")),
    }
}

/// Where a call was made, in one line.
#[must_use]
pub fn origin(meta: &Meta) -> String {
    let origin = &meta.origin;
    let mut parts = Vec::new();
    if !origin.why.is_empty() {
        parts.push(format!("captured because: {}", origin.why));
    }
    if !origin.program.is_empty() {
        parts.push(format!(
            "{}, process {}, thread {}, call {}",
            origin.program, origin.pid, origin.thread, origin.sequence
        ));
    }
    let backend = &meta.backend;
    if !backend.name.is_empty() {
        let version = if backend.version.is_empty() {
            String::new()
        } else {
            format!(" ({})", backend.version)
        };
        parts.push(format!("backend {}{version}", backend.name));
    }
    if let Some(device) = &meta.device {
        let name = format!("{} {}", device.name, device.target);
        parts.push(format!("GPU {}: {}", device.number, name.trim()));
    }
    if parts.is_empty() { "where it comes from is not known".to_owned() } else { parts.join("; ") }
}

/// A capture as text and a table.
#[must_use]
pub fn text(shown: &Shown) -> Text {
    let Shown { meta, tensors, .. } = shown;
    let mut page = Text::new();
    page.line(Line::new().styled(HEADING, &shown.call));
    page.line(origin(meta));
    let ended = meta.status.map(|status| {
        let statuses = enumeration(EnumId::Status);
        statuses.short_name_of(status).map_or_else(|| status.to_string(), str::to_owned)
    });
    if let Some(ended) = ended {
        let hip =
            meta.hip_error.as_ref().map_or_else(String::new, |error| format!(", HIP: {error}"));
        let is_good = ended == "success" && hip.is_empty();
        let line = format!("returned {ended}{hip}");
        page.line(if is_good { Line::from(line) } else { Line::new().styled(BAD, line) });
    }
    page.line(modes(meta));
    let promises = meta.promises.iter().filter(|promise| !promise.is_empty());
    let promises: Vec<&str> = promises.map(String::as_str).collect();
    if !promises.is_empty() {
        page.line(format!("promises kept: {}", promises.join(", ")));
    }
    for (name, value) in &meta.environment {
        page.line(Line::new().styled(DIM, format_args!("{name}={value}")));
    }
    page.line("");
    match meta.values {
        Values::Complete => {}
        Values::Redacted => {
            page.line(Line::new().styled(NOTE, "The values were left out (--redact-values)."));
        }
        Values::TooLarge => {
            page.line(Line::new().styled(NOTE, "The values were left out: there are too many."));
        }
    }
    let rows = meta.operands.iter().flat_map(|operand| rows(operand, tensors));
    let rows: Vec<_> = rows.chain(nulls(meta)).collect();
    let there_are = rows.len();
    let header = ["operand", "", "type", "when", "min", "max", "NaN", "infinite", "shape"];
    page.append(&table(&header, rows.into_iter(), there_are));
    page
}

fn modes(meta: &Meta) -> String {
    let pointer = match meta.pointer_mode {
        PointerMode::Host => "host",
        PointerMode::Device => "device",
    };
    let mut text = format!("pointer mode {pointer}");
    for (id, mode) in
        [("rocblas_atomics_mode", meta.atomics_mode), ("rocblas_math_mode", meta.math_mode)]
    {
        let Some(mode) = mode else { continue };
        let name = rocblas_abi::enum_by_name(id).and_then(|id| id.name_of(mode));
        let name = name.map_or_else(|| format!("{id} {mode}"), str::to_owned);
        text += &format!(", {}", name.strip_prefix("rocblas_").unwrap_or(&name));
    }
    text + &format!("; shim {}", meta.shim)
}

fn rows(operand: &Operand, tensors: &[Statistics]) -> Vec<Vec<String>> {
    let direction = match (operand.direction, operand.read) {
        (Direction::In, true) => "in",
        (Direction::In, false) => "not read",
        (Direction::InOut, true) => "in, out",
        (Direction::InOut | Direction::Out, _) => "out",
    };
    let head = [&operand.parameter, direction, operand.element.name()].map(str::to_owned);
    let shape = layout(operand);
    let own: Vec<&Statistics> =
        tensors.iter().filter(|tensor| tensor.operand == operand.parameter).collect();
    if own.is_empty() {
        let none = vec!["-".to_owned(); 5];
        return vec![[head.to_vec(), none, vec![shape]].concat()];
    }
    let numbers = |tensor: &Statistics| {
        let number = |number: Option<f64>| {
            number.map_or_else(|| "-".to_owned(), |number| format!("{number:.4e}"))
        };
        vec![
            tensor.time.to_owned(),
            number(tensor.min),
            number(tensor.max),
            grouped(tensor.nan),
            grouped(tensor.infinite),
        ]
    };
    own.into_iter()
        .map(|tensor| [head.to_vec(), numbers(tensor), vec![shape.clone()]].concat())
        .collect()
}

/// Operands whose address is null: the call was made without them, so the file has no values for them.
fn nulls(meta: &Meta) -> Vec<Vec<String>> {
    let Some(function) = by_name(&meta.function) else { return Vec::new() };
    let word = |position: usize| meta.arguments.get(position).map_or(0, |argument| argument.word);
    let described = operands::operands(usize::from(function.index), &word);
    let is_null = |name: &str| {
        meta.arguments.iter().any(|argument| argument.name == name && argument.word == 0)
            && !meta.operands.iter().any(|operand| operand.parameter == name)
    };
    let name = |operand: &operands::Operand| {
        let param = function.params.get(usize::from(operand.parameter))?;
        is_null(param.name).then(|| param.name.to_owned())
    };
    let described = described.iter().flat_map(|operands| operands.iter());
    let row = |name: String| {
        let none = std::iter::repeat_n("-".to_owned(), 7);
        [name].into_iter().chain(none).chain(["null".to_owned()]).collect()
    };
    described.filter_map(name).map(row).collect()
}

/// `64 x 32, ld 64; batch of 4, stride 2048`
fn layout(operand: &Operand) -> String {
    let part = |part: Part| match part {
        Part::All => "",
        Part::Upper => ", upper triangle",
        Part::Lower => ", lower triangle",
        Part::StrictUpper => ", upper triangle without diagonal",
        Part::StrictLower => ", lower triangle without diagonal",
    };
    let shape = match operand.layout {
        Layout::Vector { len: 1, .. } if operand.scalar => "a number".to_owned(),
        Layout::Vector { len, inc: 1 } => format!("{len} elements"),
        Layout::Vector { len, inc } => format!("{len} elements, increment {inc}"),
        Layout::Matrix { rows, columns, ld, part: used } => {
            format!("{rows} x {columns}, ld {ld}{}", part(used))
        }
        Layout::Packed { order, part: used } => format!("{order} x {order} packed{}", part(used)),
        Layout::Band { rows, columns, below, above, ld, part: used } => {
            format!("{rows} x {columns} band, {below} below, {above} above, ld {ld}{}", part(used))
        }
    };
    match operand.batch {
        Batch::One => shape,
        Batch::Strided { count, stride } => format!("{shape}; batch of {count}, stride {stride}"),
        Batch::Pointers { count } => format!("{shape}; batch of {count} by pointers"),
    }
}
