//! `shim.toml` in the store, which selects the shim's backend. People edit this file, so a change preserves
//! the rest of it, comments included.

use crate::{
    place::Place,
    root::{Root, read_text},
};
use anyhow::{Context, Result, anyhow};
use rocblas_abi::RELEASES;
use rocblas_contract::{
    route::{AUTO, DEFAULT, Gpus, no_rule},
    store::{BACKEND_SETTING, BACKENDS, PRESENTS_SETTING, ROUTE_SETTING, SETTINGS},
};
use std::{
    io,
    path::{Path, PathBuf},
};
use toml_edit::{DocumentMut, TomlError, value};

/// Larger than any settings that a person writes, in bytes.
const MOST_SETTINGS: u64 = 1 << 20;

/// More than this program writes on its own, in bytes.
const MOST_WRITTEN: usize = 4096;

/// Where the settings of a tree are, relative to its library directory.
#[must_use]
pub fn place() -> Place {
    Place::in_store(SETTINGS).expect("a plain name")
}

/// Where the settings of a tree are, inside the root.
#[must_use]
pub fn path(lib: &Path) -> PathBuf {
    lib.join(place().path())
}

/// The text of the settings, empty if there are none.
pub fn text(root: &Root, lib: &Path) -> Result<String> {
    let path = path(lib);
    match root.open(&path).and_then(|file| read_text(file, MOST_SETTINGS)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        other => other.with_context(|| format!("cannot read {}", path.display())),
    }
}

/// The backend that the settings name; if they name none, that of the route for all other GPUs, or of the
/// first rule.
pub fn backend(text: &str) -> Result<Option<String>> {
    if let Some(backend) = string(text, BACKEND_SETTING)? {
        return Ok(Some(backend));
    }
    // An invalid rule names no backend.
    let rules = rules(&parse(text)?).into_iter().flatten().filter(|rule| rule.backend != AUTO);
    let rules: Vec<Rule> = rules.collect();
    let default = rules.iter().find(|rule| rule.gpus == Gpus::Default);
    Ok(default.or(rules.first()).map(|rule| rule.backend.clone()))
}

/// A rule of `[route]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its key, as written.
    pub key: String,
    /// The GPUs that it is for.
    pub gpus: Gpus,
    /// A name in the store, or a path.
    pub backend: String,
}

/// The rules of `[route]`, ordered by key, as the shim reads them. The error describes the first invalid
/// rule.
pub fn route(text: &str) -> Result<Vec<Rule>> {
    rules(&parse(text)?).into_iter().collect()
}

fn rules(document: &DocumentMut) -> Vec<Result<Rule>> {
    let table = document.get(ROUTE_SETTING).and_then(|item| item.as_table_like());
    let mut entries: Vec<(&str, &str)> = (table.into_iter().flat_map(|table| table.iter()))
        .map(|(key, item)| (key, item.as_str().unwrap_or_default()))
        .collect();
    entries.sort_unstable();
    let rule = |(key, backend): (&str, &str)| {
        let gpus = Gpus::parse(key).filter(|_| !backend.is_empty());
        let gpus =
            gpus.ok_or_else(|| anyhow!("[route]: {}", no_rule(&format!("{key}={backend}"))))?;
        Ok(Rule { key: key.to_owned(), gpus, backend: backend.to_owned() })
    };
    entries.into_iter().map(rule).collect()
}

/// The same settings with these rules, by their keys. Other rules stay, and so do the comments of rules that
/// do not change.
pub fn with_route(text: &str, rules: &[(String, String)]) -> Result<String> {
    let mut document = parse(text)?;
    let route = document.entry(ROUTE_SETTING).or_insert_with(toml_edit::table);
    for (key, backend) in rules {
        if route.get(key).and_then(|item| item.as_str()) != Some(backend) {
            route[key.as_str()] = value(backend.as_str());
        }
    }
    Ok(document.to_string())
}

