//! The shim and the installer have no copies of facts in `rocblas-contract`: in their source code, except
//! comments and tests, no literal is or contains one of its names, paths, numbers or sentences. Messages may name
//! a library or a variable, but only one that is in the contract.

use rocblas_contract::{
    hip, hip_errors, kpack, libraries, listener,
    sentences::{PREFIX, Sentence},
    store, tensile, variables,
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::artefacts::workspace;

/// Literals that look like a fact but are something else, with the reason.
const ALLOWED: [(&str, &str, &str); 1] =
    [("installer/src/fetch/client.rs", "rocblas-shim-installer/", "names this project to servers")];

/// A string or number in the source text.
struct Literal {
    file: PathBuf,
    line: usize,
    /// Its value.
    text: String,
}

/// The literals of a file that are neither in comments nor in tests.
fn literals(file: &Path, source: &str) -> Vec<Literal> {
    const TEST: &str = "#[cfg(test)]";
    let mut found = Vec::new();
    // Within a test's item: the number of open brackets.
    let mut test: Option<usize> = None;
    let mut rest = source;
    let mut is_in_word = false;
    while let Some(c) = rest.chars().next() {
        let (token, is_literal) = token(rest, is_in_word);
        if rest.starts_with(TEST) {
            test = Some(0);
            rest = &rest[TEST.len()..];
            continue;
        }
        if let Some(open) = &mut test {
            match c {
                '(' | '[' | '{' => *open += 1,
                ')' | ']' | '}' => *open -= 1,
                _ => {}
            }
            if *open == 0 && matches!(c, '}' | ';') {
                test = None;
            }
        } else if is_literal {
            let line = 1 + source[..source.len() - rest.len()].matches('\n').count();
            found.push(Literal { file: file.to_owned(), line, text: value(token) });
        }
        is_in_word = token.ends_with(|c: char| c.is_alphanumeric() || c == '_') && !is_literal;
        rest = &rest[token.len()..];
    }
    found
}

/// The first token of a source text, as far as strings, numbers and comments are concerned, and whether it is a
/// string or a number.
fn token(source: &str, is_in_word: bool) -> (&str, bool) {
    let is_of_a_word = |c: char| c.is_alphanumeric() || c == '_';
    let after = |start: usize, end: &str| {
        start + source[start..].find(end).map_or(source.len() - start, |at| at + end.len())
    };
    if source.starts_with("//") {
        return (&source[..after(0, "\n")], false);
    }
    if source.starts_with("/*") {
        return (&source[..after(2, "*/")], false);
    }
    let first = source.chars().next().unwrap_or_default();
    if first == '\'' {
        // A character, or the quote of a lifetime.
        let second = source[1..].chars().next().unwrap_or_default();
        let end = if second == '\\' { after(3, "'") } else { 2 + second.len_utf8() };
        let is_character = source.get(end - 1..end) == Some("'");
        return (&source[..if is_character { end } else { 1 }], false);
    }
    if is_in_word {
        return (&source[..first.len_utf8()], false);
    }
    if first.is_ascii_digit() {
        let end = source.find(|c| !is_of_a_word(c)).unwrap_or(source.len());
        return (&source[..end], true);
    }
    let start = source.trim_start_matches(['b', 'c', 'r']);
    let hashes = start.len() - start.trim_start_matches('#').len();
    let prefix = source.len() - start.len();
    let is_raw = source[..prefix].contains('r');
    if prefix > 2 || !start[hashes..].starts_with('"') || (hashes > 0 && !is_raw) {
        return (&source[..first.len_utf8()], false);
    }
    let mut end = prefix + hashes + 1;
    if is_raw {
        return (&source[..after(end, &format!("\"{}", "#".repeat(hashes)))], true);
    }
    while let Some(at) = source[end..].find(['\\', '"']) {
        let is_end = source[end + at..].starts_with('"');
        end += at + if is_end { 1 } else { 2 };
        if is_end {
            break;
        }
    }
    (&source[..end], true)
}

/// The value of a literal, with the escapes that matter here: newlines, quotes and NUL.
fn value(literal: &str) -> String {
    let Some(start) = literal.find('"') else { return literal.replace('_', "") };
    let inner = &literal[start + 1..literal.rfind('"').expect("two quotes")];
    if literal[..start].contains('r') {
        return inner.to_owned();
    }
    let mut lines = inner.split("\\\n");
    let first = lines.next().unwrap_or_default().to_owned();
    let joined = lines.fold(first, |text, line| text + line.trim_start());
    joined.replace("\\n", "\n").replace("\\\"", "\"").replace("\\0", "\0").replace("\\\\", "\\")
}

/// The fact that a literal repeats, if any.
fn repeats(literal: &Literal) -> Option<String> {
    let text = literal.text.as_str();
    let fragment = fragments().find(|fragment| text.contains(fragment.as_str()));
    if let Some(fragment) = fragment {
        return Some(format!("the sentence `{fragment}`"));
    }
    if text.contains(char::is_whitespace) && !text.starts_with(PREFIX) {
        return misnames(text);
    }
    let is_number = text.starts_with(|c: char| c.is_ascii_digit());
    let numbers = [hip::DEVICE_PROPERTIES, hip::ARCHITECTURE.start, hip::ARCHITECTURE.end];
    let whole = |fact: &&&str| text == **fact || text.starts_with(&format!("{fact}/"));
    let number = numbers.map(|number| number.to_string());
    let own = [store::BACKENDS, store::SETTINGS, tensile::PLACES_OF_ROCBLAS[0], tensile::ENTRY];
    let part = |fact: &&&str| text.contains(**fact);
    let named = [
        store::STORE,
        variables::PREFIX,
        listener::THREAD,
        libraries::ROCBLAS,
        libraries::HIPBLAS,
        libraries::ROCSOLVER,
        "libamdhip64",
        "libhipblaslt",
        "TensileLibrary",
        tensile::PLACES[0],
        kpack::REFERENCE_SECTION,
        kpack::PLACEHOLDER,
        kpack::PATH_VARIABLE,
        hip::GET_DEVICE_PROPERTIES.to_str().expect("ASCII"),
    ];
    let of_others = [
        variables::TENSILE_LIBPATH,
        variables::TENSILE_OVERRIDE,
        variables::USE_HIPBLASLT,
        variables::DEFAULT_ATOMICS_MODE,
    ];
    let of_others = of_others.map(|name| name.to_str().expect("ASCII"));
    if is_number {
        return number.contains(&literal.text).then(|| format!("the offset {text}"));
    }
    let fact = own.iter().find(whole).or_else(|| named.iter().chain(&of_others).find(part));
    fact.map(|fact| format!("`{fact}`"))
}

/// The fixed parts of the shim's sentences that are long enough to be unique.
fn fragments() -> impl Iterator<Item = String> {
    const SHORTEST: usize = 20;
    let parts = Sentence::ALL.iter().flat_map(|sentence| sentence.fixed()).flatten();
    parts.filter(|part| part.len() >= SHORTEST).map(str::to_owned)
}

/// A name in a message that is not in the contract.
fn misnames(text: &str) -> Option<String> {
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
    let mut words = text.split(|c| !is_of_a_name(c)).map(|word| word.trim_end_matches('.'));
    let renamed = libraries::RENAMED;
    words.find_map(|word| {
        let is_version = |library: &str| {
            let version = libraries::version_of(word, library);
            version.is_some_and(|version| version.parse::<u32>().is_ok())
        };
        let is_known = if word.starts_with(variables::PREFIX) {
            word == variables::PREFIX || variables::ALL.contains(&word)
        } else if is_version(libraries::ROCBLAS) {
            [libraries::SONAME, libraries::BACKEND_SONAME].contains(&word)
        } else {
            let library = renamed.iter().find(|renamed| is_version(renamed.name));
            library.is_none_or(|renamed| [renamed.old, renamed.new].contains(&word))
        };
        (!is_known).then(|| format!("`{word}`, which the contract does not know"))
    })
}

/// The source files of the shim and the installer.
fn files() -> Vec<PathBuf> {
    let mut found = files_in(&["shim/src", "shim/trace-format/src", "installer/src"]);
    found.extend(["shim/build.rs", "installer/build.rs"].map(|file| workspace().join(file)));
    found
}

/// The source files in directories of the workspace, except those of tests.
fn files_in(directories: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories: Vec<PathBuf> = directories.iter().map(|d| workspace().join(d)).collect();
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            match (path.is_dir(), name.as_str()) {
                (_, "tests" | "tests.rs" | "testing.rs") => {}
                (true, _) => directories.push(path),
                (false, name) if name.ends_with(".rs") => found.push(path),
                (false, _) => {}
            }
        }
    }
    found
}

