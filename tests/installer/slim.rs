//! `slim`: reduces libraries and programs as hipcc and the machine's linkers build them, with stand-in
//! kernels. They still run, and binutils, elfutils and patchelf work on them.

use crate::machine::{Machine, packaged};
use rustix::fs::{XattrFlags, lgetxattr, lsetxattr};
use serde_json::Value;
use std::{
    fs::{self, File, Permissions},
    io::Read,
    os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tests::{
    amd_tree::{AmdTree, Backend, GFX906, GFX908, GFX1030, Gpu, gpu_bundles, with_gpu_code},
    artefacts::workspace,
    compile::{compile, cxx},
    interrupt::{self, Interruption},
    kept,
    real::recording,
    run::{Ended, exists, run},
    skip::skip,
    snapshot::Snapshot,
};

const GPUS: [Gpu; 3] = [GFX908, GFX906, GFX1030];

/// The bundles, and three records: one for each of two translation units, and a second one for the first.
const ASSEMBLY: &str = r#"
.section .hip_fatbin, "a", @progbits
.p2align 12
bundle0: .incbin "bundle0"
.p2align 12
bundle1: .incbin "bundle1"
.section .hipFatBinSegment, "aw", @progbits
.globl records
.hidden records
.p2align 3
records:
.irp bundle, bundle0, bundle1, bundle0
    .long 0x48495046, 1
    .quad \bundle, 0
.endr
.section .note.GNU-stack, "", @progbits
"#;

/// The note of a slim file, linked into a library that was not reduced.
const NOTE: &str = r#"
.section .note.rocblas-slim, "a", @note
.p2align 2
.long 1f - 0f, 0, 1
0: .asciz "rocblas-slim\nversion=0.1.0\nsource=blake3:00\ngpus=gfx900,gfx906\n"
1: .p2align 2
.section .note.GNU-stack, "", @progbits
"#;

/// How the code with kernels is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Library,
    Pie,
    /// As a PIE with compact relocations.
    Relr,
    Fixed,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Library, Self::Pie, Self::Relr, Self::Fixed];

    fn file(self) -> &'static str {
        match self {
            Self::Library => "libfat.so",
            Self::Pie => "pie",
            Self::Relr => "relr",
            Self::Fixed => "fixed",
        }
    }
}

/// A root with the linked files in `/srv`. They run outside of it.
struct Fat {
    tree: AmdTree,
}

impl Fat {
    /// Prints a message and returns `None` without a C++ compiler.
    fn new() -> Option<Self> {
        static COMPILED: OnceLock<PathBuf> = OnceLock::new();
        if cxx().is_none() {
            skip("slim libraries", "this machine has no C++ compiler");
            return None;
        }
        let compiled = COMPILED.get_or_init(|| {
            let directory = kept::directory();
            link_all(&directory);
            directory
        });
        let tree = AmdTree::made_by(&std::env::temp_dir(), |root| {
            fs::create_dir(root.join("srv")).expect("make a directory");
            for name in Kind::ALL.map(Kind::file).into_iter().chain(["client"]) {
                if compiled.join(name).exists() {
                    tests::program::copy(compiled.join(name), root.join("srv").join(name));
                }
            }
        });
        Some(Self { tree })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.tree.root().join("srv").join(name)
    }

    fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).expect("read")
    }

    /// The kinds that could be linked here.
    fn kinds(&self) -> Vec<Kind> {
        Kind::ALL.into_iter().filter(|kind| self.path(kind.file()).exists()).collect()
    }

    #[track_caller]
    fn slim(&self, arguments: &[&str]) -> Ended {
        self.tree.installer(&[&["slim"], arguments].concat())
    }

    /// Reduces a file of `/srv` to gfx906, next to it.
    #[track_caller]
    fn slim_to(&self, name: &str, output: &str) {
        let (from, to) = (format!("/srv/{name}"), format!("/srv/{output}"));
        self.slim(&[&from, "--gpu", "gfx906", "--output", &to]).success();
    }

    /// The output of the program with the kernels of that file, on that GPU.
    #[track_caller]
    fn run(&self, kind: Kind, file: &str, gpu: &str) -> String {
        self.run_with(&Loader::OF_THE_MACHINE, kind, file, gpu).success().stdout
    }

    /// Like [`Self::run`], under another glibc.
    fn run_with(&self, loader: &Loader, kind: Kind, file: &str, gpu: &str) -> Ended {
        // Kept until the program has ended.
        let directory = tempfile::tempdir_in(self.tree.root()).expect("a directory");
        let mut command = if kind == Kind::Library {
            // Under the name that the client looks for.
            fs::copy(self.path(file), directory.path().join(kind.file())).expect("copy");
            loader.command(&self.path("client"), Some(directory.path()))
        } else {
            loader.command(&self.path(file), None)
        };
        command.env("RECORDING_HIP_CHECK_TARGETS", "1").env("RECORDING_HIP_TARGET", gpu);
        command.env("LD_BIND_NOW", "1");
        run(&mut command)
    }
}

