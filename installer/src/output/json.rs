//! JSON documents. Each is an object whose first member is the schema version, and all strings are safe to
//! print on a terminal, since unprintable characters are escaped as in JSON.

use super::printable::is_printable;
use serde::{Serialize, Serializer};
use serde_json::ser::{CompactFormatter, Formatter, PrettyFormatter};
use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

/// Incremented when a member changes its meaning or is removed, but not for new members.
pub const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Document<'a, T> {
    schema: u32,
    #[serde(flatten)]
    value: &'a T,
}

/// A document with indentation, ending in a line break.
///
/// # Errors
/// A value that is not an object, or that JSON cannot represent: a path that is not UTF-8 and is not
/// serialized by [`path`].
pub fn document(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    write(value, PrettyFormatter::new())
}

/// A document in one line, ending in a line break.
///
/// # Errors
/// As for [`document`].
pub fn line(value: &impl Serialize) -> serde_json::Result<Vec<u8>> {
    write(value, CompactFormatter)
}

fn write(value: &impl Serialize, format: impl Formatter) -> serde_json::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, Printable { format });
    Document { schema: SCHEMA, value }.serialize(&mut serializer)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Serializes a path; bytes that are not UTF-8 become `\xff`, since JSON cannot represent them.
///
/// # Errors
/// Any error of the serializer.
pub fn path<S: Serializer>(path: &(impl AsRef<Path> + ?Sized), to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&path_text(path.as_ref()))
}

/// Like [`path`], for an optional path.
///
/// # Errors
/// Any error of the serializer.
pub fn optional_path<S: Serializer>(
    path: &Option<impl AsRef<Path>>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match path {
        Some(path) => to.serialize_some(&path_text(path.as_ref())),
        None => to.serialize_none(),
    }
}

/// Like [`path`], for several paths.
///
/// # Errors
/// Any error of the serializer.
pub fn paths<P, S: Serializer>(paths: &P, to: S) -> Result<S::Ok, S::Error>
where
    for<'a> &'a P: IntoIterator<Item = &'a PathBuf>,
{
    to.collect_seq(paths.into_iter().map(|path| path_text(path)))
}

/// A path as a string, unchanged if it is UTF-8.
#[must_use]
pub fn path_text(path: &Path) -> String {
    use std::{fmt::Write as _, os::unix::ffi::OsStrExt};
    let mut text = String::new();
    for chunk in path.as_os_str().as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            // Writing to a string does not fail.
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A formatter that escapes unprintable characters as `\u202e`.
struct Printable<F> {
    format: F,
}

/// Forwards methods.
macro_rules! pass_on {
    ($($method:ident($($argument:ident: $type:ty),*);)*) => {
        $(
            fn $method<W: ?Sized + Write>(
                &mut self,
                writer: &mut W,
                $($argument: $type),*
            ) -> io::Result<()> {
                self.format.$method(writer, $($argument),*)
            }
        )*
    };
}

impl<F: Formatter> Formatter for Printable<F> {
    fn write_string_fragment<W: ?Sized + Write>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| !is_printable(*c)) {
            writer.write_all(&rest.as_bytes()[..at])?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(writer, "\\u{unit:04x}")?;
            }
            rest = &rest[at + c.len_utf8()..];
        }
        writer.write_all(rest.as_bytes())
    }

    // Methods that the pretty formatter overrides.
    pass_on! {
        begin_array();
        end_array();
        begin_array_value(first: bool);
        end_array_value();
        begin_object();
        end_object();
        begin_object_key(first: bool);
        begin_object_value();
        end_object_value();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};
    use std::{ffi::OsStr, os::unix::ffi::OsStrExt};

    #[test]
    fn a_document_has_its_version_first_and_nothing_for_a_terminal() {
        let name = "a\u{1b}\n\u{202e}\u{7f}\u{e0001}\"é";
        let value = json!({"name": name, "list": [1, {"b": []}]});
        for bytes in [document(&value), line(&value)].map(|bytes| bytes.expect("JSON")) {
            let text = String::from_utf8(bytes).expect("UTF-8");
            assert!(text.trim_start_matches(['{', '\n', ' ']).starts_with("\"schema\":"), "{text}");
            assert!(text.chars().all(|c| c == '\n' || is_printable(c)), "{text}");
            let read: Value = serde_json::from_str(&text).expect("valid");
            let (name_read, list) = (&read["name"], &read["list"]);
            assert_eq!((name_read, list), (&Value::from(name), &value["list"]));
            assert_eq!(read["schema"], SCHEMA);
        }
        let pretty = serde_json::to_string_pretty(&json!({"schema": 1, "x": [1, {}]}));
        let ours = document(&json!({"x": [1, {}]})).expect("JSON");
        assert_eq!(String::from_utf8_lossy(&ours).trim_end(), pretty.expect("JSON"));
    }

    #[test]
    fn a_path_need_not_be_utf_8() {
        #[derive(Serialize)]
        struct Paths<'a> {
            #[serde(serialize_with = "path")]
            one: &'a Path,
            #[serde(serialize_with = "optional_path")]
            none: Option<&'a Path>,
            #[serde(serialize_with = "paths")]
            all: Vec<PathBuf>,
        }
        let one = Path::new(OsStr::from_bytes(b"/a\xffb"));
        let bytes =
            line(&Paths { one, none: None, all: vec![one.to_owned(), PathBuf::from("/c")] });
        let text = String::from_utf8(bytes.expect("JSON")).expect("UTF-8");
        let expected = r#"{"schema":1,"one":"/a\\xffb","none":null,"all":["/a\\xffb","/c"]}"#;
        assert_eq!(text.trim_end(), expected);
        assert!(document(&json!([1])).is_err(), "a list has no place for a version");
    }
}