/// The same settings, with a route for all GPUs without a rule to the newest backend that serves them.
pub fn with_auto(text: &str) -> Result<String> {
    let mut document = parse(text)?;
    let route = document.entry(ROUTE_SETTING).or_insert_with(toml_edit::table);
    if route.get(DEFAULT).is_some() {
        return Ok(text.to_owned());
    }
    let is_new = route.as_table().is_some_and(toml_edit::Table::is_empty);
    route[DEFAULT] = value(AUTO);
    if is_new && let Some(mut key) = route.as_table_mut().and_then(|table| table.key_mut(DEFAULT)) {
        key.leaf_decor_mut().set_prefix(
            "# Each GPU gets the newest backend in the store that serves it: installer backends routes\n",
        );
    }
    Ok(document.to_string())
}

/// The version of rocBLAS that the settings make the shim present.
pub fn presented(text: &str) -> Result<Option<String>> {
    string(text, PRESENTS_SETTING)
}

/// The error has the position but not the line itself, which may be as long as the file.
pub(crate) fn parse(text: &str) -> Result<DocumentMut> {
    text.parse().map_err(|e: TomlError| {
        let before = e.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        anyhow!("{SETTINGS} is not valid TOML, line {line}: {}", e.message())
    })
}

fn string(text: &str, key: &str) -> Result<Option<String>> {
    Ok(parse(text)?.get(key).and_then(|item| item.as_str()).map(str::to_owned))
}

fn is_released(version: &str) -> bool {
    RELEASES.iter().any(|release| release.rocblas == version)
}

/// Whether the settings are exactly what this program writes on its own.
#[must_use]
pub fn is_unedited(text: &str) -> bool {
    // Long text was not written here, and is slow to parse.
    if text.len() > MOST_WRITTEN {
        return false;
    }
    let written = || -> Option<String> {
        let plain = with_backend("", &backend(text).ok()??).ok()?;
        let presenting = match presented(text).ok()? {
            Some(version) if is_released(&version) => with_presented(&plain, &version).ok()?,
            _ => plain,
        };
        let is_routed = !route(text).ok()?.is_empty();
        if is_routed { with_auto(&presenting).ok() } else { Some(presenting) }
    };
    written().as_deref() == Some(text)
}

/// The same settings with the version that belongs to the tree. A version that no release has is a person's
/// choice and stays.
pub fn with_presented(text: &str, version: &str) -> Result<String> {
    let before = presented(text)?;
    if before.as_deref().is_some_and(|before| before == version || !is_released(before)) {
        return Ok(text.to_owned());
    }
    let mut document = parse(text)?;
    document[PRESENTS_SETTING] = value(version);
    if before.is_none()
        && let Some(mut key) = document.key_mut(PRESENTS_SETTING)
    {
        key.leaf_decor_mut().set_prefix("\n# The version of rocBLAS that programs are told.\n");
    }
    Ok(document.to_string())
}

