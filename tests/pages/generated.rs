//! Pages that are generated from the installer's tables: error texts, GPUs and releases.

use installer::doctor::known;
use serde::Deserialize;
use std::{env, fmt::Write, fs};
use tests::artefacts::workspace;

const DATA: &str = "installer/data/gpus.toml";

/// Setting it writes the pages instead of comparing them.
const WRITE: &str = "PAGES_WRITE";

#[derive(Deserialize)]
struct Table {
    #[serde(rename = "gpu")]
    gpus: Vec<Gpu>,
    #[serde(rename = "release")]
    releases: Vec<Release>,
}

#[derive(Deserialize)]
struct Gpu {
    target: String,
    names: Vec<String>,
}

#[derive(Deserialize)]
struct Release {
    rocm: String,
    serves: Vec<String>,
    evidence: String,
    source: String,
}

/// The page on GPUs.
fn gpus(table: &Table) -> String {
    let mut page = String::from(
        "# GPUs\n\n\
         The names that `--gpu` accepts, and the releases of ROCm whose rocBLAS serves each GPU, as far as is known. \
         What `installer inspect` reads in a file at hand outranks this table. This page is generated from \
         [gpus.toml](../data/gpus.toml).\n\n| target | names | served by ROCm |\n|---|---|---|\n",
    );
    let mut line = |text: String| writeln!(page, "{text}").expect("a string");
    for Gpu { target, names } in &table.gpus {
        let serving = table.releases.iter().filter(|release| release.serves.contains(target));
        let serving: Vec<&str> = serving.map(|release| release.rocm.as_str()).collect();
        let serving = if serving.is_empty() { "none known".to_owned() } else { serving.join(", ") };
        line(format!("| `{target}` | {} | {serving} |", names.join(", ")));
    }
    line("\n## Sources\n".to_owned());
    for Release { rocm, evidence, source, .. } in &table.releases {
        line(format!("- ROCm {rocm} ({evidence}): {source}."));
    }
    page
}

/// Compares a page with what it is generated from, or writes it.
#[track_caller]
fn assert_generated(path: &str, page: &str) {
    let file = workspace().join(path);
    if env::var_os(WRITE).is_some() {
        fs::write(&file, page).expect("write");
    }
    let written = fs::read_to_string(&file).unwrap_or_default();
    let differing = page.lines().zip(written.lines()).find(|(made, is)| made != is);
    assert!(
        page == written,
        "{path} is stale: `{WRITE}=1 cargo test --workspace --test pages generated` rewrites it: {differing:?}"
    );
}

#[test]
fn the_page_on_gpus_is_generated() {
    let text = fs::read_to_string(workspace().join(DATA)).expect("the table of GPUs");
    assert_generated("installer/docs/gpus.md", &gpus(&toml::from_str(&text).expect("TOML")));
}

#[test]
fn troubleshooting_is_generated() {
    let page = known::page::page();
    assert!(page.matches("\n### ").count() > 80, "{page}");
    assert_generated("TROUBLESHOOTING.md", &page);
}