/// The variable that names a directory with the loader of another glibc, `ld-linux-x86-64.so.2`, and the C
/// and C++ libraries.
const GLIBC: &str = "TEST_GLIBC";

/// The loader that starts a program: the one in that directory, or the machine's.
struct Loader(Option<PathBuf>);

impl Loader {
    const OF_THE_MACHINE: Self = Self(None);

    /// The command that starts the program with the libraries of that directory.
    fn command(&self, program: &Path, libraries: Option<&Path>) -> Command {
        let Some(glibc) = &self.0 else {
            let mut command = Command::new(program);
            command.envs(libraries.map(|directory| ("LD_LIBRARY_PATH", directory)));
            return command;
        };
        let mut command = Command::new(glibc.join("ld-linux-x86-64.so.2"));
        let paths = std::env::join_paths(libraries.into_iter().chain([glibc.as_path()]));
        command.arg("--library-path").arg(paths.expect("no colon in them")).arg(program);
        command
    }
}

fn link_all(directory: &Path) {
    for (number, bundle) in gpu_bundles(&GPUS).iter().enumerate() {
        fs::write(directory.join(format!("bundle{number}")), bundle).expect("write");
    }
    let assembly = directory.join("fat.s");
    fs::write(&assembly, ASSEMBLY).expect("write");
    let source = workspace().join("tests/clients/fat.cpp");
    let include = format!("-Wa,-I,{}", directory.display());
    let hip = recording::runtime().to_str().expect("UTF-8");
    let rpath =
        format!("-Wl,-rpath,{}", recording::runtime().parent().expect("in a directory").display());
    let assembly = assembly.to_str().expect("UTF-8");
    let shared = [include.as_str(), assembly, hip, rpath.as_str()];
    let link = |kind: Kind, arguments: &[&str]| {
        compile(&source, &directory.join(kind.file()), &[&shared[..], arguments].concat())
    };
    link(Kind::Pie, &["-pie", "-fPIE"]);
    link(Kind::Fixed, &["-no-pie", "-fno-pie"]);
    let library = link(
        Kind::Library,
        &["-shared", "-fPIC", "-DLIBRARY", "-Wl,-soname,libfat.so", "-rdynamic"],
    );
    let library = library.to_str().expect("UTF-8");
    let client = [library, "-DCLIENT", "-Wl,--allow-shlib-undefined"];
    compile(&source, &directory.join("client"), &client);
    let relr = "-Wl,-z,pack-relative-relocs";
    let help = Command::new("ld").arg("--help").output().expect("run ld");
    if String::from_utf8_lossy(&help.stdout).contains("pack-relative-relocs") {
        link(Kind::Relr, &["-pie", "-fPIE", relr]);
    }
}

/// Everything in a root except `/srv` itself, whose time changes with each file that is created or removed in
/// it.
fn files(root: &Path) -> Snapshot {
    Snapshot::exact(root).without(|path| path == Path::new("srv"))
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).expect("there").len()
}

