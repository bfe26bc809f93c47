//! Reads a capture. The file is not trusted: memory is bounded by the header's limit, which is checked first, and by
//! the tensors that are requested, which must lie within the file.

use super::{
    Capture, FORMAT, LARGEST_HEADER, MOST_OPERANDS, Meta, Operand, Tensor, Time, Values, element,
    meta, tensor_name,
};
use crate::read::open;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::File,
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
};

/// An open capture whose header has been checked.
#[derive(Debug)]
pub struct Reader {
    path: PathBuf,
    file: File,
    meta: Meta,
    entries: Vec<Entry>,
}

/// A tensor in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The position of the operand in [`Meta::operands`].
    pub operand: usize,
    /// Whether it has the elements from before or after the call.
    pub time: Time,
    /// The offset of the elements in the file, in bytes.
    start: u64,
    /// The size of the elements in bytes.
    length: usize,
}

impl Entry {
    /// The size of its elements in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.length
    }
}

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// The system's error.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The error.
        error: io::Error,
    },
    /// It is not a capture, or it is damaged.
    #[error("{} is not a capture of a call: {what}", path.display())]
    Other {
        /// The file.
        path: PathBuf,
        /// The reason.
        what: String,
    },
    /// It was written by a newer program.
    #[error("{} has the format `{format}`, and this program reads `{FORMAT}`: use a newer installer", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The format in the file.
        format: String,
    },
}

/// A tensor's description in the header.
#[derive(Deserialize)]
struct Described {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl Capture<'static> {
    /// Reads a file with all its tensors.
    ///
    /// # Errors
    /// System errors, including a lack of memory for the tensors, and a file that is not a capture.
    pub fn read(path: &Path) -> Result<Self, Unreadable> {
        let reader = Reader::open(path)?;
        let mut tensors = Vec::new();
        for entry in reader.entries() {
            let data = reader.data(entry)?.into();
            tensors.push(Tensor { operand: entry.operand, time: entry.time, data });
        }
        Ok(Self { meta: reader.meta, tensors })
    }
}

impl Reader {
    /// Opens a file and reads its header.
    ///
    /// # Errors
    /// System errors, and a file that is not a capture.
    pub fn open(path: &Path) -> Result<Self, Unreadable> {
        let failed = |error| Unreadable::Io { path: path.to_owned(), error };
        let other = |what: String| Unreadable::Other { path: path.to_owned(), what };
        let file = open::regular(path).map_err(failed)?;
        let size = file.metadata().map_err(failed)?.len();
        let mut length = [0; 8];
        if size < 8 {
            return Err(other("it has no header".to_owned()));
        }
        file.read_exact_at(&mut length, 0).map_err(failed)?;
        let length = u64::from_le_bytes(length);
        if length > LARGEST_HEADER as u64 || length > size - 8 {
            return Err(other(format!("a header of {length} bytes is too long")));
        }
        let mut header = vec![0; length as usize];
        file.read_exact_at(&mut header, 8).map_err(failed)?;
        let mut header: Map<String, Value> = serde_json::from_slice(&header)
            .map_err(|error| other(format!("its header is not valid: {error}")))?;
        let meta = match metadata(header.remove("__metadata__")) {
            Ok(meta) => meta,
            Err(Refusal::Newer(format)) => {
                return Err(Unreadable::Newer { path: path.to_owned(), format });
            }
            Err(Refusal::Other(what)) => return Err(other(what)),
        };
        let entries = entries(&meta, header, 8 + length, size).map_err(other)?;
        Ok(Self { path: path.to_owned(), file, meta, entries })
    }

    /// The file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The metadata of the call.
    #[must_use]
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The tensors, in the order of operands and times.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The tensor of an operand at a time.
    #[must_use]
    pub fn entry(&self, operand: usize, time: Time) -> Option<&Entry> {
        self.entries.iter().find(|entry| (entry.operand, entry.time) == (operand, time))
    }

    /// A tensor's elements.
    ///
    /// # Errors
    /// System errors, including `OutOfMemory`.
    pub fn data(&self, entry: &Entry) -> Result<Vec<u8>, Unreadable> {
        let mut data = Vec::new();
        let reserved = data.try_reserve_exact(entry.length);
        reserved.map_err(|_| self.failed(io::ErrorKind::OutOfMemory.into()))?;
        data.resize(entry.length, 0);
        self.read_part(entry, 0, &mut data)?;
        Ok(data)
    }

    /// A part of a tensor's elements, starting at an offset in bytes.
    ///
    /// # Errors
    /// System errors, and `UnexpectedEof` for a part outside the tensor.
    pub fn read_part(
        &self,
        entry: &Entry,
        offset: usize,
        part: &mut [u8],
    ) -> Result<(), Unreadable> {
        let end = offset.checked_add(part.len());
        if end.is_none_or(|end| end > entry.length) {
            return Err(self.failed(io::ErrorKind::UnexpectedEof.into()));
        }
        let read = self.file.read_exact_at(part, entry.start + offset as u64);
        read.map_err(|error| self.failed(error))
    }

