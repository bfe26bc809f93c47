//! A parsed line of a log: the message without the prefixes of its surroundings, and the facts in it. Advice
//! names these facts, so that it fits this tree and this GPU.

use super::prefix;
use crate::source::gpu_of;
use rocblas_contract::{
    libraries::{HIPBLASLT, ROCBLAS},
    store::STORE,
};
use std::path::{Component, Path, PathBuf};

/// How much of a line is kept for display, in bytes.
const SHOWN: usize = 400;

/// The contents of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Line {
    /// The message, without prefixes.
    pub message: String,
    /// The line as displayed: trimmed, without escapes, truncated if long.
    pub shown: String,
    /// The GPU that it names: `gfx906`.
    pub gpu: Option<String>,
    /// The path of a library or directory.
    pub path: Option<PathBuf>,
    /// The library: the file name with its version, `librocblas.so.5.0.70002`.
    pub library: Option<String>,
    /// The library directory of the tree that the path is in.
    pub tree: Option<PathBuf>,
    /// The release of ROCm, from the names of directories and files: `7.0.2`.
    pub release: Option<String>,
    /// The name of an error of HIP or hipBLAS, and its number.
    pub error: Option<(String, Option<u32>)>,
}

impl Line {
    /// Parses a line that has no escapes. A line of Docker's own log files is JSON.
    #[must_use]
    pub fn read(raw: &str) -> Self {
        let raw = raw.trim_matches(|c: char| c.is_whitespace() || c == '\0' || c == '\u{feff}');
        let unwrapped = unwrapped(raw);
        let text = unwrapped.as_deref().unwrap_or(raw).trim();
        let message = prefix::message(text);
        // The loader first names the library that lacks something, then the one that needs it.
        let about = message.split_once("(required by ").map_or(message, |(_, needing)| needing);
        let path = path_of(about);
        // Of several libraries, the loader names the missing one last.
        let missing = message.split_once(": cannot open shared object file");
        let missing = missing.and_then(|(before, _)| before.rsplit(char::is_whitespace).next());
        let library = missing.and_then(library_of).or_else(|| library_of(about));
        let tree = path.as_deref().and_then(tree_of).or_else(|| bundle_of_ollama(message));
        let release = path.as_deref().and_then(release_of);
        Self {
            gpu: gpu_in(message),
            release: release.or_else(|| library.as_deref().and_then(release_of_library)),
            error: error_of(message),
            shown: cut(text).to_owned(),
            message: message.to_owned(),
            path,
            library,
            tree,
        }
    }
}

/// The message in a line of JSON, as written by Docker's `json-file` driver and by structured loggers.
fn unwrapped(line: &str) -> Option<String> {
    const FIELDS: [&str; 4] = ["log", "msg", "message", "MESSAGE"];
    if !line.starts_with('{') {
        return None;
    }
    let value: serde_json::Value = serde_json::from_str(line).ok()?;
    let text = FIELDS.iter().find_map(|field| value.get(field)?.as_str())?;
    Some(prefix::without_escapes(text).trim().to_owned())
}

fn cut(text: &str) -> &str {
    match text.char_indices().find(|(at, c)| at + c.len_utf8() > SHOWN) {
        Some((at, _)) => &text[..at],
        None => text,
    }
}

/// The GPU of a message: the one after the words with which rocBLAS, HIP and llama.cpp name it, or else the
/// last one named, even in a file name.
fn gpu_in(message: &str) -> Option<String> {
    const BEFORE: [&str; 6] =
        ["GPU arch :", "GPU arch:", "for ISA:", "objects found for:", "compute=", "gpu_type="];
    let after = |lead: &&str| message.rfind(*lead).map(|at| &message[at + lead.len()..]);
    let named = BEFORE.iter().find_map(after).and_then(gpu_of);
    let last = || {
        let starts = message.match_indices("gfx").map(|(at, _)| at).collect::<Vec<_>>();
        starts.into_iter().rev().find_map(|at| {
            // The preceding character decides whether it is a separate word.
            let before = message[..at].chars().next_back().map_or(at, |c| at - c.len_utf8());
            gpu_of(&message[before..]).filter(|gpu| message[at..].starts_with(gpu))
        })
    };
    named.or_else(last).map(str::to_owned)
}