#[test]
fn slim_files_run_with_the_kernels_that_stay_and_without_the_others() {
    let Some(fat) = Fat::new() else { return };
    for kind in fat.kinds() {
        let file = kind.file();
        fat.slim_to(file, "small");
        assert!(size(&fat.path("small")) < size(&fat.path(file)), "{kind:?}");
        let whole = fat.run(kind, file, "gfx906");
        assert!(whole.contains("launch 0: 0\nlaunch 1: 0\n"), "{kind:?}: {whole}");
        assert!(whole.contains("same bundle: 1\ncaught: constant\n"), "{kind:?}: {whole}");
        assert!(whole.contains("objects with this function: 1\n"), "{kind:?}: {whole}");
        assert_eq!(fat.run(kind, "small", "gfx906"), whole, "{kind:?}");
        // As with a file that never contained code for the GPU.
        let never = fat.run(kind, file, "gfx942");
        assert!(never.contains("launch 0: 98\n"), "{kind:?}: {never}");
        assert_ne!(fat.run(kind, file, "gfx908"), never, "{kind:?}");
        assert_eq!(fat.run(kind, "small", "gfx908"), never, "{kind:?}");
    }
}

#[test]
#[ignore = "by hand, see TESTING.md: TEST_GLIBC has to name another glibc"]
fn slim_files_run_under_another_glibc() {
    let glibc = std::env::var_os(GLIBC).expect("TEST_GLIBC names a directory");
    let Some(fat) = Fat::new() else { return };
    let loader = Loader(Some(glibc.into()));
    let mut ran = Vec::new();
    for kind in fat.kinds() {
        let file = kind.file();
        fat.slim_to(file, "small");
        let [whole, small] =
            [file, "small"].map(|file| fat.run_with(&loader, kind, file, "gfx906"));
        // glibc before 2.36 refuses RELR relocations in either file.
        let has_relr = whole.stderr.contains("GLIBC_ABI_DT_RELR");
        assert_eq!(small.stderr.contains("GLIBC_ABI_DT_RELR"), has_relr, "{}", small.stderr);
        if !has_relr {
            let printed = fat.run(kind, file, "gfx906");
            assert_eq!(
                [whole, small].map(|ended| ended.success().stdout),
                [&*printed; 2],
                "{kind:?}"
            );
            ran.push(kind);
        }
    }
    assert!(
        ran.starts_with(&[Kind::Library, Kind::Pie]) && ran.ends_with(&[Kind::Fixed]),
        "{ran:?}"
    );
}

#[test]
fn several_gpus_stay() {
    let Some(fat) = Fat::new() else { return };
    let output = ["--output", "/srv/small"];
    fat.slim(&[&["/srv/pie", "--gpu", "gfx906,gfx1030"], &output[..]].concat()).success();
    for (gpu, status) in [("gfx906", 0), ("gfx1030", 0), ("gfx908", 98)] {
        let printed = fat.run(Kind::Pie, "small", gpu);
        assert!(printed.contains(&format!("launch 1: {status}\n")), "{gpu}: {printed}");
    }
}

#[test]
fn reducing_again_changes_nothing() {
    let Some(fat) = Fat::new() else { return };
    for kind in fat.kinds() {
        fat.slim_to(kind.file(), "small");
        fat.slim_to("small", "again");
        assert_eq!(fat.bytes("small"), fat.bytes("again"), "{kind:?}");
        let before = files(fat.tree.root());
        let ended = fat.slim(&["/srv/small", "--gpu", "gfx906", "--in-place"]).success();
        assert!(ended.stdout.contains("nothing to remove"), "{ended:?}");
        before.assert_same(&files(fat.tree.root()));
    }
}

#[test]
fn the_report_has_sizes_before_and_after_by_target() {
    let Some(fat) = Fat::new() else { return };
    let arguments = ["--json", "slim", "/srv/libfat.so", "--gpu", "MI50", "--output", "/srv/small"];
    let ended = fat.tree.installer(&arguments).success();
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let file = &document["files"][0];
    assert_eq!(file["output"], "/srv/small", "{document:#}");
    assert_eq!(file["size"]["before"], size(&fat.path("libfat.so")), "{document:#}");
    assert_eq!(file["size"]["after"], size(&fat.path("small")), "{document:#}");
    let targets = &file["targets"];
    assert_eq!(targets["gfx906"]["before"], targets["gfx906"]["after"], "{document:#}");
    assert_eq!(targets["gfx908"]["after"], 0, "{document:#}");
    assert!(targets["gfx1030"]["before"].as_u64() > Some(0), "{document:#}");
    let text = fat.slim(&["/srv/pie", "--gpu", "gfx906", "--in-place"]).success().stdout;
    let line = text.lines().find(|line| line.contains("gfx908")).expect("a line");
    assert_eq!(line.split_whitespace().last(), Some("0"), "{text}");
}

