//! How `collect` handles a program directory that was not made for it: files that run with their owner's
//! rights, pipes, sockets, devices, and a copy that fails halfway.

use super::{
    attempt::{Verb, confined, faults},
    scene::{Scene, Start, Template},
};
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
    process::Command,
};
use tests::{
    interrupt::{self, Interruption},
    program,
    run::{Ended, run},
    skip::skip,
    small_tree::{self, PROGRAM},
    snapshot::Snapshot,
};

/// Another user of the machine.
const USER: u32 = 1000;

/// A tree with the shim, and a program's directory, `/app`.
fn scene(template: &Template) -> Scene {
    let scene = Scene::new(template, Start::AppliedWithoutDpkg);
    fs::create_dir(scene.at("/app")).expect("make a directory");
    program::copy(scene.at(PROGRAM), scene.at("/app/server"));
    fs::write(scene.at("/app/data"), "data").expect("write");
    scene
}

fn command(scene: &Scene) -> Command {
    let mut command = small_tree::installer(&scene.root());
    command.args(["collect", "--into"]).arg(scene.image()).arg("/app");
    command
}

#[track_caller]
fn assert_collected(scene: &Scene, ended: &Ended) {
    assert!(ended.status.success(), "{ended:?}");
    assert_eq!(fs::read_to_string(scene.image().join("app/data")).expect("collected"), "data");
    let front = scene.image().join("opt/rocm-7.0.2/lib/librocblas.so.5");
    assert!(front.exists(), "{ended:?}");
}

/// A file that runs with a user's rights must not become one that runs with root's: either the copy belongs
/// to that user too, or it has no set-user-ID or set-group-ID bit.
#[test]
fn a_file_that_is_set_user_id_does_not_become_roots() {
    if !rustix::process::geteuid().is_root() {
        skip("set-user-ID files of others", "making them needs root's rights");
        return;
    }
    let template = Template::new();
    let scene = scene(&template);
    let modes = [("setuid", 0o4755), ("setgid", 0o2755), ("both", 0o6777)];
    for (name, mode) in modes {
        let file = scene.at("/app").join(name);
        fs::write(&file, "#!/bin/sh\n").expect("write");
        chown(&file, Some(USER), Some(USER)).expect("give");
        // After the change of owner, which clears the bits.
        fs::set_permissions(&file, Permissions::from_mode(mode)).expect("set the mode");
    }
    let ended = run(&mut command(&scene));
    assert_collected(&scene, &ended);
    let mut failures = Vec::new();
    for (name, _) in modes {
        let metadata = fs::metadata(scene.image().join("app").join(name)).expect("collected");
        let (mode, owner) = (metadata.mode() & 0o7777, (metadata.uid(), metadata.gid()));
        let as_owner = mode & 0o4000 != 0 && owner.0 != USER;
        let as_group = mode & 0o2000 != 0 && owner.1 != USER;
        if as_owner || as_group {
            failures.push(format!("{name} is {mode:04o} of {owner:?}"));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn pipes_sockets_and_devices_are_left_out_with_a_remark() {
    let template = Template::new();
    let scene = scene(&template);
    let node = |name: &str, kind, device| {
        let path = scene.at("/app").join(name);
        mknodat(CWD, &path, kind, Mode::from_raw_mode(0o666), device)
    };
    let mut names = vec!["a-pipe", "a-socket"];
    node("a-pipe", FileType::Fifo, 0).expect("make a pipe");
    node("a-socket", FileType::Socket, 0).expect("make a socket");
    if node("a-device", FileType::CharacterDevice, makedev(1, 5)).is_ok() {
        names.push("a-device");
    }
    let confined = confined(&mut command(&scene));
    assert!(faults(&confined).is_empty(), "{confined:?}");
    let ended = confined.ended;
    assert_collected(&scene, &ended);
    for name in names {
        assert!(!scene.image().join("app").join(name).exists(), "{name}: {ended:?}");
        assert!(ended.stdout.contains(name), "no remark on {name}: {ended:?}");
    }
}

/// After a copy has failed, the next one still succeeds.
#[test]
fn after_a_failure_a_second_run_works() {
    if let Err(why) = interrupt::permitted() {
        skip("a disk that is full while programs are collected", why);
        return;
    }
    let template = Template::new();
    let whole = {
        let scene = scene(&template);
        let outcome = trace(&scene, Interruption::None);
        assert_collected(&scene, &outcome.ended);
        outcome.calls
    };
    let before_and_after = |made: bool| {
        for call in (0..whole.len()).step_by(whole.len().div_ceil(12)) {
            let scene = scene(&template);
            if made {
                fs::create_dir(scene.image()).expect("make a directory");
            }
            let full = Interruption::FailFrom { call, errno: libc::ENOSPC };
            let failed = trace(&scene, full);
            if !failed.interrupted || failed.ended.status.success() {
                continue;
            }
            let at = &whole[call];
            assert_eq!(failed.ended.status.code(), Some(1), "{at}: {:?}", failed.ended);
            let again = run(&mut command(&scene));
            assert_collected(&scene, &again);
        }
    };
    before_and_after(false);
    before_and_after(true);
}

fn trace(scene: &Scene, interruption: Interruption) -> interrupt::Outcome {
    let spare = scene.spare("");
    interrupt::run(&mut command(scene), &spare, interruption).expect("traced")
}

/// The installer does not remove files of other programs from the directory, even after a failure.
#[test]
fn what_is_in_the_directory_already_stays() {
    let template = Template::new();
    let scene = scene(&template);
    let into = scene.image();
    fs::create_dir_all(into.join("app")).expect("make a directory");
    fs::write(into.join("app/mine"), "precious").expect("write");
    let before = Snapshot::exact(&into);
    let refused = run(&mut Verb::Collect.command(&scene));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    before.assert_same(&Snapshot::exact(&into));
    assert!(Path::new(&into).exists());
}
