//! Compares the GPU targets and kernels of real libraries as read by the crate `offload` with the output of LLVM's
//! tools for the same bytes.

use goblin::elf::Elf;
use offload::{Bundle, bundles, kernels, targets};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    ops::Range,
    path::{Path, PathBuf},
    process::Command,
};
use tests::real::{Root, root};

/// The prefix that `hipcc` adds to a target.
const PREFIX: &str = "hipv4-amdgcn-amd-amdhsa--";

/// A compiled translation unit with GPU code has one of these in `.hipFatBinSegment`: magic, version
/// and two pointers.
const WRAPPER: usize = 24;

/// A library in memory, to cut bundles from, and as a file.
struct Library<'a> {
    root: &'a Root,
    bytes: Vec<u8>,
    file: File,
    fatbin: Range<usize>,
    /// Translation units with GPU code.
    units: usize,
    scratch: tempfile::TempDir,
}

impl<'a> Library<'a> {
    fn open(root: &'a Root, soname: &str) -> Self {
        let path = root.library(soname);
        let bytes = fs::read(&path).expect("read the library");
        let elf = Elf::parse(&bytes).expect("parse the library");
        let section = |name: &str| {
            let mut sections = elf.section_headers.iter();
            let header = sections.find(|s| elf.shdr_strtab.get_at(s.sh_name) == Some(name));
            let range = header.and_then(goblin::elf::SectionHeader::file_range);
            range.unwrap_or_else(|| panic!("{soname} has no section {name}"))
        };
        let (fatbin, units) =
            (section(".hip_fatbin"), section(".hipFatBinSegment").len() / WRAPPER);
        let file = File::open(&path).expect("open the library");
        let scratch = tempfile::tempdir().expect("temporary directory");
        Self { root, bytes, file, fatbin, units, scratch }
    }

    fn section(&self) -> Range<u64> {
        self.fatbin.start as u64..self.fatbin.end as u64
    }

    fn bundles(&self) -> Vec<Bundle> {
        let found: Result<_, _> = bundles(&self.file, self.section()).collect();
        found.expect("well-formed")
    }

    /// A bundle as a file of its own.
    fn cut_out(&self, bundle: &Bundle) -> PathBuf {
        let path = self.scratch.path().join("bundle");
        let start = bundle.offset as usize;
        fs::write(&path, &self.bytes[start..start + bundle.size as usize]).expect("cut out");
        path
    }

    /// What one of LLVM's tools prints, run in the root.
    fn llvm(&self, tool: &str, arguments: &[&str]) -> String {
        let lib = self.root.lib();
        let program = lib.with_file_name("llvm-22").join("bin").join(tool);
        let mut command = Command::new(self.root.loader());
        command.arg("--library-path").arg(lib).arg(program).args(arguments).env_clear();
        let output = command.output().expect("run the loader");
        let complaints = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{command:?}: {complaints}");
        String::from_utf8(output.stdout).expect("text")
    }

    fn bundler(&self, input: &Path, arguments: &[&str]) -> String {
        let input = format!("--input={}", input.display());
        self.llvm("clang-offload-bundler", &[&["--type=o", &input][..], arguments].concat())
    }

    fn assert_targets_are_llvms(&self) {
        let found = self.bundles();
        assert_eq!(found.len(), self.units, "bundles and translation units");
        let mut counts = BTreeMap::new();
        for bundle in &found {
            let listed = self.bundler(&self.cut_out(bundle), &["--list"]);
            let expected: BTreeSet<&str> = listed.lines().collect();
            let ours = bundle.entries.iter().map(|entry| entry.identifier.as_str());
            assert_eq!(ours.collect::<BTreeSet<_>>(), expected, "at {:#x}", bundle.offset);
            for target in expected.iter().filter_map(|identifier| identifier.strip_prefix(PREFIX)) {
                *counts.entry(target.to_owned()).or_insert(0) += 1;
            }
        }
        assert!(counts.contains_key("gfx906"), "{counts:?}");
        let found = targets(&self.file, self.section());
        assert_eq!((found.counts, found.problems), (counts, vec![]));
    }

    fn assert_kernels_are_llvms(&self) {
        let found = self.bundles();
        let bundle = &found[found.len() / 2];
        let identifier = format!("{PREFIX}gfx906");
        let entry = bundle.entries.iter().find(|entry| entry.identifier == identifier);
        let entry = entry.expect("code for gfx906");
        let object = self.scratch.path().join("object");
        let output = format!("--output={}", object.display());
        let only = format!("--targets={identifier}");
        self.bundler(&self.cut_out(bundle), &["--unbundle", &only, &output]);
        let object = object.to_str().expect("a path in UTF-8");
        let symbols = self.llvm("llvm-nm", &["-D", "--defined-only", "-j", object]);
        let expected = symbols.lines().filter_map(|name| name.strip_suffix(".kd"));
        let expected: BTreeSet<&str> = expected.collect();
        assert!(!expected.is_empty(), "kernels at {:#x}", bundle.offset);
        let ours = kernels(&self.file, bundle, entry).expect("well-formed");
        assert_eq!(ours.len(), expected.len());
        assert_eq!(ours.iter().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    }
}

#[track_caller]
fn assert_as_llvm_reads(soname: &str, compressed: bool) {
    let Some(root) = root() else { return };
    let library = Library::open(root, soname);
    // Both forms are tested as long as Debian's packages have both.
    assert!(library.bundles().iter().all(|bundle| bundle.compressed == compressed));
    library.assert_targets_are_llvms();
    library.assert_kernels_are_llvms();
}

#[test]
fn rocblas_6_4_in_plain_bundles() {
    assert_as_llvm_reads("librocblas.so.4", false);
}

#[test]
fn rocblas_7_2_in_compressed_bundles() {
    assert_as_llvm_reads("librocblas.so.5", true);
}

#[test]
fn rocsolver_7_2_in_compressed_bundles() {
    assert_as_llvm_reads("librocsolver.so.0", true);
}
