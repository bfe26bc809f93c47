//! GPUs: those of the machine and of the tree, those that a change stops serving, and those that are added.

use crate::machine::Machine;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    amd_tree::{Backend, rocm_6_3},
    artefacts, program,
    run::{Ended, run},
    skip::skip,
    snapshot::Snapshot,
};

/// The numbers that the kernel uses for GPUs.
const GFX906: u32 = 90_006;
const GFX908: u32 = 90_008;
const GFX942: u32 = 90_402;
const GFX1036: u32 = 100_306;
const GFX1201: u32 = 120_001;

/// A machine with GPUs, with the installer inside its root because GPUs only count for the running system.
/// Its stock library serves gfx908 and gfx942; the backend serves gfx900, gfx906 and gfx908.
struct WithGpus {
    machine: Machine,
    backend: PathBuf,
}

impl WithGpus {
    fn new(gpus: &[u32]) -> Option<Self> {
        let machine = Machine::new();
        let root = machine.tree.root();
        for (node, version) in [0].iter().chain(gpus).enumerate() {
            let directory = root.join(format!("sys/class/kfd/kfd/topology/nodes/{node}"));
            fs::create_dir_all(&directory).expect("make a node");
            let bus = node << 8;
            let properties = format!(
                "simd_count 240\ngfx_target_version {version}\ndomain 0\nlocation_id {bus}\n"
            );
            fs::write(directory.join("properties"), properties).expect("write");
        }
        for directory in ["tmp", "usr/sbin", "dev"] {
            fs::create_dir_all(root.join(directory)).expect("make a directory");
        }
        program::copy(artefacts::installer(), root.join("installer"));
        fs::copy(artefacts::shim(), root.join("librocblas.so")).expect("copy");
        let ldconfig =
            run(Command::new("sh").args(["-c", "PATH=$PATH:/usr/sbin:/sbin command -v ldconfig"]));
        program::copy(ldconfig.success().stdout.trim(), root.join("usr/sbin/ldconfig"));
        for device in ["dev/null", "dev/kfd"] {
            fs::write(root.join(device), "").expect("write");
        }
        let backend = rocm_6_3(&root.join("tmp"), Backend::Needing(&[]));
        let backend = Path::new("/").join(backend.strip_prefix(root).expect("inside"));
        let with = Self { machine, backend };
        if with.command(&[]).is_none() {
            skip("the machine's own GPUs", "changing the root needs root's rights");
            return None;
        }
        Some(with)
    }

    fn command(&self, arguments: &[&str]) -> Option<Command> {
        let mut command = self.machine.tree.inside(&self.machine.tree.root().join("installer"))?;
        command.args(arguments);
        Some(command)
    }

    fn installer(&self, arguments: &[&str]) -> Ended {
        run(&mut self.command(arguments).expect("asked before"))
    }

    fn apply(&self, more: &[&str]) -> Ended {
        let backend = self.backend.to_str().expect("UTF-8");
        let apply = ["apply", "--shim", "/librocblas.so", "--backend", backend];
        self.installer(&[&apply, more].concat())
    }

    /// Checks that nothing was changed, and what is printed.
    #[track_caller]
    fn refuses(&self, more: &[&str], sentences: &[&str]) {
        let before = Snapshot::of(self.machine.tree.root());
        let ended = self.apply(more);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        says(&ended.stderr, sentences);
        before.assert_same(&Snapshot::of(self.machine.tree.root()));
    }
}

#[track_caller]
fn says(text: &str, sentences: &[&str]) {
    for sentence in sentences {
        assert!(text.contains(sentence), "{sentence:?} is not in {text}");
    }
}

#[test]
fn a_backend_that_serves_none_of_the_machines_gpus() {
    let Some(machine) = WithGpus::new(&[GFX1201, GFX1036]) else { return };
    let said = ["serves none of this machine's GPUs (gfx1036, gfx1201)", "gfx906", "name the GPUs"];
    machine.refuses(&[], &said);
    // Users can override this by naming GPUs, and this machine's GPUs were not served before either.
    machine.apply(&["--dry-run", "--gpu", "gfx906"]).success();
}

#[test]
fn a_backend_that_serves_some_of_the_machines_gpus_is_taken_with_a_remark() {
    // An MI50 and the processor's integrated GPU.
    let Some(machine) = WithGpus::new(&[GFX906, GFX1036]) else { return };
    let ended = machine.apply(&["--dry-run"]).success();
    says(&ended.stdout, &["does not serve this machine's gfx1036"]);
    assert!(!ended.stdout.contains("does not serve this machine's gfx906"), "{ended:?}");
}

