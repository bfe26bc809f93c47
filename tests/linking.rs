//! Building programs against the shim like against the vendor's library.

use rocblas_abi::c_exports;
use tests::{
    artefacts::{self, workspace},
    compile::compile,
    elf::face,
    run::{client, run},
    tree::Tree,
};

#[test]
fn a_c_program_links_with_l_rocblas_and_no_undefined_symbols() {
    let tree = Tree::with_backend(artefacts::probe());
    let names: Vec<String> = c_exports().iter().map(|f| format!("(void *){}", f.name)).collect();
    let all = tree.root().join("all.h");
    std::fs::write(&all, format!("#define ALL {}\n", names.join(", "))).expect("write");
    let lib = tree.lib();
    let arguments = [
        "-Wno-pedantic",
        "-include",
        all.to_str().expect("UTF-8"),
        "-L",
        lib.to_str().expect("UTF-8"),
        "-lrocblas",
        "-Wl,--no-undefined",
    ];
    let source = workspace().join("tests/clients/links_all.c");
    let program = compile(&source, &tree.root().join("links_all"), &arguments);
    assert!(face(&program).needed.contains(&"librocblas.so.5".to_owned()));
    let ended = run(&mut client(&tree, &program)).silent_success();
    assert_eq!(ended.stdout, format!("{} functions, 0 null\n", c_exports().len()));
}

#[test]
fn a_shared_library_links_against_it_too() {
    let tree = Tree::with_shim();
    let lib = tree.lib();
    let plugin = tests::compile::library(
        &workspace().join("tests/clients/plugin.c"),
        &tree.root().join("plugin.so"),
        "plugin.so",
        &["-L", lib.to_str().expect("UTF-8"), "-lrocblas", "-Wl,--no-undefined"],
    );
    assert!(face(&plugin).needed.contains(&"librocblas.so.5".to_owned()));
}
