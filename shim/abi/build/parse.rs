//! Reads the data files. They are part of the source, so a line with a wrong format stops the build with
//! its number.

use crate::releases::{Releases, Versions};

pub(crate) struct Param {
    pub(crate) ty: Type,
    pub(crate) name: String,
    /// `in`, `out`, `inout`: a scalar whose memory follows the pointer mode.
    pub(crate) scalar: Option<String>,
    /// Whether a released header confirms it.
    pub(crate) confirmed: bool,
}

pub(crate) struct Type {
    pub(crate) base: String,
    pub(crate) constant: bool,
    pub(crate) pointers: usize,
    /// `T *const *`: the array of pointers is const.
    pub(crate) constant_array: bool,
}

pub(crate) struct Function {
    pub(crate) name: String,
    pub(crate) returns: String,
    pub(crate) params: Vec<Param>,
    pub(crate) variadic: bool,
    pub(crate) whose: Whose,
    pub(crate) versions: Versions,
}

/// Which of several backends a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    /// The backend of the handle in this parameter.
    Handle(u8),
    /// The backend of the handle in the object that this parameter points to.
    DeviceMalloc(u8),
    Device,
    All,
    /// Every backend; the result is the largest one, or the largest value behind each of the parameters
    /// `first..first + count`.
    Max {
        first: u8,
        count: u8,
    },
    Any,
}

impl Whose {
    /// Parses the word after the `@`.
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "device" => Self::Device,
            "all" => Self::All,
            "any" => Self::Any,
            "max" => Self::Max { first: 0, count: 0 },
            _ => match word.strip_prefix("max:").map(|places| places.split_once('+')) {
                Some(places) => {
                    let (first, count) = places?;
                    Self::Max { first: first.parse().ok()?, count: count.parse().ok()? }
                }
                None => Self::Handle(word.parse().ok()?),
            },
        })
    }

    /// Derives it from the parameters of a C function, if possible.
    fn of_parameters(params: &[Param]) -> Option<Self> {
        params.iter().zip(0..).find_map(|(param, at)| {
            match (param.ty.base.as_str(), param.ty.pointers) {
                ("handle", 0) => Some(Self::Handle(at)),
                ("device_malloc", 1) => Some(Self::DeviceMalloc(at)),
                _ => None,
            }
        })
    }
}

pub(crate) struct CxxSymbol {
    pub(crate) name: String,
    pub(crate) returns: String,
    /// `None` for data.
    pub(crate) whose: Option<Whose>,
    pub(crate) importers: Vec<String>,
    pub(crate) versions: Versions,
}

pub(crate) struct EnumValue {
    pub(crate) value: i64,
    pub(crate) name: String,
    pub(crate) versions: Versions,
}

pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) values: Vec<EnumValue>,
}

/// Lines that are neither empty nor comments, each with its versions heading and its number for messages.
fn lines<'a>(
    text: &'a str,
    releases: &Releases,
) -> impl Iterator<Item = (usize, Versions, &'a str)> {
    let mut heading = Versions::default();
    text.lines().enumerate().filter_map(move |(i, line)| {
        let line = line.trim();
        if let Some(inner) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            heading = releases.versions(inner);
            return None;
        }
        (!line.is_empty() && !line.starts_with('#')).then(|| (i + 1, heading, line))
    })
}

fn parse_type(text: &str) -> Type {
    let pointers = text.matches('*').count();
    let (constant, rest) = match text.strip_prefix("const ") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let base = rest.split('*').next().unwrap_or_default().to_owned();
    Type { base, constant, pointers, constant_array: rest.contains("*const*") }
}

fn parse_param(text: &str, line: usize) -> Param {
    let (ty, name) = text
        .rsplit_once(' ')
        .unwrap_or_else(|| panic!("functions.abi:{line}: parameter without a name: {text}"));
    let mut marks = name.split(':');
    let name = marks.next().unwrap_or_default().to_owned();
    let mut param = Param { ty: parse_type(ty), name, scalar: None, confirmed: true };
    for mark in marks {
        match mark {
            "in" | "out" | "inout" => param.scalar = Some(mark.to_owned()),
            "unconfirmed" => param.confirmed = false,
            _ => panic!("functions.abi:{line}: unknown mark: {text}"),
        }
    }
    param
}

/// `functions.abi`
pub(crate) fn functions(text: &str, releases: &Releases) -> Vec<Function> {
    lines(text, releases)
        .map(|(line, versions, declaration)| {
            let (declaration, word) = match declaration.rsplit_once(" @") {
                Some((declaration, word)) => (declaration, Some(word)),
                None => (declaration, None),
            };
            let parts = || {
                let (head, params) = declaration.strip_suffix(')')?.split_once('(')?;
                let (returns, name) = head.rsplit_once(' ')?;
                Some((returns, name, params))
            };
            let (returns, name, params) = parts().unwrap_or_else(|| {
                panic!("functions.abi:{line}: not a declaration: {declaration}")
            });
            let mut params: Vec<&str> = params.split(", ").filter(|p| !p.is_empty()).collect();
            let variadic = params.last() == Some(&"...");
            if variadic {
                params.pop();
            }
            let params: Vec<Param> = params.into_iter().map(|p| parse_param(p, line)).collect();
            let whose = match (Whose::of_parameters(&params), word.map(Whose::parse)) {
                (Some(whose), None) | (None, Some(Some(whose))) => whose,
                _ => {
                    panic!("functions.abi:{line}: neither a handle nor a word after an `@`: {declaration}")
                }
            };
            Function {
                name: name.to_owned(),
                returns: returns.to_owned(),
                params,
                variadic,
                whose,
                versions,
            }
        })
        .collect()
}

/// `cxx.abi`
pub(crate) fn cxx(text: &str, releases: &Releases) -> Vec<CxxSymbol> {
    lines(text, releases)
        .map(|(line, versions, text)| {
            let (symbol, importers) = text.split_once('#').unwrap_or((text, ""));
            let mut words = symbol.split_whitespace();
            let (Some(returns), Some(name)) = (words.next(), words.next()) else {
                panic!("cxx.abi:{line}: not `RETURNS SYMBOL`: {text}");
            };
            let whose = words.next().and_then(|word| Whose::parse(word.strip_prefix('@')?));
            assert!(
                whose.is_some() || returns.starts_with("data:"),
                "cxx.abi:{line}: no handle and no word behind an `@`: {text}"
            );
            CxxSymbol {
                name: name.to_owned(),
                returns: returns.to_owned(),
                whose,
                importers: importers.split_whitespace().map(str::to_owned).collect(),
                versions,
            }
        })
        .collect()
}

/// `enums.abi`
pub(crate) fn enums(text: &str, releases: &Releases) -> Vec<Enum> {
    let mut enums: Vec<Enum> = Vec::new();
    for (line, _, text) in lines(text, releases) {
        if let Some(name) = text.strip_prefix("enum ") {
            enums.push(Enum { name: name.to_owned(), values: Vec::new() });
            continue;
        }
        let (text, versions) = match text.split_once(" [") {
            Some((text, versions)) => (text, releases.versions(versions.trim_end_matches(']'))),
            None => (text, releases.all()),
        };
        let value = text.split_once(' ').and_then(|(value, name)| {
            Some(EnumValue { value: value.parse().ok()?, name: name.to_owned(), versions })
        });
        match (enums.last_mut(), value) {
            (Some(last), Some(value)) => last.values.push(value),
            _ => panic!("enums.abi:{line}: not `VALUE NAME` within an enum: {text}"),
        }
    }
    enums
}