/// Runs a command on `small` that creates `changed`.
fn tool(fat: &Fat, line: &str) -> bool {
    let words: Vec<&str> = line.split(' ').collect();
    if !exists(words[0]) {
        skip(&format!("{} on a slim file", words[0]), "it is not installed");
        return false;
    }
    fs::copy(fat.path("small"), fat.path("changed")).expect("copy");
    run(Command::new(words[0]).args(&words[1..]).arg(fat.path("changed"))).success();
    true
}

#[test]
fn slim_files_can_be_stripped_and_patched() {
    let Some(fat) = Fat::new() else { return };
    for kind in fat.kinds() {
        fat.slim_to(kind.file(), "small");
        let whole = fat.run(kind, "small", "gfx906");
        let rpath = format!("patchelf --add-rpath /{}", "long".repeat(50));
        for line in ["strip", "strip --strip-debug", "patchelf --add-needed libm.so.6", &rpath] {
            if tool(&fat, line) {
                assert_eq!(fat.run(kind, "changed", "gfx906"), whole, "{kind:?}: {line}");
                fat.slim_to("changed", "again");
                assert_eq!(fat.bytes("changed"), fat.bytes("again"), "the note is lost: {line}");
            }
        }
    }
}

#[test]
fn files_that_patchelf_changed_can_be_reduced() {
    let Some(fat) = Fat::new() else { return };
    for kind in fat.kinds() {
        fs::copy(fat.path(kind.file()), fat.path("small")).expect("copy");
        if tool(&fat, &format!("patchelf --add-rpath /{}", "long".repeat(50))) {
            fat.slim_to("changed", "again");
            let whole = fat.run(kind, kind.file(), "gfx906");
            assert_eq!(fat.run(kind, "again", "gfx906"), whole, "{kind:?}");
        }
    }
}

/// The functions that gdb shows on the stack when the program launches a kernel of that file, innermost
/// first.
fn frames(fat: &Fat, kind: Kind, file: &str) -> Vec<String> {
    let directory = tempfile::tempdir_in(fat.tree.root()).expect("a directory");
    let program = match kind {
        Kind::Library => {
            fs::copy(fat.path(file), directory.path().join(kind.file())).expect("copy");
            fat.path("client")
        }
        _ => fat.path(file),
    };
    let mut command = Command::new("gdb");
    command.args(["-nx", "-batch", "-ex", "set debuginfod enabled off"]);
    let path = format!("set environment LD_LIBRARY_PATH {}", directory.path().display());
    command.args([
        "-ex",
        &path,
        "-ex",
        "set breakpoint pending on",
        "-ex",
        "break hipLaunchKernel",
    ]);
    command.args(["-ex", "run", "-ex", "backtrace"]).arg(program);
    let printed = run(&mut command).stdout;
    // `#1  0x00005555555552d6 in use_kernels ()`
    let lines = printed.lines().filter(|line| line.starts_with('#'));
    let function = |line: &str| {
        let words = line.split_whitespace().skip(1).skip_while(|word| word.starts_with("0x"));
        words.skip_while(|word| *word == "in").take(1).collect::<String>()
    };
    let frames: Vec<String> = lines.map(function).collect();
    assert!(frames.iter().any(|name| name == "use_kernels"), "{kind:?}: {printed}");
    frames
}

#[test]
fn debuggers_see_the_same_functions_on_the_stack() {
    let Some(fat) = Fat::new() else { return };
    if !exists("gdb") {
        skip("gdb on a slim file", "it is not installed");
        return;
    }
    for kind in fat.kinds() {
        fat.slim_to(kind.file(), "small");
        let whole = frames(&fat, kind, kind.file());
        assert_eq!(whole.last().map(String::as_str), Some("main"), "{kind:?}: {whole:?}");
        assert_eq!(frames(&fat, kind, "small"), whole, "{kind:?}");
    }
}

/// The complaints of a program that reads ELF files.
fn complaints(program: &str, arguments: &[&str], file: &Path) -> Vec<String> {
    let ended = run(Command::new(program).args(arguments).arg(file).env("LC_ALL", "C"));
    let said = if program == "eu-elflint" { ended.stdout + &ended.stderr } else { ended.stderr };
    let name = file.display().to_string();
    said.lines().map(|line| line.replace(&name, "")).collect()
}

