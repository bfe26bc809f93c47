//! Trees and copies whose libraries only have the kernels that their GPUs need: `apply --slim`,
//! `backends add --slim` and `collect --slim`.

use crate::{applying, machine::Machine, using};
use installer::inspect::library::targets_of;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::{
    amd_tree::{GFX908, with_gpu_code},
    artefacts,
    run::{Ended, run},
    snapshot::Snapshot,
};

/// The backend's library, relative to ROCm's.
const PLACED: &str = "rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300";

const JOURNAL: &str = "rocblas-shim/journal.json";

fn digest(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    blake3::hash(&bytes).to_hex().to_string()
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())).len()
}

/// The library that is placed as the backend.
fn whole(machine: &Machine) -> PathBuf {
    machine.backend.join("librocblas.so.4.3.60300")
}

fn json(path: &Path) -> Value {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).expect("JSON")
}

/// The targets that a library has code for.
fn targets(library: &Path) -> Vec<String> {
    let file = fs::File::open(library).unwrap_or_else(|e| panic!("{}: {e}", library.display()));
    targets_of(&file).expect("GPU code").into_keys().collect()
}

#[track_caller]
fn refused(ended: &Ended, reasons: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    for reason in reasons {
        assert!(ended.stderr.contains(reason), "{reason}: {}", ended.stderr);
    }
}

fn placed(machine: &Machine) -> Vec<String> {
    targets(&machine.lib(PLACED))
}

#[test]
fn a_slim_backend_has_the_kernels_of_its_gpus_and_everything_says_so() {
    let machine = Machine::new();
    let before = machine.snapshot();
    let ended = machine.apply(&["--gpu", "gfx906", "--slim"]).success();
    assert!(ended.stdout.contains("backend 6.3.0 is slim, for gfx906"), "{ended:?}");
    assert!(ended.stdout.contains("will need"), "{ended:?}");
    assert!(size(&machine.lib(PLACED)) < size(&whole(&machine)) / 2);
    assert_eq!(placed(&machine), ["gfx906"]);

    let journal = json(&machine.lib(JOURNAL));
    let slim = &journal["origins"]["6.3.0"]["slim"];
    assert_eq!(slim["whole"], digest(&whole(&machine)), "{journal:#}");
    assert_eq!(slim["gpus"], serde_json::json!(["gfx906"]), "{journal:#}");
    let entry = &journal["entries"][PLACED]["after"];
    assert!(entry.to_string().contains(&digest(&machine.lib(PLACED))), "{entry:#}");

    let (code, line) = machine.status();
    assert_eq!(code, 0, "{line}");
    assert!(line.contains("with backend 6.3.0 (slim, for gfx906)"), "{line}");
    for (command, said) in [
        (&["verify"][..], "backend 6.3.0 is slim, for gfx906"),
        (&["doctor"], "slim, for gfx906"),
        (&["backends", "list"], "(slim) "),
    ] {
        let printed = machine.tree.installer(command).stdout;
        assert!(printed.contains(said), "{command:?}: {printed}");
    }
    let verified = machine.tree.installer(&["--json", "verify"]).success().stdout;
    let verified: Value = serde_json::from_str(&verified).expect("JSON");
    assert_eq!(verified["slim"]["6.3.0"], serde_json::json!(["gfx906"]));

    let applied = machine.snapshot();
    for again in [&["--gpu", "gfx906", "--slim"][..], &[]] {
        machine.apply(again).success();
        applied.assert_same(&machine.snapshot());
    }
    let usual = machine.tree.installer(&["apply"]).success();
    assert!(usual.stdout.contains("Nothing to do"), "{usual:?}");
    machine.revert().success();
    before.assert_same(&machine.snapshot());
}

#[test]
fn a_gpu_that_is_added_later_needs_the_source_again() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906", "--slim"]).success();
    machine.tree.installer(&["apply", "--gpu", "MI100"]).success();
    assert_eq!(placed(&machine), ["gfx906", "gfx908"]);
    assert!(machine.status().1.contains("(slim, for gfx906, gfx908)"), "{:?}", machine.status());
    let moved = machine.outside().join("moved");
    fs::rename(machine.backend.parent().expect("a directory"), &moved).expect("move");
    let before = machine.snapshot();
    let ended = machine.tree.installer(&["apply", "--gpu", "gfx900"]);
    refused(&ended, &["gfx900", "no longer exists", "--backend"]);
    before.assert_same(&machine.snapshot());
    // A GPU that is already placed does not need the source.
    machine.tree.installer(&["apply", "--gpu", "gfx908"]).success();
    let moved = moved.join("lib");
    let moved = moved.to_str().expect("UTF-8");
    machine.tree.installer(&["apply", "--backend", moved, "--gpu", "gfx900"]).success();
    assert_eq!(placed(&machine), ["gfx900", "gfx906", "gfx908"]);
}

