//! `cargo demo` as a user runs it.

use std::{path::Path, process::Command, time::Duration};
use tests::{
    artefacts,
    run::{Ended, exists, run, run_within},
    skip::skip,
};

const FAILURE: &str = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98";

/// Longer than building the clients and running them takes.
const LIMIT: Duration = Duration::from_secs(600);

fn demo(arguments: &[&str]) -> Ended {
    // This must not count towards the demo's time.
    built();
    run_within(command().args(arguments), LIMIT)
}

/// The demo, built as tests build it.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_demo"));
    command.env(artefacts::SELECTION, "workspace");
    command
}

/// Runs a command on a machine that looks as if it had an MI50: in a mount namespace whose `/dev` has what
/// programs need and the GPU device.
const WITH_GPU: &str = r#"
mount -t tmpfs none /sys/class
node=/sys/class/kfd/kfd/topology/nodes/1
mkdir -p "$node"
printf 'simd_count 240\ngfx_target_version 90006\n' >"$node/properties"
devices=$(mktemp -d)
mount --bind /dev "$devices"
mount -t tmpfs none /dev
for name in null zero random urandom; do
    : >"/dev/$name"
    mount --bind "$devices/$name" "/dev/$name"
done
mkdir /dev/shm
umount "$devices"
rmdir "$devices"
: >/dev/kfd
exec "$@"
"#;

#[test]
fn it_works_on_a_machine_with_a_gpu() {
    // Root cannot either if `/` is not a mount point, as in a plain chroot.
    if !exists("unshare")
        || !run(Command::new("unshare").args(["--mount", "true"])).status.success()
    {
        skip("the demo on a machine with a GPU", "this user cannot create a mount namespace here");
        return;
    }
    built();
    let demo = command();
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-euc", WITH_GPU, "sh"]).arg(demo.get_program());
    command.env(artefacts::SELECTION, "workspace");
    let ended = run_within(&mut command, LIMIT).success();
    assert!(ended.stdout.contains("has no GPU code"), "{ended:?}");
    assert!(ended.stdout.contains("5 of 5 shapes solved"), "{ended:?}");
}

#[test]
fn it_fails_succeeds_and_fails_again_and_leaves_nothing() {
    let directory = tempfile::tempdir().expect("make a directory");
    built();
    let mut command = command();
    let ended = run_within(command.env("TMPDIR", directory.path()), LIMIT).silent_success();

    let outcomes: Vec<&str> = ended
        .stdout
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with(FAILURE) || line.contains(" of 5 "))
        .collect();
    let failure = format!("{FAILURE}  (x5)");
    assert_eq!(
        outcomes,
        [
            &failure,
            "0 of 5 shapes solved",
            "5 of 5 shapes solved",
            "5 of 5 products right",
            &failure,
            "0 of 5 shapes solved",
            "4 of 5 shapes solved",
            "5 outputs of 5 calls were checked",
        ],
        "{ended:?}"
    );
    // Only the text of a call in a trace may be longer: it would be unreadable in two lines.
    let long = ended.stdout.lines().filter(|line| line.chars().count() > 100);
    let may_be_long = [
        "strsm",
        "status_to_string(",
        "capture=ask",
        "$ ROCBLAS_SHIM_",
        "$ REFERENCE_BACKEND_",
        "$ installer compare",
        "$ installer replay",
        "promises kept: ",
        "infinite elements",
        "by pointers",
        "suspect: ",
        "CPU in double precision: ",
    ];
    let is_alone = |line: &str| may_be_long.iter().any(|text| line.contains(text));
    assert!(long.clone().all(is_alone), "{:?}", long.clone().find(|line| !is_alone(line)));
    assert!(long.clone().all(|line| line.chars().count() <= 280), "{:?}", long.max());
    let root = directory.path().display().to_string();
    assert!(!ended.stdout.contains(&root), "paths are relative to the tree: {ended:?}");
    for said in [
        "Applied; ",
        "12 calls of 4 functions in 1 thread",
        "internal_error 5 times, first at ",
        "n=64, batch=4): 1 internal_error -> 1 success",
        "run 2 of 2: 7.0.2",
        "The first call with a different outcome",
        "  6.3.0: success, call 1:2 in run 1, solve_tri (process ",
        "its operands are in call-1-2.safetensors",
        "  417 x 79, ld 417; batch of 1 by pointers",
        "suspect: wrong, B: 1 of 32,943 elements, 1 of them NaN or infinite, the first in row ",
        "5 calls compared: 4 with the same bits, 0 rounded differently, 1 different",
        "The call alone, with the operands of suspect",
        "Reverted: everything that the installer changed is as it was before.",
    ] {
        assert!(ended.stdout.contains(said), "{said:?} is not in {ended:?}");
    }
    let left = directory.path().read_dir().expect("read the directory").count();
    assert_eq!(left, 0, "the tree is gone");
}

#[test]
fn it_keeps_the_tree_when_asked() {
    let ended = demo(&["--keep"]).silent_success();
    let kept = ended.stdout.lines().find_map(|line| line.strip_prefix("Kept: "));
    let kept = Path::new(kept.unwrap_or_else(|| panic!("no path in {ended:?}")));
    let lib = kept.join("lib");
    assert!(lib.join("rocblas-shim/backends/7.0.2/lib/librocblas.so.5").is_file());
    assert!(lib.join("rocblas-shim/backends/6.3.0/lib/librocblas.so.4").is_file());
    assert_eq!(
        lib.join("librocblas.so.5").read_link().expect("a link"),
        Path::new("librocblas.so.5.99.0")
    );
    std::fs::remove_dir_all(kept).expect("remove what was kept");
}

/// Builds the programs that the demo runs, so that this does not count towards its time limit.
fn built() {
    for library in [artefacts::shim, artefacts::reference, artefacts::stock] {
        library();
    }
}