#[test]
fn readers_of_elf_files_complain_no_more_than_about_the_whole_file() {
    let Some(fat) = Fat::new() else { return };
    for (program, arguments) in [
        ("readelf", &["--all", "--wide"][..]),
        ("objdump", &["--all-headers", "--disassemble"]),
        ("eu-elflint", &["--gnu-ld"]),
    ] {
        if !exists(program) {
            skip(&format!("{program} on a slim file"), "it is not installed");
            continue;
        }
        for kind in fat.kinds() {
            fat.slim_to(kind.file(), "small");
            let before = complaints(program, arguments, &fat.path(kind.file()));
            let after = complaints(program, arguments, &fat.path("small"));
            assert_eq!(before, after, "{program}: {kind:?}");
        }
    }
}

#[test]
fn in_place_keeps_mode_owner_and_attributes_and_what_is_mapped() {
    let Some(fat) = Fat::new() else { return };
    let path = fat.path("libfat.so");
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(&path, Some(1234), Some(2345)).expect("chown");
    }
    fs::set_permissions(&path, Permissions::from_mode(0o4750)).expect("permissions");
    let has_attributes = lsetxattr(&path, "user.origin", b"tests", XattrFlags::empty()).is_ok();
    let before = fs::metadata(&path).expect("there");
    let whole = fat.bytes("libfat.so");
    let mut open = File::open(&path).expect("open");
    fat.slim(&["/srv/libfat.so", "--gpu", "gfx906", "--in-place"]).success();
    let after = fs::metadata(&path).expect("there");
    assert_ne!(before.ino(), after.ino());
    assert!(after.len() < before.len());
    assert_eq!(before.mode(), after.mode());
    assert_eq!((before.uid(), before.gid()), (after.uid(), after.gid()));
    if has_attributes {
        let mut value = [0; 8];
        let length = lgetxattr(&path, "user.origin", &mut value[..]).expect("the attribute");
        assert_eq!(&value[..length], b"tests");
    } else {
        skip("extended attributes of slim files", "this file system has none");
    }
    let mut kept = Vec::new();
    open.read_to_end(&mut kept).expect("read");
    assert!(kept == whole, "whoever has the old file open still reads it");
    let names = fs::read_dir(fat.path("")).expect("read").map(|entry| entry.expect("an entry"));
    let left: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn without_space_the_old_file_stays_and_nothing_else() {
    let Some(fat) = Fat::new() else { return };
    // In blocks of 512 bytes; a write beyond the limit fails as on a full disk.
    let script = "trap '' XFSZ; ulimit -f 16; exec \"$@\"";
    for destination in
        [&["--in-place"][..], &["--output", "/srv/libfat.so"], &["--output", "/srv/new"]]
    {
        let arguments = [&["slim", "/srv/libfat.so", "--gpu", "gfx906"], destination].concat();
        let limited = fat.tree.installer_command(&arguments);
        let before = files(fat.tree.root());
        let mut command = Command::new("sh");
        command.args(["-c", script, "sh"]).arg(limited.get_program()).args(limited.get_args());
        let ended = run(&mut command);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("cannot write the new file"), "{ended:?}");
        before.assert_same(&files(fat.tree.root()));
    }
}

#[test]
fn killed_before_any_call_the_old_file_or_the_new_one_is_there_and_the_next_one_tidies_up() {
    let Some(fat) = Fat::new() else { return };
    if let Err(why) = interrupt::permitted() {
        skip("interrupting the installer", why);
        return;
    }
    fat.slim_to("libfat.so", "expected");
    let (whole, reduced) = (fat.bytes("libfat.so"), fat.bytes("expected"));
    let root = fat.tree.root().to_owned();
    let slim = |how: Interruption| {
        let arguments = ["slim", "/srv/libfat.so", "--gpu", "gfx906", "--in-place"];
        interrupt::run(&mut fat.tree.installer_command(&arguments), &root, how).expect("traced")
    };
    let left = || {
        let names = fs::read_dir(fat.path("")).expect("read");
        let names = names.map(|entry| entry.expect("an entry").file_name());
        names.filter(|name| name.to_string_lossy().starts_with(".rocblas-slim-")).count()
    };
    let calls = slim(Interruption::None).calls;
    assert!(calls.len() > 5, "{calls:?}");
    let mut most = 0;
    for (number, call) in calls.iter().enumerate() {
        fs::write(fat.path("libfat.so"), &whole).expect("write");
        assert!(slim(Interruption::KillBefore(number)).interrupted, "{call}");
        let now = fat.bytes("libfat.so");
        assert!(now == whole || now == reduced, "killed before call {number}: {call}");
        most = most.max(left());
        slim(Interruption::None);
        assert!(fat.bytes("libfat.so") == reduced, "killed before call {number}: {call}");
        assert_eq!(left(), 0, "killed before call {number}: {call}");
    }
    assert_eq!(most, 1, "a killed process leaves the file that it was making");
    println!("slim killed before each of {} calls", calls.len());
}