#[test]
fn a_gpu_of_this_machine_is_given_up_at_a_persons_word_only() {
    let Some(machine) = WithGpus::new(&[GFX906, GFX942]) else { return };
    let said = [
        "gfx942, which this machine has and this tree serves now, would",
        "has no code for gfx942",
        "--gpu-loss-ok",
    ];
    for more in [&[][..], &["--gpu", "gfx906"], &["--gpu", "gfx906", "--dry-run"]] {
        // With the default, the stock library stays in the store and serves it.
        machine.refuses(&[more, &["--original", "delete"]].concat(), &said);
    }
    let applied = machine.apply(&["--gpu", "gfx906", "--gpu-loss-ok"]).success();
    says(&applied.stdout, &["gfx908, gfx942 are no longer served"]);
    says(&machine.installer(&["status"]).success().stdout, &["no longer: gfx908, gfx942"]);
    // The option also covers later commands.
    machine.apply(&["--gpu", "gfx900"]).success();
    machine.apply(&["--force"]).success();
    says(&machine.installer(&["status"]).success().stdout, &["no longer: gfx908, gfx942"]);
    machine.installer(&["revert"]).success();
    machine.refuses(&["--gpu", "gfx906", "--original", "delete"], &said);
}

#[test]
fn on_a_mixed_machine_a_route_loses_no_gpu() {
    let Some(machine) = WithGpus::new(&[GFX906, GFX942, GFX1201]) else { return };
    let libraries = machine.machine.lib("");
    let before = Snapshot::of(&libraries);
    let applied = machine.apply(&[]).success();
    says(
        &applied.stdout,
        &[
            "gfx942 of this machine keeps the tree's own rocBLAS, which stays in the store: ",
            "has no code for gfx942",
            "[route] in shim.toml gives each GPU the newest backend",
            "does not serve this machine's gfx1201",
        ],
    );
    assert!(!applied.stdout.contains("no longer served"), "{applied:?}");
    assert!(!applied.stdout.contains("serve this machine's gfx942"), "{applied:?}");
    let settings = machine.machine.lib("rocblas-shim/shim.toml");
    let written = fs::read_to_string(&settings).expect("read");
    says(&written, &["backend = \"6.3.0\"\n", "\n[route]\n", "\ndefault = \"auto\"\n"]);
    let routes = || machine.installer(&["backends", "routes"]).success().stdout;
    let wanted = "0: gfx906 at 0000:01:00.0: 6.3.0, by [route] default = \"auto\"\n\
                  1: gfx942 at 0000:02:00.0: 7.0.2, by [route] default = \"auto\"\n\
                  2: gfx1201 at 0000:03:00.0: no backend, by [route] default = \"auto\"\n   but no backend in ";
    says(&routes(), &[wanted, "is known to serve it"]);
    let status = machine.installer(&["status"]).success().stdout;
    assert!(!status.contains("but no longer"), "{status}");
    machine.installer(&["verify"]).success();
    let again = machine.apply(&[]).success();
    says(&again.stdout, &["Nothing to do"]);
    // If the library is replaced, `status` reports it, and the next `apply` inspects it.
    let library = machine.machine.lib("rocblas-shim/backends/7.0.2/lib/librocblas.so.5.0.70002");
    let bytes = fs::read(&library).expect("read");
    fs::write(&library, [bytes.as_slice(), &[0]].concat()).expect("write");
    let status = machine.installer(&["status"]);
    assert_eq!(status.status.code(), Some(4), "{status:?}");
    says(
        &status.stdout,
        &[
            "[route] default = \"auto\": backend 7.0.2: its library has changed since it was inspected",
        ],
    );
    says(&routes(), &["1: gfx942 at 0000:02:00.0: 7.0.2"]);
    fs::write(&library, bytes).expect("write");
    // A user's rule that takes the GPU away from that backend is an error.
    fs::write(&settings, format!("{written}gfx942 = \"6.3.0\"\n")).expect("write");
    let ended = machine.apply(&[]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    says(
        &ended.stderr,
        &["[route] gfx942 = \"6.3.0\" in ", "has no code for gfx942", "Remove that rule"],
    );
    fs::write(&settings, written).expect("write");
    machine.installer(&["revert"]).success();
    before.assert_same(&Snapshot::of(&libraries));
}

#[test]
fn a_backends_name_is_no_word_of_routes() {
    let machine = Machine::new();
    let ended = machine.apply(&["--name", "auto"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    says(&ended.stderr, &["\"auto\" in a route leaves the choice to the shim", "--name"]);
}

#[test]
fn a_route_gives_each_gpu_a_backend_that_serves_it() {
    let Some(machine) = WithGpus::new(&[GFX906, GFX942]) else { return };
    machine.apply(&["--gpu-loss-ok"]).success();
    let routes = || machine.installer(&["backends", "routes"]).success().stdout;
    says(
        &routes(),
        &[
            "0: gfx906 at 0000:01:00.0: 6.3.0, by shim.toml\n",
            "1: gfx942 at 0000:02:00.0: 6.3.0, by shim.toml\n   but it has no code for gfx942, only for ",
            "; 7.0.2 serves it (installer backends routes --write)",
        ],
    );
    says(&machine.installer(&["status"]).success().stdout, &["no longer: gfx942"]);
    machine.installer(&["backends", "routes", "--write"]).success();
    let settings = machine.machine.lib("rocblas-shim/shim.toml");
    let written = fs::read_to_string(&settings).expect("read");
    says(&written, &["backend = \"6.3.0\"", "[route]\ngfx906 = \"6.3.0\"\ngfx942 = \"7.0.2\"\n"]);
    let wanted = "0: gfx906 at 0000:01:00.0: 6.3.0, by [route] gfx906\n\
                  1: gfx942 at 0000:02:00.0: 7.0.2, by [route] gfx942\n";
    assert_eq!(routes(), wanted);
    // Another `apply` keeps rules that are sufficient as they are.
    machine.apply(&[]).success();
    assert_eq!(fs::read_to_string(&settings).expect("read"), written);
    // No GPU is lost any more, and backends that rules name are in use.
    let status = machine.installer(&["status"]).success().stdout;
    assert!(!status.contains("but no longer"), "{status}");
    machine.installer(&["verify"]).success();
    let json = machine.installer(&["--json", "backends", "routes"]).success().stdout;
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let second = &json["gpus"][1];
    assert_eq!((&second["backend"], &second["fault"]), (&"7.0.2".into(), &serde_json::Value::Null));
    // Rules without a usable target are faults.
    for (rule, said) in [
        ("gfx906 = \"5.9\"", "[route] gfx906 = \"5.9\": "),
        ("gfx906 = \"7.0.2\"", "[route] gfx906 = \"7.0.2\": it has no code for gfx906, only for "),
        ("mi50 = \"6.3.0\"", "[route]: `mi50=6.3.0` is no rule for a GPU"),
    ] {
        fs::write(&settings, written.replace("gfx906 = \"6.3.0\"", rule)).expect("write");
        for command in ["status", "verify"] {
            let ended = machine.installer(&[command]);
            assert_ne!(ended.status.code(), Some(0), "{rule}: {ended:?}");
            assert!((ended.stdout.clone() + &ended.stderr).contains(said), "{rule}: {ended:?}");
        }
    }
    let asked = machine.installer(&["backends", "routes", "--gpu", "gfx1201"]);
    says(&(asked.stdout + &asked.stderr), &["[route]: `mi50=6.3.0` is no rule for a GPU"]);
    fs::write(&settings, &written).expect("write");
    let ended = machine.installer(&["backends", "routes", "--gpu", "gfx1201", "--write"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    says(&ended.stderr, &["no backend in the store serves gfx1201"]);
    assert_eq!(fs::read_to_string(&settings).expect("read"), written);
    machine.installer(&["revert"]).success();
}

#[test]
fn the_hosts_gpus_do_not_count_while_an_image_is_built() {
    let Some(machine) = WithGpus::new(&[GFX942]) else { return };
    machine.refuses(&[], &["serves none of this machine's GPUs (gfx942)"]);
    // In a container the kernel still lists them, but the device file does not exist.
    fs::remove_file(machine.machine.tree.root().join("dev/kfd")).expect("remove");
    machine.apply(&["--gpu", "gfx906"]).success();
}

#[test]
fn tensile_files_that_are_left_out_are_a_loss_too() {
    let Some(machine) = WithGpus::new(&[GFX906, GFX908]) else { return };
    let said = [
        "gfx908, which this machine has and this tree serves now, would",
        "Tensile files of gfx908 are not placed",
        "--gpu",
    ];
    machine.refuses(&["--gpu", "gfx906", "--original", "delete"], &said);
    machine.apply(&["--gpu", "gfx906,gfx908"]).success();
    says(&machine.installer(&["status"]).success().stdout, &["no longer: gfx942"]);
}

#[test]
fn a_tree_of_another_root_may_be_for_other_gpus() {
    let machine = Machine::new();
    let applied = machine.apply(&["--gpu", "gfx906"]).success();
    let said =
        ["gfx908, gfx942 are no longer served", "no code for gfx942", "Tensile files of gfx908"];
    says(&applied.stdout, &said);
    let (code, line) = machine.status();
    assert_eq!(code, 0);
    says(&line, &["served by the stock library but no longer: gfx908, gfx942"]);
    let doctor = machine.tree.installer(&["doctor"]).stdout;
    says(&doctor, &["served by the stock library but no longer: gfx908, gfx942"]);
    let document = machine.tree.installer(&["status", "--json"]).success().stdout;
    let document: serde_json::Value = serde_json::from_str(&document).expect("JSON");
    assert_eq!(document["state"]["served_no_more"], serde_json::json!(["gfx908", "gfx942"]));
}

#[test]
fn gpus_are_added_to_those_that_are_placed() {
    let machine = Machine::new();
    let library = machine.lib("rocblas-shim/backends/6.3.0/lib/rocblas/library");
    let placed = |gpu: &str| library.join(format!("TensileLibrary_lazy_{gpu}.dat")).exists();
    machine.apply(&["--gpu", "gfx906"]).success();
    assert!(placed("gfx906") && !placed("gfx900"));
    // From the backend's original source.
    machine.tree.installer(&["apply", "--gpu", "gfx900"]).success();
    assert!(placed("gfx906") && placed("gfx900") && !placed("gfx908"));
    machine.assert_applied();
    // That source no longer exists.
    let backend = machine.backend.parent().expect("a prefix");
    let away = backend.with_file_name("away");
    fs::rename(backend, &away).expect("rename");
    let ended = machine.tree.installer(&["apply", "--gpu", "gfx908"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let said = ["gfx906, gfx900", "gfx908 are requested", "no longer exists", "--backend"];
    says(&ended.stderr, &said);
    machine.assert_applied();
    // A backend that was placed for all GPUs lacks nothing that could be added.
    fs::rename(&away, backend).expect("rename");
    machine.revert().success();
    machine.apply(&[]).success();
    machine.tree.installer(&["apply", "--gpu", "gfx906"]).success();
    assert!(placed("gfx906") && placed("gfx900") && placed("gfx908"));
    let ended = machine.tree.installer(&["apply", "--gpu", "gfx1100"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    says(&ended.stderr, &["backend 6.3.0 has no code for gfx1100", "gfx900, gfx906, gfx908"]);
}

#[test]
fn a_backend_that_was_added_for_one_gpu_is_used_as_it_is() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let backend = machine.backend.to_str().expect("UTF-8");
    let add = ["backends", "add", backend, "--name", "small", "--gpu", "gfx906"];
    machine.tree.installer(&add).success();
    machine.tree.installer(&["backends", "use", "small"]).success();
    let again = machine.tree.installer(&["apply"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    machine.tree.installer(&["apply", "--gpu", "gfx906"]).success();
    let library = machine.lib("rocblas-shim/backends/small/lib/rocblas/library");
    let placed = |gpu: &str| library.join(format!("TensileLibrary_lazy_{gpu}.dat")).exists();
    assert!(placed("gfx906") && !placed("gfx900"));
    machine.tree.installer(&["apply", "--gpu", "gfx900"]).success();
    assert!(placed("gfx906") && placed("gfx900"));
}

#[test]
fn where_stock_serves_the_gpu_the_shim_is_placed_at_a_persons_word_only() {
    let machine = Machine::new();
    let before = machine.snapshot();
    let ended = machine.apply(&["--gpu", "gfx908"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let said = ["librocblas.so.5.0.70002", "already serves gfx908", "--not-needed-ok"];
    says(&ended.stderr, &said);
    before.assert_same(&machine.snapshot());
    machine.apply(&["--gpu", "gfx908", "--not-needed-ok"]).success();
    // Once it is placed, `apply` no longer refuses.
    machine.apply(&["--gpu", "gfx908"]).success();
    machine.revert().success();
    // One of the two GPUs is not served.
    machine.apply(&["--gpu", "gfx906,gfx908"]).success();

    let Some(machine) = WithGpus::new(&[GFX908]) else { return };
    machine.refuses(&[], &["already serves gfx908"]);
}

#[test]
fn a_gpu_that_no_backend_is_known_to_serve_gets_no_useless_cure() {
    let machine = Machine::new();
    for applied in [false, true] {
        if applied {
            machine.apply(&["--gpu", "gfx906"]).success();
        }
        let doctor = machine.tree.installer(&["doctor", "--gpu", "gfx1151"]).stdout;
        says(&doctor, &["gfx1151 is not covered", "6.3's rocBLAS is not known to serve gfx1151"]);
        assert!(!doctor.contains("--gpu gfx1151"), "{doctor}");
        let doctor = machine.tree.installer(&["doctor", "--gpu", "gfx900"]).stdout;
        assert!(doctor.contains("--gpu gfx900"), "{doctor}");
    }
}

#[test]
fn a_stock_library_in_another_directory_counts_too() {
    let machine = Machine::new();
    // As `uv --link-mode=symlink` installs: each file is a symlink into a cache.
    let cache = machine.tree.root().join("var/cache/uv");
    fs::create_dir_all(&cache).expect("make a directory");
    let stock = machine.lib("librocblas.so.5.0.70002");
    fs::rename(&stock, cache.join("librocblas.so.5")).expect("rename");
    std::os::unix::fs::symlink("/var/cache/uv/librocblas.so.5", &stock).expect("link");
    let ended = machine.apply(&["--gpu", "gfx908"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    says(&ended.stderr, &["already serves gfx908"]);
    let applied = machine.apply(&["--gpu", "gfx906"]).success();
    says(&applied.stdout, &["gfx908, gfx942 are no longer served"]);
}

#[test]
fn a_backend_that_is_used_instead_says_what_it_lacks() {
    let machine = Machine::new();
    machine.apply(&[]).success();
    let used = machine.tree.installer(&["backends", "use", "7.0.2"]).success();
    says(&used.stdout, &["backend 6.3.0 served gfx900, gfx906, but 7.0.2 does not"]);
    says(&machine.status().1, &["backend 7.0.2"]);
    assert!(!machine.status().1.contains("but no longer"));
    let used = machine.tree.installer(&["backends", "use", "6.3.0"]).success();
    says(&used.stdout, &["backend 7.0.2 served gfx942, but 6.3.0 does not"]);
}

#[test]
fn a_slim_backend_keeps_the_kernels_of_all_gpus_of_this_machine() {
    let Some(with) = WithGpus::new(&[GFX906, GFX908, GFX1036]) else { return };
    let ended = with.apply(&["--slim", "--not-needed-ok"]).success();
    assert!(ended.stdout.contains("is slim, for gfx906, gfx908:"), "{ended:?}");
    let status = with.installer(&["status"]).success().stdout;
    assert!(status.contains("(slim, for gfx906, gfx908)"), "{status}");
    // A GPU that the backend has no code for is no reason to create it again.
    let again = with.apply(&["--slim", "--gpu", "gfx906"]).success();
    assert!(again.stdout.contains("Nothing to do"), "{again:?}");
    with.apply(&["--gpu", "gfx900"]).success();
    // These are all the GPUs that it has code for, so nothing is left out.
    let status = with.installer(&["status"]).success().stdout;
    assert!(status.contains("with backend 6.3.0;"), "{status}");
}

#[test]
fn a_backend_for_no_gpu_at_all_is_taken_with_a_remark() {
    let Some(with) = WithGpus::new(&[GFX1201]) else { return };
    let computing = with.machine.tree.root().join("tmp/computing/librocblas.so.4");
    fs::create_dir(computing.parent().expect("a directory")).expect("make it");
    fs::copy(artefacts::reference(), &computing).expect("copy");
    let apply = ["apply", "--shim", "/librocblas.so", "--backend", "/tmp/computing"];
    let ended = with.installer(&apply).success();
    assert!(ended.stdout.contains("has no GPU code"), "{ended:?}");
    let ended = with.installer(&[&apply[..], &["--gpu", "gfx1201"]].concat());
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
}
