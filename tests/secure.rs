//! A process with more privileges than its caller does not load code that the caller's environment names.

use std::{
    ffi::CString,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::Path,
};
use tests::{
    run::{client, run},
    scenario::{c_backend, linked_client},
    skip::skip,
    tree::Tree,
};

/// Makes a program set-user-ID to a user that the tests do not run as.
fn make_setuid(program: &Path) -> Result<(), String> {
    const NOBODY: u32 = 65_534;
    let path = CString::new(program.as_os_str().as_bytes()).expect("no NUL");
    // SAFETY: a valid path.
    if unsafe { libc::chown(path.as_ptr(), NOBODY, NOBODY) } != 0 {
        return Err("changing a file's owner needs root".to_owned());
    }
    fs::set_permissions(program, fs::Permissions::from_mode(0o4755)).map_err(|e| e.to_string())
}

#[test]
fn a_setuid_program_ignores_the_environment() {
    let tree = Tree::with_shim();
    let lib = tree.lib();
    let lib = lib.to_str().expect("UTF-8");
    let chosen = tree.add_backend("chosen", &c_backend(&tree, "backend.so", &[]));
    let other = c_backend(&tree, "other.so", &[]);
    // Absolute, because the loader ignores LD_LIBRARY_PATH in such a process.
    let program = linked_client(&tree, "status.c", &[&format!("-Wl,-rpath,{lib}")]);
    // Accessible to everyone, because the program runs as another user.
    fs::set_permissions(tree.root(), fs::Permissions::from_mode(0o755)).expect("open the tree");

    let run = || {
        let mut command = client(&tree, &program);
        command.env("ROCBLAS_SHIM_BACKEND", &other).env("ROCBLAS_SHIM_LOG", "info");
        run(command.env("STANDIN_SECRET", "told"))
    };
    let before = run();
    assert!(before.stdout.contains("backend=other.so\n"), "{before:?}");
    assert!(before.stderr.contains("info: backend other.so"), "{before:?}");
    assert!(before.stdout.contains("secret=told\n"), "{before:?}");

    if let Err(why) = make_setuid(&program) {
        return skip("set-user-ID program", &why);
    }
    let after = run();
    if after.stdout.contains("backend=other.so\n") && mounted_nosuid(tree.root()) {
        return skip("set-user-ID program", "the temporary directory is mounted nosuid");
    }
    assert!(after.stdout.contains("backend=chosen\n"), "{after:?}");
    assert!(after.stdout.contains(&format!("path={}\n", chosen.display())), "{after:?}");
    assert!(!after.stderr.contains("info: "), "{after:?}");
    assert!(after.stdout.contains("secret=(unset)\n"), "secure_getenv stays secure: {after:?}");
}

fn mounted_nosuid(path: &Path) -> bool {
    let path = CString::new(path.as_os_str().as_bytes()).expect("no NUL");
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: a valid path and memory for the result.
    let failed = unsafe { libc::statvfs(path.as_ptr(), stat.as_mut_ptr()) } != 0;
    // SAFETY: written on success.
    !failed && unsafe { stat.assume_init() }.f_flag & libc::ST_NOSUID != 0
}