/// An access control list in the format of the attribute (linux/posix_acl_xattr.h): a version, then a tag,
/// permissions and an identifier for each entry. The user 1234 may do everything.
const DEFAULT_LIST: [u32; 11] = [
    2,
    7 << 16 | 0x01,
    u32::MAX,
    7 << 16 | 0x02,
    1234,
    5 << 16 | 0x04,
    u32::MAX,
    7 << 16 | 0x10,
    u32::MAX,
    5 << 16 | 0x20,
    u32::MAX,
];

#[test]
fn nobody_else_gets_access_by_the_directory() {
    let Some(fat) = Fat::new() else { return };
    let list: Vec<u8> = DEFAULT_LIST.iter().flat_map(|word| word.to_le_bytes()).collect();
    let set = lsetxattr(fat.path(""), "system.posix_acl_default", &list, XattrFlags::empty());
    if let Err(why) = set {
        skip("access control lists of slim files", &why.to_string());
        return;
    }
    let access =
        |name: &str| lgetxattr(fat.path(name), "system.posix_acl_access", &mut [0; 64][..]).is_ok();
    fs::write(fat.path("inherits"), "").expect("write");
    assert!(access("inherits"), "the list is not inherited here");
    fat.slim_to("libfat.so", "new.so");
    fat.slim(&["/srv/libfat.so", "--gpu", "gfx906", "--in-place"]).success();
    assert!(!access("libfat.so") && !access("new.so"));
}

#[test]
fn files_with_names_like_those_in_the_making_stay() {
    let Some(fat) = Fat::new() else { return };
    for name in [".slim-2024-11", ".rocblas-slim-notes", ".rocblas-slim-1-a"] {
        fs::write(fat.path(name), "a diary").expect("write");
        fat.slim_to("libfat.so", "new.so");
        assert_eq!(fs::read_to_string(fat.path(name)).expect("still there"), "a diary");
    }
}

#[test]
fn what_was_written_before_a_failure_is_reported() {
    let Some(fat) = Fat::new() else { return };
    fs::write(fat.path("text"), "no program").expect("write");
    let files = ["--json", "slim", "/srv/libfat.so", "/srv/text", "--gpu", "gfx906", "--in-place"];
    let ended = fat.tree.installer(&files);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let document: Value = serde_json::from_str(&ended.stdout).expect("one document");
    assert_eq!(document["files"][0]["file"], "/srv/libfat.so", "{document:#}");
    assert!(document["error"].to_string().contains("/srv/text"), "{document:#}");
}

#[test]
fn a_link_stays_a_link_and_its_file_is_reduced() {
    let Some(fat) = Fat::new() else { return };
    symlink("libfat.so", fat.path("libfat.so.1")).expect("link");
    let before = size(&fat.path("libfat.so"));
    fat.slim(&["/srv/libfat.so.1", "--gpu", "gfx906", "--in-place"]).success();
    assert_eq!(fs::read_link(fat.path("libfat.so.1")).expect("a link"), Path::new("libfat.so"));
    assert!(size(&fat.path("libfat.so")) < before);
}

