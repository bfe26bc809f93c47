//! Writes the generated Rust code. Indices are assigned only here: exported C functions by name, then
//! exported C++ functions by name, then the C functions that are known but not exported.

use crate::{
    parse::{CxxSymbol, Enum, Function, Param, Whose},
    releases::{Releases, Versions},
};
use std::{collections::BTreeSet, fmt::Write};

/// `status` -> `Status`, `pointer_mode` -> `PointerMode`: the variants that `src/types.rs` declares.
fn variant(name: &str) -> String {
    name.split('_').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

fn sorted<T>(items: impl Iterator<Item = T>, name: impl Fn(&T) -> &str) -> Vec<T> {
    let mut items: Vec<T> = items.collect();
    items.sort_by(|a, b| name(a).cmp(name(b)));
    items
}

struct Ordered<'a> {
    c: Vec<&'a Function>,
    cxx: Vec<&'a CxxSymbol>,
    removed: Vec<&'a Function>,
    data: Vec<&'a CxxSymbol>,
}

fn order<'a>(functions: &'a [Function], cxx: &'a [CxxSymbol], releases: &Releases) -> Ordered<'a> {
    let exported = |versions| releases.export(versions);
    let is_data = |s: &&CxxSymbol| s.returns.starts_with("data:");
    Ordered {
        c: sorted(functions.iter().filter(|f| exported(f.versions)), |f| &f.name),
        cxx: sorted(cxx.iter().filter(|s| exported(s.versions) && !is_data(s)), |s| &s.name),
        removed: sorted(functions.iter().filter(|f| !exported(f.versions)), |f| &f.name),
        data: sorted(cxx.iter().filter(is_data), |s| &s.name),
    }
}

/// The exported C functions by index.
pub(crate) fn exported<'a>(functions: &'a [Function], releases: &Releases) -> Vec<&'a Function> {
    order(functions, &[], releases).c
}

/// The [`Whose`] of each export, by index.
fn whose_of_exports(ordered: &Ordered<'_>) -> Vec<Whose> {
    let cxx = ordered.cxx.iter().copied().map(of_function);
    ordered.c.iter().map(|f| f.whose).chain(cxx).collect()
}

fn list_macro<'a>(
    out: &mut String,
    name: &str,
    doc: &str,
    symbols: impl Iterator<Item = (usize, &'a str)>,
) {
    writeln!(out, "{doc}\n#[macro_export]\nmacro_rules! {name} {{\n    ($($callback:ident)::+) => {{ $($callback)::+! {{")
        .expect("write to a string");
    for (index, symbol) in symbols {
        writeln!(out, "        ({index} {symbol})").expect("write to a string");
    }
    out.push_str("    } };\n}\n");
}

