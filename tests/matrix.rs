//! docker/MATRIX.md states exactly what docker/matrix.toml and the installer's table of releases contain: it is
//! generated from them here, every fact has its evidence, and every test that is named exists.

use serde::Deserialize;
use std::{collections::BTreeMap, fmt::Write, fs, path::Path};
use tests::artefacts::workspace;

const DATA: &str = "docker/matrix.toml";
const PAGE: &str = "docker/MATRIX.md";

/// If this variable is set, the page is written instead of compared.
const WRITE: &str = "MATRIX_WRITE";

/// Facts in the table of releases are at least documented.
const DOCUMENTED: &str = "documented";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Matrix {
    #[serde(rename = "level")]
    levels: Vec<Level>,
    #[serde(rename = "backend")]
    backends: Vec<Backend>,
    #[serde(rename = "way")]
    ways: Vec<Way>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Level {
    key: String,
    mark: String,
    meaning: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Backend {
    rocm: String,
    gpu: String,
    evidence: String,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    sources: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Way {
    name: String,
    rocm: Vec<String>,
    evidence: String,
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    sources: Vec<String>,
    note: Option<String>,
}

/// `installer/data/gpus.toml`, as far as it is needed here.
#[derive(Deserialize)]
struct Releases {
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
    source: String,
}

fn read<T: for<'a> Deserialize<'a>>(path: &str) -> T {
    let text = fs::read_to_string(workspace().join(path)).expect("read");
    toml::from_str(&text).unwrap_or_else(|e| panic!("{path}: {e}"))
}

impl Matrix {
    /// The rank of a level of evidence; 0 is the strongest.
    fn rank(&self, key: &str) -> usize {
        let place = self.levels.iter().position(|level| level.key == key);
        place.unwrap_or_else(|| panic!("{key} is no level"))
    }

    fn mark(&self, rank: usize) -> &str {
        &self.levels[rank].mark
    }

    /// The level of evidence that a backend serves a GPU; `None` if no release is known to. Evidence by a test needs no
    /// listing: distributions build for GPUs that AMD's packages omit.
    fn backend(&self, release: &Release, gpu: &str) -> Option<usize> {
        let better = self.backends.iter().find(|b| b.rocm == release.rocm && b.gpu == gpu);
        let serves = release.serves.iter().any(|served| served == gpu);
        let is_tested = better.is_some_and(|b| !b.tests.is_empty());
        assert!(serves || is_tested || better.is_none(), "{gpu} is not served by {}", release.rocm);
        (serves || is_tested).then(|| self.rank(better.map_or(DOCUMENTED, |b| &b.evidence)))
    }
}

/// The targets that a release before 7 serves, but no later one.
fn dropped(table: &Releases) -> Vec<&Gpu> {
    let serves = |release: &Release, gpu: &Gpu| release.serves.contains(&gpu.target);
    let is_old = |release: &&Release| release.rocm.starts_with("6.");
    let by_old = |gpu: &Gpu| table.releases.iter().filter(is_old).any(|r| serves(r, gpu));
    let by_new = |gpu: &Gpu| table.releases.iter().filter(|r| !is_old(r)).any(|r| serves(r, gpu));
    table.gpus.iter().filter(|gpu| by_old(gpu) && !by_new(gpu)).collect()
}

fn page(matrix: &Matrix, table: &Releases) -> String {
    let mut page = String::from(
        "# What works where, and how that is known\n\n\
         This page is generated from [matrix.toml](matrix.toml) and the installer's table of releases. A letter stands \
         for the weakest evidence among what a cell depends on:\n\n| | evidence |\n|---|---|\n",
    );
    let mut line = |text: String| writeln!(page, "{text}").expect("a string");
    for level in &matrix.levels {
        line(format!("| {} | {} |", level.mark, level.meaning));
    }
    let old: Vec<&Release> = table.releases.iter().filter(|r| r.rocm.starts_with("6.")).collect();
    let gpus = dropped(table);
    line("\n## GPUs that ROCm 7's rocBLAS dropped, and the backend that serves them\n".to_owned());
    let heads: Vec<String> = old.iter().map(|r| format!("rocBLAS of {}", r.rocm)).collect();
    line(format!("| GPU | | {} |", heads.join(" | ")));
    line(format!("|---|---|{}", "---|".repeat(old.len())));
    for gpu in &gpus {
        let cells = old.iter().map(|release| {
            matrix.backend(release, &gpu.target).map_or("-", |rank| matrix.mark(rank))
        });
        let names = gpu.names[..gpu.names.len().min(4)].join(", ");
        let cells: Vec<&str> = cells.collect();
        line(format!("| {} | {names} | {} |", gpu.target, cells.join(" | ")));
    }
    line(
        "\n## These GPUs by ROCm release and kind of installation, with the backend that has the best evidence\n"
            .to_owned(),
    );
    let heads: Vec<&str> = gpus.iter().map(|gpu| gpu.target.as_str()).collect();
    line(format!("| ROCm | installed as | the shim in such a tree | {} |", heads.join(" | ")));
    line(format!("|---|---|---|{}", "---|".repeat(gpus.len())));
    for way in &matrix.ways {
        let own = matrix.rank(&way.evidence);
        let cell = |gpu: &&Gpu| {
            let best = old.iter().filter_map(|r| matrix.backend(r, &gpu.target)).min();
            best.map_or("-", |best| matrix.mark(best.max(own)))
        };
        let cells: Vec<&str> = gpus.iter().map(cell).collect();
        let rocm = way.rocm.join(", ");
        line(format!("| {rocm} | {} | {} | {} |", way.name, matrix.mark(own), cells.join(" | ")));
    }
    line("\n## How each is known\n".to_owned());
    let evidence = |tests: &[String], sources: &[String]| {
        let tests = tests.iter().map(|test| format!("`{test}`"));
        tests.chain(sources.iter().cloned()).collect::<Vec<_>>().join(", ")
    };
    for b in &matrix.backends {
        let facts = evidence(&b.tests, &b.sources);
        line(format!("- rocBLAS of {} on {}: {facts}.", b.rocm, b.gpu));
    }
    for release in &old {
        line(format!("- Other GPUs of {}: {}.", release.rocm, release.source));
    }
    for way in &matrix.ways {
        let note = way.note.as_ref().map_or(String::new(), |note| format!(" {note}."));
        line(format!("- {}: {}.{note}", way.name, evidence(&way.tests, &way.sources)));
    }
    let strongest = &matrix.levels[0];
    let facts = matrix.backends.iter().map(|b| &b.evidence);
    if !facts.chain(matrix.ways.iter().map(|way| &way.evidence)).any(|e| *e == strongest.key) {
        line(format!(
            "\nNo cell is {} yet. `installer selftest` compares a GEMM and a TRSM on each GPU with the CPU: send what \
             it prints, with the output of `installer doctor --report FILE`, to change that.",
            strongest.mark
        ));
    }
    page
}

#[test]
fn the_page_says_what_the_data_knows() {
    let page = page(&read(DATA), &read("installer/data/gpus.toml"));
    let path = workspace().join(PAGE);
    if std::env::var_os(WRITE).is_some() {
        fs::write(&path, &page).expect("write");
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    let differing = page.lines().zip(written.lines()).find(|(made, is)| made != is);
    assert!(
        page == written,
        "{PAGE} is not what {DATA} makes ({WRITE}=1 writes it): {differing:?}"
    );
}

#[test]
fn every_fact_has_its_evidence() {
    let matrix: Matrix = read(DATA);
    let facts = matrix.backends.iter().map(|b| (&b.gpu, &b.evidence, &b.tests, &b.sources));
    let ways = matrix.ways.iter().map(|way| (&way.name, &way.evidence, &way.tests, &way.sources));
    let mut files: BTreeMap<&str, String> = BTreeMap::new();
    for (what, evidence, tests, sources) in facts.chain(ways) {
        matrix.rank(evidence);
        let is_told = matches!(evidence.as_str(), "reported" | "documented");
        assert!(if is_told { !sources.is_empty() } else { !tests.is_empty() }, "{what}");
        for test in tests {
            let (file, function) = test.split_once("::").unwrap_or_else(|| panic!("{test}"));
            let text = files.entry(file).or_insert_with(|| {
                let path = workspace().join(Path::new(file));
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("{file}: {e}"))
            });
            let is_there = text.contains(&format!("#[test]\nfn {function}()"));
            assert!(is_there, "{test}, which {what} names, is no test");
        }
    }
}

#[test]
fn a_cell_is_the_weakest_of_what_is_known() {
    let matrix: Matrix = read(DATA);
    let table: Releases = read("installer/data/gpus.toml");
    let dropped: Vec<&str> = dropped(&table).iter().map(|gpu| gpu.target.as_str()).collect();
    assert_eq!(dropped, ["gfx900", "gfx906", "gfx1010", "gfx1012"]);
    let page = page(&matrix, &table);
    let row = |begin: &str| page.lines().find(|line| line.starts_with(begin)).expect("a row");
    assert_eq!(row("| gfx906 |"), "| gfx906 | Vega20, MI50, MI60, RadeonVII | R | L |");
    // Both the tree's libraries and the backend's were AMD's; those of gfx900 are known from listings only.
    assert_eq!(row("| 7.2 | Debian's packages"), "| 7.2 | Debian's packages | L | D | L | D | D |");
}