/// The same settings with another backend.
pub fn with_backend(text: &str, name: &str) -> Result<String> {
    let mut document = parse(text).map_err(|e| {
        anyhow!("{e}; fix it, or move it away and run this command again to create a new one")
    })?;
    if document.is_empty() && document.trailing().as_str().unwrap_or("").is_empty() {
        return Ok(format!(
            "# Settings of the rocBLAS shim; shim/docs/settings.md lists all of them.\n\n\
             # A directory in {BACKENDS}/, or a path.\n{BACKEND_SETTING} = {}\n",
            value(name).to_string().trim()
        ));
    }
    document[BACKEND_SETTING] = value(name);
    Ok(document.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_keeps_the_rest() {
        let edited = "# mine\nlog = \"warn\"\nbackend = \"a\" # why\n[compat]\natomics = false\n";
        let changed = with_backend(edited, "6.3.0").expect("TOML");
        assert_eq!(changed, edited.replace("\"a\" # why", "\"6.3.0\""));
        assert_eq!(backend(&changed).expect("TOML").as_deref(), Some("6.3.0"));
    }

    #[test]
    fn a_route_is_read_and_written_and_may_name_the_first_backend() {
        let text = "# mine\nbackend = \"a\" # why\n[route]\ngfx1100 = \"b\" # fast\n";
        let rules = [("gfx906", "c"), ("gfx1100", "d")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        let changed = with_route(text, &rules).expect("TOML");
        // A comment about the old value does not apply to the new one.
        assert_eq!(changed, text.replace("\"b\" # fast", "\"d\"") + "gfx906 = \"c\"\n");
        let same = [("gfx1100".to_owned(), "b".to_owned())];
        assert_eq!(with_route(text, &same).expect("TOML"), text);
        let read = route(&changed).expect("rules");
        let read: Vec<_> = read.iter().map(|r| (r.key.as_str(), r.backend.as_str())).collect();
        assert_eq!(read, [("gfx1100", "d"), ("gfx906", "c")]);
        assert_eq!(backend(&changed).expect("TOML").as_deref(), Some("a"));
        let without = changed.replace("backend", "# backend");
        assert_eq!(backend(&without).expect("TOML").as_deref(), Some("d"));
        let default = without + "default = \"e\"\n";
        assert_eq!(backend(&default).expect("TOML").as_deref(), Some("e"));
        let wrong = route("[route]\nmi50 = \"6.3.0\"\n").expect_err("no rule").to_string();
        assert!(wrong.starts_with("[route]: `mi50=6.3.0` is no rule for a GPU"), "{wrong}");
        let new = with_route("", &rules).expect("TOML");
        assert_eq!(new, "[route]\ngfx906 = \"c\"\ngfx1100 = \"d\"\n");
    }

    #[test]
    fn a_new_file_names_the_backend() {
        let text = with_backend("", "6\"3").expect("TOML");
        assert_eq!(backend(&text).expect("TOML").as_deref(), Some("6\"3"));
        assert!(text.starts_with("# Settings"), "{text}");
    }

    #[test]
    fn the_version_to_present_follows_the_tree_unless_a_person_chose_another() {
        let fresh = with_backend("", "6.3.0").expect("TOML");
        let first = with_presented(&fresh, "5.0.2").expect("TOML");
        assert_eq!(
            first,
            format!(
                "{fresh}\n# The version of rocBLAS that programs are told.\npresents = \"5.0.2\"\n"
            )
        );
        assert_eq!(with_presented(&first, "5.0.2").expect("TOML"), first);
        let upgraded = with_presented(&first, "5.2.0").expect("TOML");
        assert_eq!(upgraded, first.replace("5.0.2", "5.2.0"));
        assert_eq!(presented(&upgraded).expect("TOML").as_deref(), Some("5.2.0"));
        let chosen = first.replace("5.0.2", "5.0.9");
        assert_eq!(with_presented(&chosen, "5.2.0").expect("TOML"), chosen);
        let unedited = [&fresh, &first, &upgraded].map(|text| is_unedited(text));
        assert_eq!((unedited, is_unedited(&chosen)), ([true; 3], false));
        let routed = with_auto(&upgraded).expect("TOML");
        assert_eq!(
            routed,
            format!(
                "{upgraded}\n[route]\n# Each GPU gets the newest backend in the store that serves it: installer \
                 backends routes\ndefault = \"auto\"\n"
            )
        );
        assert!(is_unedited(&routed) && !is_unedited(&routed.replace("auto", "6.3.0")));
        assert_eq!(with_auto(&routed).expect("TOML"), routed);
        assert_eq!(backend(&routed).expect("TOML").as_deref(), Some("6.3.0"));
        assert_eq!(backend("[route]\ndefault = \"auto\"\n").expect("TOML"), None);
        let tables = "backend = \"a\"\n[compat]\natomics = false\n";
        let text = with_presented(tables, "5.2.0").expect("TOML");
        assert_eq!(presented(&text).expect("TOML").as_deref(), Some("5.2.0"), "{text}");
        assert!(text.ends_with("[compat]\natomics = false\n"), "{text}");
    }

    #[test]
    fn what_is_no_toml_is_not_overwritten() {
        assert!(with_backend("backend = [", "x").is_err());
        let long = format!("a = 1\n= {}", "x".repeat(1 << 20));
        let error = format!("{:#}", with_backend(&long, "x").expect_err("no TOML"));
        assert!(error.starts_with("shim.toml is not valid TOML, line 2: "), "{error:.200}");
        assert!(error.len() < 300 && error.contains("; fix it, or move it away"), "{error:.200}");
    }
}