/// The macros that expand a callback over every symbol.
pub(crate) fn symbols(functions: &[Function], cxx: &[CxxSymbol], releases: &Releases) -> String {
    let ordered = order(functions, cxx, releases);
    let exports: Vec<&str> = ordered
        .c
        .iter()
        .map(|f| f.name.as_str())
        .chain(ordered.cxx.iter().map(|s| s.name.as_str()))
        .collect();
    let removed: Vec<&str> = ordered.removed.iter().map(|f| f.name.as_str()).collect();
    let mut out = String::new();
    list_macro(
        &mut out,
        "for_each_export",
        "/// Expands `callback! { (0 rocblas_abort) (1 ...) ... }` with index and name of every exported\n\
         /// function, C functions first. Mangled names are identifiers too.",
        exports.iter().copied().enumerate(),
    );
    let exports_from = |range: std::ops::Range<usize>| {
        range.clone().zip(exports[range].iter().copied()).collect::<Vec<_>>()
    };
    list_macro(
        &mut out,
        "for_each_c_export",
        "/// The same for the exported C functions.",
        exports_from(0..ordered.c.len()).into_iter(),
    );
    list_macro(
        &mut out,
        "for_each_cxx_export",
        "/// The same for the exported C++ functions.",
        exports_from(ordered.c.len()..exports.len()).into_iter(),
    );
    list_macro(
        &mut out,
        "for_each_removed",
        "/// The same for the C functions that rocBLAS 4.x has and 5.x lacks; their indices follow the exports.",
        (exports.len()..).zip(removed.iter().copied()),
    );
    let of_exports = whose_of_exports(&ordered);
    type IsOne = fn(Whose) -> bool;
    let chosen: [(&str, &str, IsOne); 4] = [
        (
            "for_each_export_with_a_handle_first",
            "/// The same for the exports whose first parameter is the handle.",
            |whose| whose == Whose::Handle(0),
        ),
        (
            "for_each_export_with_a_handle_second",
            "/// The same for the exports whose second parameter is the handle.",
            |whose| whose == Whose::Handle(1),
        ),
        (
            "for_each_export_with_a_device_malloc_first",
            "/// The same for the exports whose first parameter points to a `device_malloc` object.",
            |whose| whose == Whose::DeviceMalloc(0),
        ),
        (
            "for_each_export_of_all",
            "/// The same for the exports that are called on every backend.",
            |whose| matches!(whose, Whose::All | Whose::Max { .. }),
        ),
    ];
    for (name, doc, is_one) in chosen {
        let those = exports.iter().copied().enumerate().filter(|(i, _)| is_one(of_exports[*i]));
        list_macro(&mut out, name, doc, those);
    }
    let typed: Vec<String> = ordered
        .c
        .iter()
        .enumerate()
        .filter(|(_, f)| !f.variadic)
        .map(|(i, f)| format!("        ({i} {} {})\n", f.name, f.params.len()))
        .collect();
    for (i, release) in releases.list.iter().enumerate() {
        let has = |v: &Versions| (v.known | v.unsure) & (1 << i) != 0;
        let c = ordered.c.iter().chain(&ordered.removed).map(|f| (f.name.as_str(), &f.versions));
        let cxx = ordered.cxx.iter().map(|s| (s.name.as_str(), &s.versions));
        let of_release: BTreeSet<&str> =
            c.chain(cxx).filter(|(_, v)| has(v)).map(|(name, _)| name).collect();
        let all = exports.iter().chain(&removed).enumerate();
        let symbols: Vec<String> = all
            .filter(|(_, name)| of_release.contains(*name))
            .map(|(index, name)| format!("        ({index} {name})\n"))
            .collect();
        write!(
            out,
            "/// Expands `callback! {{ (0 rocblas_abort) ... }}` with index and name of the functions that the\n\
             /// library of ROCm {} has, or may have.\n#[macro_export]\nmacro_rules! for_each_function_of_rocm_{} {{\n    \
             ($($callback:ident)::+) => {{ $($callback)::+! {{\n{}    }} }};\n}}\n",
            release.rocm,
            release.rocm.replace('.', "_"),
            symbols.concat()
        )
        .expect("write to a string");
    }
    write!(
        out,
        "/// Expands `callback! {{ (0 rocblas_abort 0) (1 ...) ... }}` with index, name and number of parameters\n\
         /// of the exported C functions that are not variadic.\n#[macro_export]\nmacro_rules! for_each_typed_export {{\n    \
         ($($callback:ident)::+) => {{ $($callback)::+! {{\n{}    }} }};\n}}\n",
        typed.concat()
    )
    .expect("write to a string");
    out
}

