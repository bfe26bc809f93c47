//! Adds a ROCm release and a function that do not exist to a copy of the table's data: the build code generates
//! a stub, a name, a trace line, a declaration and the list of exports from it, without any change to Rust code.

use rocblas_abi::{DATA, exports};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};
use tests::{
    artefacts::{self, workspace},
    compile::{compile, library},
    elf::face,
    run::{client, run},
    tree::Tree,
};

const FUNCTION: &str = "rocblas_of_tomorrow";

const CLIENT: &str = r#"
#include "HEADER"
#include <stdio.h>
int main(void) {
    rocblas_handle handle = 0;
    char version[64] = "";
    float alpha = 1.5f;
    rocblas_create_handle(&handle);
    rocblas_get_version_string(version, sizeof version);
    printf("%d %s\n", rocblas_of_tomorrow(handle, 5, &alpha, rocblas_fill_lower), version);
    return 0;
}
"#;

const BACKEND: &str = r#"
int rocblas_create_handle(void **handle) { *handle = handle; return 0; }
int rocblas_destroy_handle(void *handle) { return 0; }
int rocblas_get_pointer_mode(void *handle, int *mode) { *mode = 0; return 0; }
#ifdef NEW
int rocblas_of_tomorrow(void *handle, int n, const float *alpha, int uplo) {
    return n * 1000 + (int)(*alpha * 10) * 10 + (uplo == 122);
}
#endif
"#;

/// A separate target directory, so that the artefacts of the other tests are not rebuilt.
fn target() -> PathBuf {
    workspace().join("target/invented")
}

/// Writes the data with the added release and function, and with the newest version presented. Unchanged files are
/// not rewritten, because cargo compares their times.
fn data() -> PathBuf {
    let directory = target().join("data");
    fs::create_dir_all(&directory).expect("make a directory");
    for entry in fs::read_dir(workspace().join("shim/abi/data")).expect("read the data") {
        let from = entry.expect("an entry").path();
        let mut text = fs::read_to_string(&from).expect("read data");
        let name = from.file_name().expect("a name").to_str().expect("UTF-8").to_owned();
        match name.as_str() {
            "releases.abi" => {
                let presents = "\npresents tree 5.0.2\n";
                assert!(text.contains(presents), "{text}");
                text = text.replace(presents, "\npresents newest\n");
                text += "99.0 9.9.0 librocblas.so.5\n";
            }
            "functions.abi" => {
                text += "[99.0..]\n";
                text += "status rocblas_of_tomorrow(handle handle, int n, const f32* alpha:in, fill uplo)\n";
            }
            _ => {}
        }
        let to = directory.join(name);
        if fs::read_to_string(&to).ok().as_ref() != Some(&text) {
            fs::write(&to, text).expect("write data");
        }
    }
    directory
}

/// Runs cargo on the copy.
fn cargo(arguments: &[&str]) -> String {
    let mut command = artefacts::cargo();
    let command = command.args(arguments).arg("--quiet");
    let command = command.arg("--target-dir").arg(target()).env("ROCBLAS_ABI_DATA", data());
    let output = command.output().expect("start cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn tree(shim: &Path) -> Tree {
    let tree = Tree::new();
    tree.place(shim, "librocblas.so.5.99.0");
    for link in ["librocblas.so.5", "librocblas.so"] {
        symlink("librocblas.so.5.99.0", tree.lib().join(link)).expect("link to the shim");
    }
    tree
}

#[test]
fn a_release_and_a_function_are_lines_of_data() {
    cargo(&["build", "--package", "rocblas-shim"]);
    let shim = target().join("debug/librocblas.so");

    // The exports: the previous ones and the new function.
    let exported = face(&shim).exports;
    let expected: BTreeSet<String> = exports()
        .iter()
        .map(|f| f.name)
        .chain(DATA.iter().map(|(name, _)| *name))
        .chain([FUNCTION])
        .map(str::to_owned)
        .collect();
    let actual: BTreeSet<String> =
        exported.into_iter().filter(|name| !name.starts_with("rocblas_shim_")).collect();
    assert_eq!(actual, expected);

    // The header.
    let header = cargo(&["run", "--package", "rocblas-abi", "--example", "header"]);
    let declaration = "rocblas_status rocblas_of_tomorrow(rocblas_handle handle, rocblas_int n, \
                       const float * alpha, rocblas_fill uplo);";
    assert!(header.contains(declaration), "not declared");

    // The stub, and the presented version.
    let tree = tree(&shim);
    let write = |name: &str, text: &str| {
        let path = tree.root().join(name);
        fs::write(&path, text).expect("write a source");
        path
    };
    let header = write("tomorrow.h", &header);
    let client_source =
        write("client.c", &CLIENT.replace("HEADER", header.to_str().expect("UTF-8")));
    let lib = tree.lib();
    let program = compile(
        &client_source,
        &tree.root().join("client"),
        &["-L", lib.to_str().expect("UTF-8"), "-lrocblas"],
    );
    let backend_source = write("backend.c", BACKEND);
    let backend = |name: &str, traits: &[&str]| {
        let built = tree.root().join(format!("{name}.so"));
        library(&backend_source, &built, "librocblas.so.4", traits);
        tree.add_backend(name, &built);
    };
    backend("new", &["-DNEW"]);
    backend("old", &[]);
    let called = |backend: &str, trace: &str| {
        let mut command = client(&tree, &program);
        command.env("ROCBLAS_SHIM_BACKEND", backend).env("ROCBLAS_SHIM_TRACE", trace);
        run(&mut command).success()
    };
    let ended = called("new", "");
    assert!(ended.stdout.starts_with("5151 9.9.0.shim-"), "{ended:?}");

    // The name in the message if a backend lacks it.
    let ended = called("old", "");
    assert!(ended.stdout.starts_with("2 9.9.0.shim-"), "{ended:?}");
    assert!(ended.stderr.contains("rocblas_of_tomorrow is missing from backend old"), "{ended:?}");

    // The trace, with names of parameters and enum values, and with the scalar.
    let ended = called("new", "stderr");
    let line = ended.stderr.lines().find(|line| line.contains(FUNCTION));
    let line = line.unwrap_or_else(|| panic!("{ended:?}"));
    for part in ["n=5", "alpha=1.5", "lower"] {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}
