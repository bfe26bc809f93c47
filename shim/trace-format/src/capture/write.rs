//! Writes a capture. The file gets its name when it is complete: if the process is killed meanwhile, it
//! leaves a file with a name for unfinished files, which the next capture in the directory removes.

use super::{
    Capture, EXTENSION, LARGEST_HEADER, MOST_OPERANDS, Meta, Tensor, abandoned, element, meta,
    remove_abandoned, tensor_name,
};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

/// The most files with the same name apart from a number.
const MOST_ALIKE: u32 = 10_000;

impl Capture<'_> {
    /// Writes `NAME.safetensors` into a directory, or if that exists, `NAME-2.safetensors` and so on. Returns
    /// the file's path. No other file is changed, except those that [`remove_abandoned`] removes.
    ///
    /// # Errors
    /// System errors, and `InvalidInput` for an invalid file name, tensors whose length is not their operand's, and
    /// metadata larger than [`LARGEST_HEADER`].
    pub fn write(&self, directory: &Path, name: &str) -> io::Result<PathBuf> {
        if name.is_empty() || name.contains(['/', '\0']) {
            return Err(invalid("the name is not that of a file"));
        }
        let header = self.header()?;
        // Frees space, since a lack of it may have ended the writer.
        let _ = remove_abandoned(directory);
        let (unfinished, mut file) = abandoned::create(directory, name)?;
        let written =
            self.write_to(&header, &mut file).and_then(|()| place(&unfinished, directory, name));
        // This fails on a file system without hard links, where the file has been renamed.
        let _ = fs::remove_file(&unfinished);
        written
    }

    fn write_to(&self, header: &[u8], file: &mut File) -> io::Result<()> {
        file.write_all(header)?;
        self.in_order().into_iter().try_for_each(|tensor| file.write_all(&tensor.data))
    }

    /// The tensors with the largest elements first, so that each is aligned.
    fn in_order(&self) -> Vec<&Tensor<'_>> {
        let mut tensors: Vec<_> = self.tensors.iter().collect();
        tensors.sort_by_key(|tensor| {
            let alignment =
                self.meta.operands.get(tensor.operand).map(|o| element::alignment(o.element));
            (core::cmp::Reverse(alignment), tensor.operand, tensor.time)
        });
        tensors
    }

    /// The length of the header and the header, padded so that tensors begin at a multiple of eight.
    fn header(&self) -> io::Result<Vec<u8>> {
        if self.meta.operands.len() > MOST_OPERANDS {
            return Err(invalid("there are too many operands"));
        }
        let mut header = Map::new();
        header.insert("__metadata__".to_owned(), Value::Object(metadata(&self.meta)?));
        let mut offset = 0_usize;
        for tensor in self.in_order() {
            let operand = (self.meta.operands.get(tensor.operand))
                .ok_or_else(|| invalid("a tensor is of no operand"))?;
            if operand.bytes() != Some(tensor.data.len()) {
                return Err(invalid("a tensor is not as long as its operand's span"));
            }
            let mut shape = operand.shape();
            shape.extend(operand.element.is_complex().then_some(2));
            let end = offset.checked_add(tensor.data.len()).ok_or_else(|| invalid("too long"))?;
            let entry = json!({
                "dtype": element::dtype(operand.element),
                "shape": shape,
                "data_offsets": [offset, end],
            });
            if header.insert(tensor_name(operand, tensor.time), entry).is_some() {
                return Err(invalid("two tensors are of one operand and time"));
            }
            offset = end;
        }
        let mut text = serde_json::to_vec(&header)?;
        text.resize(text.len().next_multiple_of(8), b' ');
        if text.len() > LARGEST_HEADER {
            return Err(invalid("the metadata is too large"));
        }
        let mut bytes = (text.len() as u64).to_le_bytes().to_vec();
        bytes.append(&mut text);
        Ok(bytes)
    }
}

/// The metadata as strings.
fn metadata(meta: &Meta) -> io::Result<Map<String, Value>> {
    let Value::Object(fields) = serde_json::to_value(meta)? else {
        return Err(invalid("the metadata is no map"));
    };
    let as_string = |(name, value): (String, Value)| {
        let text = match value {
            Value::String(text) if meta::is_plain(&name) => text,
            other => other.to_string(),
        };
        (name, Value::String(text))
    };
    Ok(fields.into_iter().map(as_string).collect())
}

/// Gives a complete file the first free name.
fn place(unfinished: &Path, directory: &Path, name: &str) -> io::Result<PathBuf> {
    for number in 1..=MOST_ALIKE {
        let suffix = if number == 1 { String::new() } else { format!("-{number}") };
        let path = directory.join(format!("{name}{suffix}.{EXTENSION}"));
        match fs::hard_link(unfinished, &path) {
            Ok(()) => return Ok(path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            // The file system has no hard links. Another process could create the name in between.
            Err(_) if path.symlink_metadata().is_err() => {
                return fs::rename(unfinished, &path).map(|()| path);
            }
            Err(_) => {}
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, "all names are taken"))
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, why)
}