fn faults(literals: &[Literal]) -> Vec<String> {
    let fault = |literal: &Literal| {
        let is_allowed = |(file, text, _): &(&str, &str, &str)| {
            literal.file.ends_with(file) && literal.text == *text
        };
        let what = repeats(literal).filter(|_| !ALLOWED.iter().any(is_allowed))?;
        let file = literal.file.strip_prefix(workspace()).unwrap_or(&literal.file);
        Some(format!("{}:{}: {what}", file.display(), literal.line))
    };
    literals.iter().filter_map(fault).collect()
}

#[test]
fn neither_the_shim_nor_the_installer_repeats_what_the_contract_states() {
    let files = files();
    let read = |file: &PathBuf| literals(file, &fs::read_to_string(file).expect("a text"));
    let literals: Vec<Literal> = files.iter().flat_map(read).collect();
    assert!(files.len() > 150 && literals.len() > 1_000, "{} files", files.len());
    let faults = faults(&literals);
    assert!(faults.is_empty(), "use `rocblas_contract` instead of:\n{}", faults.join("\n"));
    for (file, text, why) in ALLOWED {
        let is_there = |literal: &Literal| literal.file.ends_with(file) && literal.text == text;
        assert!(literals.iter().any(is_there), "{file} has no `{text}` ({why}) any more");
    }
}