    fn failed(&self, error: io::Error) -> Unreadable {
        Unreadable::Io { path: self.path.clone(), error }
    }
}

enum Refusal {
    Newer(String),
    Other(String),
}

impl From<String> for Refusal {
    fn from(what: String) -> Self {
        Self::Other(what)
    }
}

/// The metadata, from its strings.
fn metadata(found: Option<Value>) -> Result<Meta, Refusal> {
    let Some(Value::Object(strings)) = found else {
        return Err("it is without metadata".to_owned().into());
    };
    match strings.get("format") {
        Some(Value::String(format)) if format == FORMAT => {}
        Some(Value::String(format)) if format.starts_with("rocblas-call ") => {
            return Err(Refusal::Newer(format.chars().take(40).collect()));
        }
        _ => return Err(format!("its metadata has no `format` of `{FORMAT}`").into()),
    }
    let mut fields = Map::new();
    for (name, value) in strings {
        let Value::String(text) = value else {
            return Err(format!("`{name}` in its metadata is not a string").into());
        };
        let value = match meta::is_plain(&name) {
            true => Value::String(text),
            false => serde_json::from_str(&text)
                .map_err(|error| format!("`{name}` in its metadata is not valid: {error}"))?,
        };
        fields.insert(name, value);
    }
    let meta: Meta = serde_json::from_value(Value::Object(fields))
        .map_err(|error| format!("its metadata is not valid: {error}"))?;
    if meta.operands.len() > MOST_OPERANDS {
        return Err(format!("it has {} operands", meta.operands.len()).into());
    }
    let mut names = BTreeSet::new();
    if let Some(twice) = meta.operands.iter().find(|operand| !names.insert(&operand.parameter)) {
        return Err(format!("it has the operand `{}` twice", twice.parameter).into());
    }
    if let Some(operand) = meta.operands.iter().find(|operand| !operand.is_consistent()) {
        let name = &operand.parameter;
        return Err(format!("its operand `{name}` is not as long as its layout says").into());
    }
    Ok(meta)
}

/// The tensors: each belongs to an operand and has the length of its span, and they fill the file up to its end.
fn entries(
    meta: &Meta,
    header: Map<String, Value>,
    start: u64,
    size: u64,
) -> Result<Vec<Entry>, String> {
    let mut known: BTreeMap<String, (usize, Time)> = BTreeMap::new();
    for (position, operand) in meta.operands.iter().enumerate() {
        for time in [Time::Before, Time::After] {
            known.insert(tensor_name(operand, time), (position, time));
        }
    }
    let mut entries = Vec::new();
    for (name, value) in header {
        let &(operand, time) =
            known.get(&name).ok_or_else(|| format!("the tensor `{name}` is of no operand"))?;
        let described: Described = serde_json::from_value(value)
            .map_err(|error| format!("the tensor `{name}` is not valid: {error}"))?;
        let length = check_tensor(&meta.operands[operand], &described)
            .ok_or_else(|| format!("the tensor `{name}` is not what its operand is"))?;
        let begin = start.checked_add(described.data_offsets[0]);
        let begin = begin.ok_or_else(|| format!("the tensor `{name}` is outside of the file"))?;
        entries.push(Entry { operand, time, start: begin, length });
    }
    if meta.values != Values::Complete && !entries.is_empty() {
        return Err("it says that it has no values, and has some".to_owned());
    }
    entries.sort_by_key(|entry| (entry.start, entry.length));
    let mut end = start;
    for entry in &entries {
        if entry.start != end {
            return Err("its tensors overlap or leave gaps".to_owned());
        }
        end = end
            .checked_add(entry.length as u64)
            .filter(|end| *end <= size)
            .ok_or_else(|| "its tensors are cut off".to_owned())?;
    }
    if end != size {
        return Err("there is something behind its tensors".to_owned());
    }
    entries.sort_by_key(|entry| (entry.operand, entry.time));
    Ok(entries)
}

/// The length of a tensor in bytes, if it agrees with the operand's shape and type.
fn check_tensor(operand: &Operand, described: &Described) -> Option<usize> {
    let mut shape = operand.shape();
    shape.extend(operand.element.is_complex().then_some(2));
    let bytes = operand.bytes()?;
    let [begin, end] = described.data_offsets;
    let is_it = described.dtype == element::dtype(operand.element)
        && described.shape == shape
        && end.checked_sub(begin) == Some(bytes as u64);
    is_it.then_some(bytes)
}
