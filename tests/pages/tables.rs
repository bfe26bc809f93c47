//! Tables that list what the program has: complete, and nothing else.

use crate::markdown::{Page, code};
use clap::ValueEnum;
use installer::{cli, inspect::layout::Layout, output::Code};
use rocblas_contract::variables;
use std::collections::BTreeSet;

/// What a failure compares.
const WHAT: &str = "left: what the page lists; right: what the program has";

/// Compares the code in a column of a table with the names that it should have.
#[track_caller]
fn assert_lists<'a>(rows: &[Vec<&'a str>], column: usize, expected: BTreeSet<&'a str>) {
    let listed: BTreeSet<&str> = rows.iter().flat_map(|row| code(row[column])).collect();
    assert_eq!(listed, expected, "{WHAT}");
}

/// The words after `installer` in the first code of each row.
fn commands<'a>(rows: &'a [Vec<&'a str>]) -> impl Iterator<Item = &'a str> {
    rows.iter().map(|row| {
        let command = code(row[0]).next().expect("a command");
        command.strip_prefix("installer ").expect("a command of the installer")
    })
}

#[test]
fn the_readme_lists_every_command() {
    let readme = Page::read("README.md");
    let rows = readme.table("| command | what it does |");
    let listed: Vec<&str> = commands(&rows).filter_map(|c| c.split(' ').next()).collect();
    let program = cli::visible();
    let expected: BTreeSet<&str> = program.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(BTreeSet::from_iter(listed.iter().copied()), expected, "{WHAT}");
    assert_eq!(listed.len(), expected.len(), "a line for each");
}

#[test]
fn the_page_on_traces_lists_every_command_of_trace() {
    let page = Page::read("shim/docs/tracing.md");
    let rows = page.table("| command | what it does |");
    let listed: BTreeSet<&str> = commands(&rows).filter_map(|c| c.split(' ').nth(1)).collect();
    let program = cli::visible();
    let trace = program.find_subcommand("trace").expect("trace");
    let expected: BTreeSet<&str> = trace.get_subcommands().map(clap::Command::get_name).collect();
    assert_eq!(listed, expected, "{WHAT}");
}

#[test]
fn the_page_on_settings_lists_every_variable() {
    let page = Page::read("shim/docs/settings.md");
    let rows = page.table("| variable | in `shim.toml` | meaning |");
    assert_lists(&rows, 0, variables::ALL.into());
}

#[test]
fn the_page_on_settings_lists_every_option_of_a_trace() {
    let page = Page::read("shim/docs/settings.md");
    let rows = page.table("| option | meaning |");
    let keys = rows.iter().map(|row| row[0].trim_matches('`').split('=').next().expect("a key"));
    let keys: BTreeSet<&str> = keys.collect();
    let expected: BTreeSet<&str> = rocblas_trace::options::KEYS.split(", ").collect();
    assert_eq!(keys, expected, "{WHAT}");
}

#[test]
fn the_page_on_settings_lists_every_function_of_the_header() {
    let header = Page::read("shim/include/rocblas_shim.h");
    let declared = header.text.lines().filter(|line| line.ends_with(");"));
    let declared = declared.filter_map(|line| line.split('(').next()?.rsplit([' ', '*']).next());
    let page = Page::read("shim/docs/settings.md");
    assert_lists(&page.table("| function | returns or does |"), 0, declared.collect());
}

#[test]
fn the_page_on_compatibility_lists_every_promise() {
    let source = Page::read("shim/src/compat/mod.rs");
    let pairs = source.text.lines().filter_map(|line| line.trim().strip_prefix("(Promise::"));
    let names: BTreeSet<&str> = pairs.filter_map(|pair| pair.split('"').nth(1)).collect();
    assert!(names.len() > 10, "{names:?}");
    let page = Page::read("shim/docs/compatibility.md");
    let rows = page.table("| name | rocBLAS 5 | with the backend of 6.3 |");
    assert_lists(&rows, 0, names);
}

#[test]
fn the_page_on_layouts_lists_every_layout() {
    let page = Page::read("installer/docs/layouts.md");
    let rows = page.table("| installed as | `layout` in `inspect --json` | libraries are in |");
    assert_lists(&rows, 1, names::<Layout>().iter().map(String::as_str).collect());
}

#[test]
fn the_page_on_scripts_lists_every_error_code() {
    let page = Page::read("installer/docs/scripts.md");
    let names = names::<Code>();
    assert_lists(&page.table("| code | meaning |"), 0, names.iter().map(String::as_str).collect());
}

/// The names of an enum's values, as JSON has them.
fn names<T: ValueEnum>() -> Vec<String> {
    let values = T::value_variants().iter().filter_map(T::to_possible_value);
    values.map(|value| value.get_name().to_owned()).collect()
}

#[test]
fn the_page_on_scripts_has_the_exit_codes_of_help() {
    let page = Page::read("installer/docs/scripts.md");
    let rows = page.table("| exit code | meaning |");
    let listed: BTreeSet<u8> = rows.iter().map(|row| row[0].parse().expect("a number")).collect();
    let mut program = cli::visible();
    let mut helps: Vec<String> = vec![program.render_long_help().to_string()];
    helps.extend(program.get_subcommands_mut().map(|c| c.render_long_help().to_string()));
    // As in "Exit codes: 0 done or applied, 1 refused or failed".
    let lists = helps.iter().filter_map(|help| help.split_once("Exit codes"));
    let lists = lists.map(|(_, rest)| rest.split("\n\n").next().unwrap_or_default());
    let numbers = lists.flat_map(|list| list.split_whitespace().filter_map(|w| w.parse().ok()));
    let in_help: BTreeSet<u8> = numbers.collect();
    assert!(in_help.len() >= 6, "{in_help:?}");
    assert_eq!(listed, in_help, "{WHAT}");
}

#[test]
fn the_number_of_functions_is_that_of_the_table() {
    let number = rocblas_abi::exports().len();
    let words = format!("its {},{:03} functions", number / 1_000, number % 1_000);
    assert!(Page::read("README.md").text.contains(&words), "README.md does not say \"{words}\"");
}