/// The first absolute path that contains a library or a directory of kernels, with `..` resolved lexically.
fn path_of(message: &str) -> Option<PathBuf> {
    let is_start = |before: Option<char>| {
        before.is_none_or(|c| {
            c.is_whitespace() || matches!(c, '"' | '\'' | '`' | '=' | '(' | '[' | ':')
        })
    };
    let starts = message.match_indices('/').map(|(at, _)| at);
    let mut starts = starts.filter(|at| is_start(message[..*at].chars().next_back()));
    starts.find_map(|at| {
        let text = &message[at..];
        // A path in rocBLAS's message may contain blanks; it ends with a colon.
        let end = if message[..at].ends_with("Cannot read ") {
            text.find(": ").unwrap_or(text.len())
        } else {
            let ends = |c: char| {
                c.is_whitespace() || matches!(c, '"' | '\'' | '`' | ',' | ')' | ']' | '*')
            };
            let end = text.find(ends).unwrap_or(text.len());
            text[..end].find(':').unwrap_or(end)
        };
        let path = normal(Path::new(text[..end].trim_end_matches(['.', ';', ':'])));
        let is_useful =
            path.to_str().is_some_and(|path| path.contains(".so") || path.contains("/library"));
        is_useful.then_some(path)
    })
}

/// Removes `.` and `..` lexically: the file may be on another machine.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => {
                normal.pop();
            }
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

/// The library directory of a path below it, either of a library or of rocBLAS's or hipBLASLt's kernels, with
/// or without Debian's versioned directory.
fn tree_of(path: &Path) -> Option<PathBuf> {
    let is_owner = |path: &&Path| path.ends_with("rocblas") || path.ends_with("hipblaslt");
    let of_kernels = path
        .ancestors()
        .filter(|above| above.ends_with("library"))
        .find_map(|above| above.ancestors().skip(1).take(2).find(is_owner)?.parent());
    let store = path.ancestors().find(|above| above.ends_with(STORE));
    if let Some(store) = store {
        return store.parent().map(Path::to_owned);
    }
    let is_library = path.file_name()?.to_str()?.contains(".so");
    let lib = of_kernels.or_else(|| if is_library { path.parent() } else { None })?;
    // `/` and `/lib` are not ROCm trees.
    (lib.components().count() > 2).then(|| lib.to_owned())
}

/// What paths of Ollama's ROCm libraries contain.
pub(crate) const OLLAMA_BUNDLE: &str = "/ollama/rocm";

/// The bundle of ROCm libraries that Ollama passed to its runner: `OLLAMA_LIBRARY_PATH="[/usr/lib/ollama
/// /usr/lib/ollama/rocm]"`, `libdir=/usr/lib/ollama/rocm_v7`.
fn bundle_of_ollama(message: &str) -> Option<PathBuf> {
    let ends = |c: char| {
        c.is_whitespace() || matches!(c, '"' | '\'' | '[' | ']' | ':' | '=' | ',' | '(' | ')')
    };
    let mut words = message.split(ends).filter(|word| word.starts_with('/'));
    words.find_map(|word| {
        let at = word.find(OLLAMA_BUNDLE)?;
        let end = word[at + OLLAMA_BUNDLE.len()..].find('/');
        let bundle = end.map_or(word, |end| &word[..at + OLLAMA_BUNDLE.len() + end]);
        Some(PathBuf::from(bundle))
    })
}

/// The first library that a message names.
fn library_of(message: &str) -> Option<String> {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '+');
    let words = message.split(|c| !is_of_a_name(c));
    let mut libraries = words.filter_map(|word| {
        let word = word.trim_end_matches('.');
        let at = word.find(".so")?;
        let whole = matches!(word.as_bytes().get(at + 3), None | Some(b'.'));
        (word.starts_with("lib") && whole).then_some(word)
    });
    libraries.next().map(str::to_owned)
}

/// The release in a directory's name: `rocm-7.0.2`, `core-7.14`.
fn release_of(path: &Path) -> Option<String> {
    path.iter().find_map(|name| {
        let name = name.to_str()?;
        let number = name.strip_prefix("rocm-").or_else(|| name.strip_prefix("core-"))?;
        number.starts_with(|c: char| c.is_ascii_digit()).then(|| number.to_owned())
    })
}

/// The release in a file's name, in AMD's numbering: `librocblas.so.5.0.70002` is from 7.0.2.
fn release_of_library(name: &str) -> Option<String> {
    let number = name.rsplit('.').next().filter(|number| number.len() >= 5)?;
    let number: u32 = number.parse().ok()?;
    Some(format!("{}.{}.{}", number / 10_000, number / 100 % 100, number % 100))
}