/// The parameters of the exported C functions, packed into bytes without relocations for a library that
/// must load fast: see `src/signature.rs`.
pub(crate) fn signatures(functions: &[Function], enums: &[Enum], releases: &Releases) -> String {
    let ordered = order(functions, &[], releases);
    let mut names: Vec<&str> =
        ordered.c.iter().flat_map(|f| &f.params).map(|p| p.name.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    let mut distinct: Vec<String> = Vec::new();
    let mut numbers: Vec<usize> = Vec::new();
    let mut starts = vec![0];
    for f in &ordered.c {
        for p in &f.params {
            let name = names.binary_search(&p.name.as_str()).expect("collected above");
            let name = u8::try_from(name).expect("fewer than 256 names of parameters");
            let packed = format!(
                "    PackedParam {{ name: {name}, scalar: {}, confirmed: {}, ty: {} }},\n",
                scalar(p),
                p.confirmed,
                type_of(p, enums)
            );
            let known = distinct.iter().position(|other| *other == packed);
            numbers.push(known.unwrap_or(distinct.len()));
            if known.is_none() {
                distinct.push(packed);
            }
        }
        starts.push(numbers.len());
    }
    let mut out = String::new();
    write!(
        out,
        "static PARAM_NAMES: &str = {:?};\n\
         static PARAM_NAME_ENDS: [u16; {}] = {:?};\n\
         static PARAM_STARTS: [u16; {}] = {starts:?};\n\
         static PARAMS: [u16; {}] = {numbers:?};\n\
         static DISTINCT_PARAMS: [PackedParam; {}] = [\n{}];\n",
        names.concat(),
        names.len(),
        names
            .iter()
            .scan(0, |end, name| {
                *end += name.len();
                Some(*end)
            })
            .collect::<Vec<_>>(),
        starts.len(),
        numbers.len(),
        distinct.len(),
        distinct.concat(),
    )
    .expect("write to a string");
    out
}

fn whose(whose: Whose) -> String {
    format!("Whose::{whose:?}")
}

/// The backend that calls of a C++ function go to; the parser checks that each function has one.
fn of_function(symbol: &CxxSymbol) -> Whose {
    symbol.whose.expect("the parser requires it for functions")
}

fn versions(versions: Versions) -> String {
    format!("Versions {{ known: {:#b}, unsure: {:#b} }}", versions.known, versions.unsure)
}

fn returns(name: &str) -> String {
    let name = match name {
        "const char*" => "CString",
        "string" => "StdString",
        "argument" => "FirstArgument",
        other => return format!("Returns::{}", variant(other)),
    };
    format!("Returns::{name}")
}

fn base(name: &str, enums: &[Enum]) -> String {
    if enums.iter().any(|e| e.name == name) {
        format!("Base::Enum(EnumId::{})", variant(name))
    } else {
        format!("Base::{}", variant(name))
    }
}

fn scalar(p: &Param) -> String {
    match p.scalar.as_deref() {
        None => "None".to_owned(),
        Some("inout") => "Some(Direction::InOut)".to_owned(),
        Some(direction) => format!("Some(Direction::{})", variant(direction)),
    }
}

fn type_of(p: &Param, enums: &[Enum]) -> String {
    format!(
        "Type {{ base: {}, constant: {}, pointers: {}, constant_array: {} }}",
        base(&p.ty.base, enums),
        p.ty.constant,
        p.ty.pointers,
        p.ty.constant_array
    )
}

fn function(out: &mut String, index: usize, f: &Function, enums: &[Enum]) {
    let kind = if f.variadic { "Variadic" } else { "C" };
    writeln!(
        out,
        "    Function {{ index: {index}, name: {:?}, kind: Kind::{kind}, returns: {}, versions: {}, whose: {}, importers: &[], params: &[",
        f.name,
        returns(&f.returns),
        versions(f.versions),
        whose(f.whose)
    )
    .expect("write to a string");
    for p in &f.params {
        writeln!(
            out,
            "        Param {{ name: {:?}, scalar: {}, confirmed: {}, ty: {} }},",
            p.name,
            scalar(p),
            p.confirmed,
            type_of(p, enums)
        )
        .expect("write to a string");
    }
    out.push_str("    ] },\n");
}

/// The releases, and what the shim presents.
pub(crate) fn releases(releases: &Releases) -> String {
    let mut out = String::new();
    let w = &mut out;
    write!(
        w,
        "/// The version of rocBLAS that the shim presents.\npub const PRESENTED: &str = {:?};\n\
         /// Whether the version of the tree's own rocBLAS takes precedence, if it is a known one.\n\
         pub const FOLLOWS_TREE: bool = {};\n\
         /// The SONAME that the shim has.\npub const SONAME: &str = {:?};\n\
         /// The releases that the table knows, oldest first.\n\
         pub static RELEASES: [Release; {}] = [\n",
        releases.presented(),
        releases.follows_tree(),
        releases.soname(),
        releases.list.len()
    )
    .expect("write to a string");
    for (i, release) in releases.list.iter().enumerate() {
        writeln!(
            w,
            "    Release {{ index: {i}, rocm: {:?}, rocblas: {:?}, soname: {:?} }},",
            release.rocm, release.rocblas, release.soname
        )
        .expect("write to a string");
    }
    w.push_str("];\n");
    out
}

/// The lookup tables of the library.
pub(crate) fn table(
    functions: &[Function],
    cxx: &[CxxSymbol],
    enums: &[Enum],
    releases: &Releases,
) -> String {
    let ordered = order(functions, cxx, releases);
    let (c, exports) = (ordered.c.len(), ordered.c.len() + ordered.cxx.len());
    let all = exports + ordered.removed.len();
    let mut out = String::new();
    let w = &mut out;
    write!(
        w,
        "/// Exported C functions: the first of the exports.\npub const C_EXPORTS: usize = {c};\n\
         /// Exported functions, C and C++.\npub const EXPORTS: usize = {exports};\n\
         /// Every symbol of the table: the exports, then the functions that 5.0 removed.\n\
         pub static FUNCTIONS: [Function; {all}] = [\n"
    )
    .expect("write to a string");
    for (i, f) in ordered.c.iter().enumerate() {
        function(w, i, f, enums);
    }
    for (i, s) in ordered.cxx.iter().enumerate() {
        writeln!(
            w,
            "    Function {{ index: {}, name: {:?}, kind: Kind::Cxx, returns: {}, versions: {}, whose: {}, importers: &{:?}, params: &[] }},",
            c + i, s.name, returns(&s.returns), versions(s.versions), whose(of_function(s)), s.importers
        )
        .expect("write to a string");
    }
    for (i, f) in ordered.removed.iter().enumerate() {
        function(w, exports + i, f, enums);
    }
    w.push_str("];\n");

    let exported_returns =
        ordered.c.iter().map(|f| &f.returns).chain(ordered.cxx.iter().map(|s| &s.returns));
    write!(
        w,
        "/// What each export returns, by index: one byte each and no relocations, for the shim.\n\
         pub static RETURNS: [Returns; {exports}] = [\n"
    )
    .expect("write to a string");
    for r in exported_returns {
        writeln!(w, "    {},", returns(r)).expect("write to a string");
    }
    w.push_str("];\n");

    write!(
        w,
        "/// Which of several backends a call of each export is for, by index: without relocations, for the\n\
         /// shim.\npub static WHOSE: [Whose; {exports}] = [\n"
    )
    .expect("write to a string");
    for of_export in whose_of_exports(&ordered) {
        writeln!(w, "    {},", whose(of_export)).expect("write to a string");
    }
    w.push_str("];\n");

    w.push_str(
        "/// Exported data: name and size in bytes.\npub static DATA: &[(&str, usize)] = &[\n",
    );
    for s in &ordered.data {
        let size = s.returns.trim_start_matches("data:");
        writeln!(w, "    ({:?}, {size}),", s.name).expect("write to a string");
    }
    w.push_str("];\n");

    w.push_str(
        "/// The enums of the C API.\n#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]\npub enum EnumId {\n",
    );
    for e in enums {
        writeln!(w, "    /// `rocblas_{}`\n    {},", e.name, variant(&e.name))
            .expect("write to a string");
    }
    write!(w, "}}\n/// Every enum with its values, in the order of [`EnumId`].\npub static ENUMS: [Enum; {}] = [\n", enums.len())
        .expect("write to a string");
    for e in enums {
        writeln!(
            w,
            "    Enum {{ id: EnumId::{}, name: \"rocblas_{}\", values: &[",
            variant(&e.name),
            e.name
        )
        .expect("write to a string");
        for v in &e.values {
            writeln!(
                w,
                "        EnumValue {{ value: {}, name: {:?}, versions: {} }},",
                v.value,
                v.name,
                versions(v.versions)
            )
            .expect("write to a string");
        }
        w.push_str("    ] },\n");
    }
    w.push_str("];\n");
    out
}