#[test]
fn no_path_leads_out_of_the_root() {
    let Some(fat) = Fat::new() else { return };
    let outside = tempfile::tempdir().expect("a directory");
    let file = outside.path().join("fat.so");
    fs::copy(fat.path("libfat.so"), &file).expect("copy");
    symlink(&file, fat.path("escape")).expect("link");
    symlink(outside.path(), fat.path("directory")).expect("link");
    let before = Snapshot::exact(outside.path());
    for arguments in [
        &["/srv/escape", "--in-place"][..],
        &["/srv/directory/fat.so", "--in-place"],
        &["../../../../srv/escape", "--in-place"],
        &["/srv/libfat.so", "--output", "/srv/directory/new.so"],
        &["/srv/libfat.so", "--output", "/srv/escape"],
    ] {
        let ended = fat.slim(&[arguments, &["--gpu", "gfx906"]].concat());
        assert_eq!(ended.status.code(), Some(1), "{arguments:?}: {ended:?}");
    }
    before.assert_same(&Snapshot::exact(outside.path()));
}

#[test]
fn what_cannot_be_reduced_is_refused_with_the_reason_and_left_alone() {
    let Some(fat) = Fat::new() else { return };
    let whole = fat.bytes("libfat.so");
    let write = |name: &str, bytes: &[u8]| fs::write(fat.path(name), bytes).expect("write");
    fat.slim(&["/srv/libfat.so", "--gpu", "gfx906,gfx908", "--output", "/srv/slim.so"]).success();
    let bundle = b"__CLANG_OFFLOAD_BUNDLE__";
    let at = whole.windows(bundle.len()).position(|bytes| bytes == bundle).expect("a bundle");
    // The second code object begins within the first.
    let mut overlapping = whole.clone();
    let entry = at + 32 + 24 + "host-x86_64-unknown-linux-gnu-".len();
    let next = entry + 24 + "hipv4-amdgcn-amd-amdhsa--gfx908".len();
    let first = whole[entry..entry + 8].to_vec();
    overlapping[next..next + 8].copy_from_slice(&first);
    write("overlapping.so", &overlapping);
    write("signed.so", &[&whole[..], b"a signature"].concat());
    write("text", b"#!/bin/sh\n");
    compile(&workspace().join("tests/clients/plugin.c"), &fat.path("plain"), &["-shared", "-fPIC"]);
    for (file, gpu, reason) in [
        ("plain", "gfx906", "has no GPU code"),
        (
            "libfat.so",
            "gfx942",
            "no kernels for gfx942; it has kernels for gfx1030, gfx906, gfx908",
        ),
        ("overlapping.so", "gfx906", "overlap"),
        ("signed.so", "gfx906", "bytes follow the last section, as a signature would"),
        ("slim.so", "gfx906", "was reduced before, to gfx906, gfx908; start from the whole file"),
        ("slim.so", "gfx1030", "was reduced before"),
        ("text", "gfx906", "not an ELF file"),
        ("missing", "gfx906", "cannot open"),
        ("", "gfx906", "cannot open"),
    ] {
        let before = files(fat.tree.root());
        for destination in [&["--in-place"][..], &["--output", "/srv/new"]] {
            let path = format!("/srv/{file}");
            let ended = fat.slim(&[&[&path, "--gpu", gpu], destination].concat());
            assert_eq!(ended.status.code(), Some(1), "{file}: {ended:?}");
            assert!(ended.stderr.contains(reason), "{file}: {}", ended.stderr);
        }
        before.assert_same(&files(fat.tree.root()));
    }
    for wrong in [
        &["/srv/pie", "--gpu", "gfx906"][..],
        &["/srv/pie", "--in-place"],
        &["--gpu", "gfx906", "--in-place"],
        &["/srv/pie", "--gpu", "gfx906", "--in-place", "--output", "/srv/new"],
    ] {
        assert_eq!(fat.slim(wrong).status.code(), Some(2), "{wrong:?}");
    }
    let two = ["/srv/pie", "/srv/fixed", "--gpu", "gfx906", "--output", "/srv/new"];
    assert!(fat.slim(&two).stderr.contains("--output takes one FILE"));
}