/// `'hipErrorInvalidDeviceFunction':98`, `HIPBLAS_STATUS_NOT_SUPPORTED`, `rocblas_status_internal_error`.
fn error_of(message: &str) -> Option<(String, Option<u32>)> {
    const BEGINNINGS: [&str; 4] =
        ["hipError", "HIPBLAS_STATUS_", "HSA_STATUS_ERROR", "rocblas_status_"];
    let at = BEGINNINGS.iter().filter_map(|start| message.find(start)).min()?;
    let text = &message[at..];
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    let number = text[end..].trim_start_matches(['\'', ':', '(', ' ']);
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    Some((text[..end].to_owned(), number[..digits].parse().ok()))
}

/// Whether a library's name is that of `librocblas`, or another given library, in any version.
pub(crate) fn is_library(name: &str, library: &str) -> bool {
    let stem = library.split(".so").next().unwrap_or(library);
    name.strip_prefix(stem).is_some_and(|rest| rest.starts_with(".so"))
}

/// Whether the line's library is rocBLAS itself.
pub(crate) fn is_rocblas(line: &Line) -> bool {
    line.library.as_deref().is_some_and(|name| is_library(name, ROCBLAS))
}

/// Whether the line's library is hipBLASLt.
pub(crate) fn is_hipblaslt(line: &Line) -> bool {
    line.library.as_deref().is_some_and(|name| is_library(name, HIPBLASLT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_read() {
        let line = Line::read(
            "rocBLAS error: Cannot read /media/My Disk/venv/lib/python3.12/site-packages/torch/lib/\
             rocblas/library/TensileLibrary.dat: Illegal seek for GPU arch : gfx900",
        );
        assert_eq!(line.gpu.as_deref(), Some("gfx900"));
        let tree = "/media/My Disk/venv/lib/python3.12/site-packages/torch/lib";
        assert_eq!(line.tree.as_deref(), Some(Path::new(tree)));
        let line = Line::read(
            "rocBLAS error: Cannot read /opt/rocm-6.4.1/lib/llvm/bin/../../../lib/rocblas/library/\
             TensileLibrary.dat: No such file or directory for GPU arch : gfx1036",
        );
        assert_eq!(line.tree.as_deref(), Some(Path::new("/opt/rocm-6.4.1/lib")));
        assert_eq!(line.release.as_deref(), Some("6.4.1"));
        let line = Line::read(
            ":1:hip_fatbin.cpp :272 : 3169196830 us: Cannot find CO in the bundle \
             /opt/rocm/lib/librocblas.so.5.0.70002 for ISA: gfx906:sramecc+:xnack-",
        );
        assert_eq!(line.gpu.as_deref(), Some("gfx906"));
        assert_eq!(line.library.as_deref(), Some("librocblas.so.5.0.70002"));
        assert_eq!(line.release.as_deref(), Some("7.0.2"));
        assert!(is_rocblas(&line) && !is_hipblaslt(&line));
        let line =
            Line::read("rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98");
        assert_eq!(line.error, Some(("hipErrorInvalidDeviceFunction".to_owned(), Some(98))));
    }

    #[test]
    fn what_is_not_there_is_not_made_up() {
        let line = Line::read("rocBLAS error from hip error code: 'hipErrorOutOfMemory'");
        assert_eq!(line.error, Some(("hipErrorOutOfMemory".to_owned(), None)));
        let all = (line.gpu, line.path, line.library, line.tree, line.release);
        assert_eq!(all, (None, None, None, None, None));
        assert_eq!(Line::read("libfoo.sox mygfx906 /lib/x.so").tree, None);
        assert_eq!(release_of_library("librocblas.so.5"), None);
    }

    #[test]
    fn a_backend_in_the_store_is_of_the_tree_that_has_the_store() {
        let line = Line::read(
            "./app: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by \
             /opt/rocm/lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4)",
        );
        assert_eq!(line.tree.as_deref(), Some(Path::new("/opt/rocm/lib")));
        assert!(is_rocblas(&line));
    }

    #[test]
    fn dockers_own_files_are_json() {
        let line =
            Line::read(r#"{"log":"\u001b[31mrocBLAS error: x\u001b[0m\r\n","stream":"stderr"}"#);
        assert_eq!(line.message, "rocBLAS error: x");
        assert_eq!(Line::read("{not json} rocBLAS").message, "{not json} rocBLAS");
    }
}