#[test]
fn a_slim_backend_is_made_whole_again_and_slim_later() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906"]).success();
    assert_eq!(digest(&machine.lib(PLACED)), digest(&whole(&machine)));
    let apply = |slim: &str| machine.tree.installer(&["apply", slim]).success();
    apply("--slim");
    assert_eq!(placed(&machine), ["gfx906"]);
    apply("--slim=no");
    assert_eq!(digest(&machine.lib(PLACED)), digest(&whole(&machine)));
    assert!(!machine.status().1.contains("slim"), "{:?}", machine.status());
    assert_eq!(machine.tree.installer(&["apply", "--slim=perhaps"]).status.code(), Some(2));
}

#[test]
fn a_damaged_slim_library_is_repaired_from_its_source() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906", "--slim"]).success();
    let applied = machine.snapshot();
    let mut bytes = fs::read(machine.lib(PLACED)).expect("read");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let times = fs::metadata(machine.lib(PLACED)).expect("there").modified().expect("a time");
    fs::write(machine.lib(PLACED), bytes).expect("damage");
    let file = fs::File::options().write(true).open(machine.lib(PLACED)).expect("open");
    file.set_modified(times).expect("set the time");
    let ended = machine.tree.installer(&["verify"]);
    assert_eq!(ended.status.code(), Some(4), "{ended:?}");
    machine.tree.installer(&["repair"]).success();
    applied.assert_same(&machine.snapshot());
}

#[test]
fn what_cannot_be_slim_is_refused_and_nothing_is_changed() {
    let machine = Machine::new();
    let before = machine.snapshot();
    refused(&machine.apply(&["--slim"]), &["name them with --gpu"]);
    refused(&machine.apply(&["--slim", "--gpu", "gfx1030"]), &["gfx1030", "gfx900"]);
    // A runtime does not see code that no record points to.
    let bare = machine.outside().join("bare/librocblas.so.4");
    fs::create_dir(bare.parent().expect("a directory")).expect("make it");
    let objcopy = ["--rename-section", ".hipFatBinSegment=.records"];
    let mut command = std::process::Command::new("objcopy");
    run(command.args(objcopy).arg(whole(&machine)).arg(&bare)).success();
    let bare = bare.to_str().expect("UTF-8");
    let ended = machine.apply(&["--slim", "--gpu", "gfx906", "--backend", bare]);
    refused(&ended, &["cannot be made slim", "librocblas.so.4"]);
    before.assert_same(&machine.snapshot());
}

#[test]
fn a_dry_run_shows_the_small_library_and_changes_nothing() {
    let mut machine = Machine::new();
    for is_packed in [false, true] {
        if is_packed {
            machine.backend = applying::packed(&machine);
        }
        let before = Snapshot::with_times(machine.tree.root());
        let options = ["--gpu", "gfx906", "--slim", "--dry-run", "--json"];
        let shown = machine.apply(&options).success().stdout;
        before.assert_same(&Snapshot::with_times(machine.tree.root()));
        let plan: Value = serde_json::from_str(&shown).expect("JSON");
        let steps = plan["steps"].as_array().expect("steps");
        let step = steps.iter().find(|step| step["path"] == PLACED);
        let step = step.unwrap_or_else(|| panic!("{plan:#}"));
        let shown = step["size"].as_u64().expect("a size");
        let outside = machine.outside().join("rocm-6.3.0/lib/librocblas.so.4.3.60300");
        assert!(shown < size(&outside) / 2, "{step:#}");
    }
}