#[test]
fn files_of_packages_and_of_trees_with_the_shim_are_not_replaced() {
    let Some((machine, _)) = packaged() else { return };
    let stock = machine.lib("librocblas.so.5.0.70002");
    let refused = |file: &str, reason: &str| {
        let path = format!("/opt/rocm-7.0.2/lib/{file}");
        let before = machine.snapshot();
        let is_link = fs::symlink_metadata(machine.lib(file)).expect("there").is_symlink();
        for destination in [vec!["--in-place"], vec!["--output", &path]] {
            if is_link && destination.len() > 1 {
                continue;
            }
            let command = [&["slim", &path, "--gpu", "gfx908"], &destination[..]].concat();
            let ended = machine.tree.installer(&command);
            assert_eq!(ended.status.code(), Some(1), "{ended:?}");
            assert!(ended.stderr.contains(reason), "{file}: {}", ended.stderr);
            assert!(ended.stderr.contains("--output"), "{file}: {}", ended.stderr);
        }
        before.assert_same(&machine.snapshot());
    };
    let reason = "belongs to the package rocblas 5.0.2.70002-56 of dpkg";
    refused("librocblas.so.5.0.70002", reason);
    refused("librocblas.so.5", reason);
    machine.apply(&[]).success();
    refused("libhipblas.so.3", "where the shim is applied");
    refused("rocblas-shim/backends/6.3.0/lib/librocblas.so.4", "is in the shim's store");
    // A copy does not belong to a package or a tree.
    fs::create_dir(machine.tree.root().join("srv")).expect("make a directory");
    let copy = machine.tree.root().join("srv/copy.so");
    let bytes = if stock.exists() { stock } else { machine.lib("librocblas.so.5.99.0") };
    fs::copy(bytes, &copy).expect("copy");
    let ended = machine.tree.installer(&["slim", "/srv/copy.so", "--gpu", "gfx908", "--in-place"]);
    assert!(!ended.stderr.contains("belongs to") && !ended.stderr.contains("shim"), "{ended:?}");
}

#[test]
fn kernels_are_compressed_where_a_runtime_of_rocm_7_reads_them() {
    let Some(fat) = Fat::new() else { return };
    let arguments = ["/srv/libfat.so", "--gpu", "gfx906", "--output", "/srv/small", "--compress"];
    let ended = fat.slim(&arguments);
    assert_eq!(ended.status.code(), Some(1), "no tree is there: {ended:?}");
    let machine = Machine::new();
    let srv = machine.tree.root().join("srv");
    fs::create_dir(&srv).expect("make a directory");
    fs::copy(fat.path("libfat.so"), srv.join("libfat.so")).expect("copy");
    machine.tree.installer(&[&["slim"], &arguments[..]].concat()).success();
    fs::copy(srv.join("small"), fat.path("small")).expect("copy");
    let magic = |name: &str, magic: &[u8]| fat.bytes(name).windows(4).any(|bytes| bytes == magic);
    assert!(magic("small", b"CCOB") && !magic("small", b"__CL"));
    assert_eq!(
        fat.run(Kind::Library, "small", "gfx906"),
        fat.run(Kind::Library, "libfat.so", "gfx906")
    );
    let again = machine.tree.installer(&[
        "slim",
        "/srv/small",
        "--gpu",
        "gfx906",
        "--in-place",
        "--compress",
    ]);
    assert!(again.success().stdout.contains("nothing to remove"));
    with_gpu_code(&machine.lib("libamdhip64.so.7"), &[GFX906], &fat.path("unrecorded"));
    let ended = fat.slim(&["/srv/unrecorded", "--gpu", "gfx906", "--in-place"]);
    assert!(ended.stderr.contains("has no GPU code"), "code without records: {ended:?}");
}

#[test]
fn inspect_and_status_name_the_gpus_of_a_slim_library() {
    let Some(fat) = Fat::new() else { return };
    fat.slim_to("libfat.so", "small.so");
    let text = |file: &str| fat.tree.installer(&["inspect", file]).success().stdout;
    assert!(text("/srv/small.so").contains("slim, for gfx906"), "{}", text("/srv/small.so"));
    assert!(!text("/srv/libfat.so").contains("slim, for"), "{}", text("/srv/libfat.so"));
    let json = fat.tree.installer(&["--json", "inspect", "/srv/small.so"]).success().stdout;
    let document: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(document["objects"][0]["file"]["slim"], serde_json::json!(["gfx906"]));
    let source = fat.path("note.s");
    fs::write(&source, NOTE).expect("write");
    let machine = Machine::with(Backend::Needing(&[source.to_str().expect("UTF-8")]));
    machine.apply(&[]).success();
    let (code, line) = machine.status();
    assert_eq!(code, 0, "{line}");
    assert!(line.contains("with backend 6.3.0 (slim, for gfx900, gfx906)"), "{line}");
}
