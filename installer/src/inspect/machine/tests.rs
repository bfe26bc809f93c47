//! A fake sysfs and fake devices.

use super::*;
use std::{fs::Permissions, os::unix::fs::PermissionsExt};

fn write(path: &Path, text: &str) {
    fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
    fs::write(path, text).expect("a file");
}

fn node(sys: &Path, number: u32, version: u64, name: &str, banks: &[(u32, u64)]) {
    let node = sys.join(format!("class/kfd/kfd/topology/nodes/{number}"));
    let properties = format!("cpu_cores_count 0\nsimd_count 240\ngfx_target_version {version}\n");
    write(&node.join("properties"), &properties);
    write(&node.join("name"), &format!("{name}\n"));
    for (index, (heap, size)) in banks.iter().enumerate() {
        let bank = format!("heap_type {heap}\nsize_in_bytes {size}\nflags 0\n");
        write(&node.join(format!("mem_banks/{index}/properties")), &bank);
    }
}

#[test]
fn targets_are_named_in_hexadecimal() {
    for (version, target) in [
        (80003, "gfx803"),
        (90000, "gfx900"),
        (90006, "gfx906"),
        (90010, "gfx90a"),
        (90012, "gfx90c"),
        (90402, "gfx942"),
        (100100, "gfx1010"),
        (100306, "gfx1036"),
        (110000, "gfx1100"),
        (110501, "gfx1151"),
        (120001, "gfx1201"),
    ] {
        assert_eq!(target_of(version), target);
    }
    // It must not panic, whatever the kernel returns.
    let _ = target_of(u64::MAX);
}

#[test]
fn gpus_are_listed_in_the_order_of_their_nodes_and_processors_are_none() {
    let base = tempfile::tempdir().expect("a directory");
    let sys = base.path();
    node(sys, 0, 0, "", &[(0, 1 << 36)]);
    node(sys, 10, 110000, "navi31", &[(1, 24 << 30)]);
    node(sys, 2, 90006, "vega20", &[(1, 16 << 30), (2, 16 << 30), (3, 99), (0, 99)]);
    write(&sys.join("class/kfd/kfd/topology/nodes/3/properties"), "gfx_target_version x\n");
    let machine = look(sys, Path::new("/nonexistent"));
    let gpus: Vec<_> = machine
        .gpus
        .iter()
        .map(|g| (g.node, g.target.as_str(), g.name.as_str(), g.memory))
        .collect();
    assert_eq!(gpus, [(2, "gfx906", "vega20", 32 << 30), (10, "gfx1100", "navi31", 24 << 30)]);
    assert_eq!(machine.gpus[0].simd_count, 240);
    assert!(machine.devices.is_empty() && machine.groups_to_add.is_empty());
}

#[test]
fn a_file_in_place_of_a_device_is_listed_and_not_usable() {
    let base = tempfile::tempdir().expect("a directory");
    let kfd = base.path().join("kfd");
    write(&kfd, "");
    write(&base.path().join("dri/renderD128"), "");
    write(&base.path().join("dri/card0"), "");
    fs::set_permissions(&kfd, Permissions::from_mode(0o660)).expect("permissions");
    let machine = look(Path::new("/nonexistent"), base.path());
    let names: Vec<_> =
        machine.devices.iter().map(|d| (d.path.clone(), d.mode, d.usable)).collect();
    assert_eq!(names[0], (kfd, 0o660, false));
    assert_eq!(names[1].0, base.path().join("dri/renderD128"));
    assert_eq!(names.len(), 2);
}

#[test]
fn a_real_device_is_usable_through_a_link() {
    let base = tempfile::tempdir().expect("a directory");
    std::os::unix::fs::symlink("/dev/null", base.path().join("kfd")).expect("a link");
    let machine = look(Path::new("/nonexistent"), base.path());
    assert!(machine.devices[0].usable, "{machine:?}");
    assert!(machine.groups_to_add.is_empty(), "everyone may use it");
}

#[test]
fn the_group_to_add_is_that_of_a_device_which_is_not_everyones() {
    let device = |mode, gid| Device { path: "/dev/kfd".into(), mode, uid: 0, gid, usable: false };
    assert_eq!(group_to_add(&device(0o660, 109)), Some(109));
    assert_eq!(group_to_add(&device(0o666, 109)), None);
    assert_eq!(group_to_add(&device(0o600, 109)), None);
    assert_eq!(group_to_add(&device(0o640, 109)), None);
    assert_eq!(group_to_add(&device(0o660, 0)), None);
}
