//! The functions of a program or library, from its symbol tables (`.symtab`, `.dynsym`).

use object::{
    LittleEndian, Object, ObjectSymbol, ReadCache, SymbolKind, elf::FileHeader64,
    read::elf::ElfFile,
};
use rocblas_trace::read::regular;
use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

/// Larger than the largest library of ROCm, including debug information.
const MOST_BYTES: u64 = 16 << 30;

/// More than any of those libraries has.
const MOST_SYMBOLS: usize = 4 << 20;

/// The most characters shown of a name: names of templates have thousands.
const MOST_CHARACTERS: usize = 160;

/// Functions by address.
#[derive(Debug, Default)]
pub(super) struct Functions(Vec<Function>);

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Function {
    start: u64,
    /// 0 if the file does not state it.
    size: u64,
    name: Box<[u8]>,
}

impl Functions {
    /// The functions of the file at a path and of its debug file; none if it is a different build.
    pub(super) fn of(path: &Path, build_id: &str) -> Self {
        let mut functions = Vec::new();
        let _ = read(path, build_id, &mut functions);
        if let Some(path) = debug_file(build_id) {
            let _ = read(&path, build_id, &mut functions);
        }
        functions.sort_unstable();
        functions.dedup();
        Self(functions)
    }

    /// The name of the function that contains an address of the file.
    pub(super) fn name(&self, address: u64) -> Option<String> {
        /// Few functions start within another one.
        const MOST_NESTED: usize = 16;
        let behind = self.0.partition_point(|function| function.start <= address);
        let before = self.0[..behind].iter().rev().take(MOST_NESTED);
        let nearest = self.0[..behind].last()?.start;
        let has = |function: &&Function| {
            let distance = address - function.start;
            distance < function.size || function.size == 0 && function.start == nearest
        };
        before.clone().find(has).map(|function| demangled(&function.name))
    }
}

/// Appends the functions of a file. Returns `None` if it does not exist, is not an ELF file, or is a
/// different build.
fn read(path: &Path, build_id: &str, functions: &mut Vec<Function>) -> Option<()> {
    let file = regular(path).ok()?;
    if file.metadata().ok()?.len() > MOST_BYTES {
        return None;
    }
    let cache = ReadCache::new(file);
    let file = ElfFile::<FileHeader64<LittleEndian>, _>::parse(&cache).ok()?;
    let own = file.build_id().ok()?.unwrap_or_default();
    if hexadecimal(own) != build_id {
        return None;
    }
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let symbols =
        symbols.filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.is_definition());
    functions.extend(symbols.take(MOST_SYMBOLS).filter_map(|symbol| {
        let name = symbol.name_bytes().ok().filter(|name| !name.is_empty())?;
        Some(Function { start: symbol.address(), size: symbol.size(), name: name.into() })
    }));
    Some(())
}

/// Where distributions install the symbols of stripped files.
fn debug_file(build_id: &str) -> Option<PathBuf> {
    let is_hexadecimal = build_id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let (first, rest) = build_id.split_at_checked(2).filter(|_| is_hexadecimal)?;
    Some(format!("/usr/lib/debug/.build-id/{first}/{rest}.debug").into())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut digits, byte| {
        // Writing to a string cannot fail.
        let _ = write!(digits, "{byte:02x}");
        digits
    })
}

/// A C, C++ or Rust name as written in the source, without parameters.
fn demangled(name: &[u8]) -> String {
    let plain = String::from_utf8_lossy(name);
    // Rust's legacy mangling is C++'s with a hash.
    let is_rust = plain.starts_with("_R") || plain.contains("17h");
    let rust = is_rust.then(|| rustc_demangle::try_demangle(&plain).ok()).flatten();
    let cxx = || {
        let symbol = plain.starts_with("_Z").then(|| cpp_demangle::Symbol::new(name).ok())??;
        let options = cpp_demangle::DemangleOptions::new().no_params().no_return_type();
        symbol.demangle_with_options(&options).ok()
    };
    let name = rust.map(|name| format!("{name:#}")).or_else(cxx).unwrap_or(plain.into_owned());
    match name.char_indices().nth(MOST_CHARACTERS) {
        Some((end, _)) => format!("{}...", &name[..end]),
        None => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_source() {
        for (mangled, name) in [
            ("main", "main"),
            ("_ZN4ggml5solveEPKfi", "ggml::solve"),
            ("_ZN12_GLOBAL__N_13runEv", "(anonymous namespace)::run"),
            ("_Z3addIfEvT_", "add<float>"),
            ("_ZN4core3fmt5write17h0123456789abcdefE", "core::fmt::write"),
            ("_RNvC6_123foo3bar", "123foo::bar"),
            ("_Zbroken", "_Zbroken"),
        ] {
            assert_eq!(demangled(mangled.as_bytes()), name);
        }
        assert_eq!(demangled(&[b'a'; 1000]).len(), MOST_CHARACTERS + 3);
    }

    #[test]
    fn an_address_has_the_function_around_it() {
        let function = |start, size, name: &[u8]| Function { start, size, name: name.into() };
        let functions = Functions(vec![
            function(100, 50, b"outer"),
            function(110, 10, b"inner"),
            function(200, 0, b"assembly"),
            function(300, 1, b"short"),
        ]);
        let names = [99, 100, 115, 120, 149, 150, 200, 299, 300, 301]
            .map(|address| functions.name(address).unwrap_or_default());
        assert_eq!(
            names,
            ["", "outer", "inner", "outer", "outer", "", "assembly", "assembly", "short", ""]
        );
        assert_eq!(Functions::default().name(100), None);
    }

    #[test]
    fn this_programs_own_functions_are_found() {
        let path = std::env::current_exe().expect("a file");
        let mut functions = Vec::new();
        assert_eq!(read(&path, "00", &mut functions), None, "of another build");
        let file = std::fs::File::open(&path).expect("open");
        let cache = ReadCache::new(file);
        let file = ElfFile::<FileHeader64<LittleEndian>, _>::parse(&cache).expect("ELF");
        let id = hexadecimal(file.build_id().expect("notes").unwrap_or_default());
        let functions = Functions::of(&path, &id);
        let names = functions.0.iter().map(|function| demangled(&function.name));
        assert!(
            names.into_iter().any(|name| name.ends_with("::this_programs_own_functions_are_found"))
        );
    }
}