#[test]
fn a_package_is_reduced_while_it_is_placed_and_not_unpacked_again() {
    let mut machine = Machine::new();
    machine.backend = applying::packed(&machine);
    machine.apply(&["--gpu", "gfx906", "--slim"]).success();
    assert_eq!(placed(&machine), ["gfx906"]);
    let applied = Snapshot::with_times(machine.tree.root());
    let again = machine.apply(&["--gpu", "gfx906", "--slim"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    applied.assert_same(&Snapshot::with_times(machine.tree.root()));
}

#[test]
fn a_backend_is_added_slim_beside_a_whole_one() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906,gfx908"]).success();
    let source = machine.backend.to_str().expect("UTF-8");
    let add = ["backends", "add", source, "--name", "small", "--gpu", "gfx906", "--slim"];
    machine.tree.installer(&add).success();
    let library =
        |name: &str| machine.lib("rocblas-shim/backends").join(name).join("lib/librocblas.so.4");
    assert_eq!(targets(&library("small")), ["gfx906"]);
    assert_eq!(targets(&library("6.3.0")), ["gfx900", "gfx906", "gfx908"]);
    machine.tree.installer(&["backends", "use", "small"]).success();
    assert!(machine.status().1.contains("small (slim, for gfx906)"), "{:?}", machine.status());
}

/// A machine with a program and the shim, as in a Dockerfile, and an empty directory next to it.
fn built(more: &[&str]) -> (Machine, String, PathBuf) {
    let machine = Machine::new();
    let program = using::build(&machine);
    machine.apply(more).success();
    let inside = Path::new("/").join(program.strip_prefix(machine.tree.root()).expect("in it"));
    let into = machine.outside().join("image");
    (machine, inside.to_str().expect("UTF-8").to_owned(), into)
}

fn collect(machine: &Machine, into: &Path, arguments: &[&str]) -> Ended {
    let fixed = ["collect", "--into", into.to_str().expect("UTF-8")];
    machine.tree.installer(&[&fixed, arguments].concat())
}

fn in_image(image: &Path, command: &[&str]) -> Ended {
    let mut installer = std::process::Command::new(artefacts::installer());
    run(installer.arg("--root").arg(image).args(command))
}

#[test]
fn a_slim_copy_has_the_kernels_of_its_gpus_and_is_verified() {
    for options in [&["--gpu", "gfx906"][..], &["--gpu", "gfx906", "--slim"]] {
        let (machine, program, image) = built(options);
        let before = machine.snapshot();
        let ended = collect(&machine, &image, &["--slim", &program]).success();
        before.assert_same(&machine.snapshot());
        assert!(ended.stdout.contains("instead of"), "{ended:?}");
        let lib = image.join("opt/rocm-7.0.2/lib");
        let solver = lib.join("librocsolver.so.0.5.70002");
        assert!(size(&solver) < size(&machine.lib("librocsolver.so.0.5.70002")), "{options:?}");
        for library in ["librocsolver.so.0.5.70002", PLACED] {
            assert_eq!(targets(&lib.join(library)), ["gfx906"], "{library}");
        }
        // The library that `revert` restores is unchanged.
        let stock = "rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002";
        assert_eq!(digest(&lib.join(stock)), digest(&machine.lib(stock)));
        let verified = in_image(&image, &["verify"]).success();
        assert!(verified.stdout.contains("is slim, for gfx906"), "{verified:?}");
        let status = in_image(&image, &["status"]).success();
        assert!(status.stdout.contains("(slim, for gfx906)"), "{status:?}");
        let origin = &json(&lib.join(JOURNAL))["origins"]["6.3.0"]["slim"];
        assert_eq!(origin["whole"], digest(&whole(&machine)), "{origin:#}");
        in_image(&image, &["revert"]).success();
        assert!(lib.join("librocblas.so.5.0.70002").exists());
    }
}

#[test]
fn a_copy_is_slim_only_where_the_gpus_are_known() {
    let (machine, program, image) = built(&[]);
    refused(&collect(&machine, &image, &["--slim", &program]), &["installer apply --slim --gpu"]);
    assert!(!image.exists() || fs::read_dir(&image).expect("read").next().is_none());
    machine.tree.installer(&["apply", "--slim", "--gpu", "gfx906"]).success();
    let app = machine.tree.root().join("app");
    fs::create_dir(&app).expect("make a directory");
    with_gpu_code(&machine.lib("libamd_comgr.so.3"), &[GFX908], &app.join("libother.so"));
    let ended = collect(&machine, &image, &["--slim", "--json", &program, "/app"]).success();
    let document: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let solver = "/opt/rocm-7.0.2/lib/librocsolver.so.0.5.70002";
    assert_eq!(document["slim"][solver]["gpus"], serde_json::json!(["gfx906"]), "{document:#}");
    let remarks = document["remarks"].to_string();
    let said = "/app/libother.so was copied whole: it has no kernels for gfx906, only for gfx908";
    assert!(remarks.contains(said), "{remarks}");
    in_image(&image, &["verify"]).success();
}

#[test]
fn a_backend_that_is_added_again_for_another_gpu_is_another_file_of_the_same_size() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906,gfx908"]).success();
    let source = machine.backend.to_str().expect("UTF-8");
    let library = machine.lib("rocblas-shim/backends/small/lib/librocblas.so.4");
    let mut sizes = Vec::new();
    for gpu in ["gfx906", "gfx908"] {
        let add = ["backends", "add", source, "--name", "small", "--gpu", gpu, "--slim"];
        machine.tree.installer(&add).success();
        assert_eq!(targets(&library), [gpu]);
        machine.tree.installer(&["verify"]).success();
        sizes.push(size(&library));
    }
    assert_eq!(sizes[0], sizes[1], "only the contents tell them apart");
}