#[test]
fn names_of_hips_errors_are_in_one_table() {
    let files = [files(), files_in(&["tests/standins/recording-hip/src"])].concat();
    let read = |file: &PathBuf| literals(file, &fs::read_to_string(file).expect("a text"));
    let is_name = |text: &str| hip_errors::NAMES.iter().any(|(_, name)| *name == text);
    let copies: Vec<String> = files
        .iter()
        .flat_map(read)
        .filter(|literal| is_name(&literal.text))
        .map(|literal| format!("{}:{}: {}", literal.file.display(), literal.line, literal.text))
        .collect();
    assert!(
        copies.is_empty(),
        "use `rocblas_contract::hip_errors` instead of:\n{}",
        copies.join("\n")
    );
}

/// The faults in a source text.
fn found(source: &str) -> Vec<String> {
    faults(&literals(Path::new("x.rs"), source))
}

#[test]
fn a_copy_of_a_fact_is_found_in_each_kind_of_literal() {
    for source in [
        r#"const STORE: &str = "rocblas-shim";"#,
        r#"fn f() { lib.join("backends").join(name) }"#,
        r#"fn f() { format!("{lib}/librocblas.so.4") }"#,
        r#"const NOTE: &[u8] = b"rocblas-shim\0";"#,
        r#"const NAME: &CStr = c"ROCBLAS_TENSILE_LIBPATH";"#,
        r##"const NAME: &str = r#"ROCBLAS_SHIM_LOG"#;"##,
        r#"#[link(name = "libamdhip64.so.7")] extern "C" {}"#,
        "const SIZE: usize = 1_472;",
        r#"fn f() { error!("the backend has no Tensile kernels for {target}") }"#,
        "const LONG: &str = \"no usable \\\n    rocBLAS backend: every rocBLAS call returns \
         rocblas_status_internal_error\";",
        r#"fn f() { bail!("unset ROCBLAS_SHIM_BACKENDS, please") }"#,
        r#"fn f() { bail!("set it to a librocblas.so.3") }"#,
        r#"fn f() { bail!("ROCm 7 has libamdhip64.so.8.") }"#,
        "#[cfg(test)] mod tests { fn f() {} } const STORE: &str = \"rocblas-shim\";",
    ] {
        assert_eq!(found(source).len(), 1, "{source}: {:?}", found(source));
    }
}

#[test]
fn comments_tests_and_sentences_with_right_names_are_no_copies() {
    for source in [
        "// \"rocblas-shim\"\n/// ROCBLAS_SHIM_LOG\nfn f() {}",
        r#"#[cfg(test)] mod tests { const STORE: &str = "rocblas-shim"; }"#,
        r#"#[cfg(test)] const STORE: &str = "rocblas-shim";"#,
        r#"fn f() { bail!("unset ROCBLAS_SHIM_BACKEND; see ROCBLAS_SHIM_* in shim.toml") }"#,
        r#"fn f() { bail!("librocblas.so.4 needs libamdhip64.so.6, not librocblas.so.5.0.70002") }"#,
        r#"fn f() { other("backends list") }"#,
    ] {
        assert_eq!(found(source), [""; 0], "{source}");
    }
}
