//! Our package in a clean root: installed, used, upgraded and removed, by each package manager.

use crate::{
    managers::{APT, FRONT, Manager, PACMAN, RPM},
    root::Root,
};
use tests::run::Ended;

const PROGRAM: &str = "/usr/bin/rocblas-shim-installer";

fn all(ended: &Ended) -> String {
    format!("{}{}", ended.stdout, ended.stderr)
}

#[track_caller]
fn says(ended: Ended, what: &str) {
    let ended = ended.success();
    assert!(all(&ended).contains(what), "no `{what}`: {ended:?}");
}

#[track_caller]
fn status(root: &Root, code: i32, word: &str) {
    let ended = root.inside(PROGRAM, &["status"]);
    assert_eq!(ended.status.code(), Some(code), "{ended:?}");
    assert!(ended.stdout.contains(&format!("lib: {word}")), "{ended:?}");
}

fn journey(manager: &Manager) {
    if !manager.is_here() {
        return;
    }
    let Some(root) = Root::new() else { return };
    let scratch = tempfile::Builder::new().prefix("packages-").tempdir().expect("a directory");
    // makepkg runs as another user.
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(scratch.path(), mode).expect("set permissions");
    let [first, second] = [1, 2].map(|revision| (manager.ours)(scratch.path(), revision));
    let install = |file| (manager.install)(&root, file);
    let stock = root.at(FRONT).canonicalize().expect("the stock library");
    let releases = ["70002", "70003"];
    let [old, new] = releases.map(|release| (manager.rocblas)(scratch.path(), &stock, release));
    install(&old).success();
    let before = root.rocm();

    says(install(&first), "rocblas-shim: no ROCm tree was changed");
    before.assert_same(&root.rocm());
    let version = root.inside(PROGRAM, &["--version"]).success().stdout;
    assert!(version.contains("\nshim "), "{version}");
    for file in [
        "usr/share/man/man1/rocblas-shim-installer-apply.1.gz",
        "usr/share/bash-completion/completions/rocblas-shim-installer",
        "usr/share/fish/vendor_completions.d/rocblas-shim-installer.fish",
        "usr/share/doc/rocblas-shim/rocblas-shim.cdx.json",
    ] {
        assert!(root.at(file).is_file(), "{file}");
    }
    status(&root, 3, "not applied");

    let backend = ["--backend", "/opt/rocm-6.3.0", "--gpu", "gfx906"];
    root.inside(PROGRAM, &[&["apply"], &backend[..]].concat()).success();
    status(&root, 0, "applied");
    says(install(&new), "rocblas-shim: to repair it: sudo rocblas-shim-installer repair");
    status(&root, 4, "disturbed");
    root.inside(PROGRAM, &["repair"]).success();
    status(&root, 0, "applied");

    let applied = root.rocm();
    says(install(&second), "rocblas-shim: trees keep the shim that they have");
    says((manager.remove)(&root), "rocblas-shim: the shim stays in the tree");
    applied.assert_same(&root.rocm());
    for gone in ["usr/bin/rocblas-shim-installer", "usr/lib/rocblas-shim-installer"] {
        assert!(root.at(gone).symlink_metadata().is_err(), "{gone}");
    }

    install(&second).success();
    root.inside(PROGRAM, &["revert"]).success();
    status(&root, 3, "not applied");
    let front = root.at(FRONT).canonicalize().expect("the stock library");
    assert!(front.ends_with("librocblas.so.5.0.70003"), "{}", front.display());
    (manager.remove)(&root).success();
}

#[test]
fn the_deb_is_installed_used_upgraded_and_removed_without_changing_a_tree() {
    journey(&APT);
}

#[test]
fn the_rpm_is_installed_used_upgraded_and_removed_without_changing_a_tree() {
    journey(&RPM);
}

#[test]
fn the_package_for_arch_is_made_installed_used_upgraded_and_removed_without_changing_a_tree() {
    journey(&PACMAN);
}