#[test]
fn the_kernels_of_a_slim_backend_stay_when_its_source_is_given_again() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    machine.tree.installer(&["apply", "--slim", "--gpu", "gfx906"]).success();
    machine.apply(&["--gpu", "gfx908"]).success();
    assert_eq!(placed(&machine), ["gfx906", "gfx908"]);
    machine.apply(&[]).success();
    assert_eq!(placed(&machine), ["gfx906", "gfx908"]);
}

#[test]
fn a_slim_backend_that_was_chosen_is_repaired_as_it_was() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906,gfx908"]).success();
    let source = machine.backend.to_str().expect("UTF-8");
    let add = ["backends", "add", source, "--name", "small", "--gpu", "gfx906", "--slim"];
    machine.tree.installer(&add).success();
    machine.tree.installer(&["backends", "use", "small"]).success();
    machine.tree.installer(&["repair"]).success();
    let before = machine.snapshot();
    let library = machine.lib("rocblas-shim/backends/small/lib/librocblas.so.4.3.60300");
    fs::write(&library, "damaged").expect("write");
    machine.tree.installer(&["repair"]).success();
    assert_eq!(targets(&library), ["gfx906"]);
    before.assert_same(&machine.snapshot());
}

#[test]
fn a_backend_of_unknown_source_is_not_said_to_be_slim() {
    let machine = Machine::new();
    machine.apply(&["--gpu", "gfx906"]).success();
    for journal in [JOURNAL, "rocblas-shim/journal.copy.json"] {
        fs::remove_file(machine.lib(journal)).expect("remove");
    }
    let before = machine.snapshot();
    let ended = machine.tree.installer(&["apply", "--slim", "--gpu", "gfx906"]);
    refused(&ended, &["is whole, and its source is not known", "--backend"]);
    before.assert_same(&machine.snapshot());
}

#[test]
fn what_slim_left_out_is_not_said_to_be_missing_in_the_source() {
    let machine = Machine::new();
    let ended = machine.apply(&["--slim", "--gpu", "gfx906"]).success();
    assert!(ended.stdout.contains("is slim and has no code for"), "{ended:?}");
    // A source that is already slim keeps its kernels, and these are reported.
    let machine = Machine::new();
    let source = machine.tree.root().join("srv");
    fs::create_dir(&source).expect("make a directory");
    fs::copy(whole(&machine), source.join("whole.so")).expect("copy");
    let slim = ["slim", "/srv/whole.so", "--gpu", "gfx906,gfx908", "--output", "/srv/slim.so"];
    machine.tree.installer(&slim).success();
    fs::copy(source.join("slim.so"), whole(&machine)).expect("copy");
    let ended = machine.apply(&["--slim", "--gpu", "gfx906"]).success();
    assert!(ended.stdout.contains("6.3.0 is slim, for gfx906, gfx908:"), "{ended:?}");
    let journal = json(&machine.lib(JOURNAL));
    let gpus = &journal["origins"]["6.3.0"]["slim"]["gpus"];
    assert_eq!(*gpus, serde_json::json!(["gfx906", "gfx908"]), "{journal:#}");
}

#[test]
fn the_stock_library_is_copied_whole_also_where_it_could_be_reduced() {
    let (machine, program, image) = built(&["--gpu", "gfx908", "--not-needed-ok"]);
    collect(&machine, &image, &["--slim", &program]).success();
    let stock = "rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002";
    let copied = image.join("opt/rocm-7.0.2/lib").join(stock);
    assert_eq!(targets(&copied), ["gfx908", "gfx942"]);
    assert_eq!(digest(&copied), digest(&machine.lib(stock)));
}
