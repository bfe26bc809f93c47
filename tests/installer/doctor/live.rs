//! The live check, against shims and backends in every state.

use super::{doctor, errors, json};
use std::fs;
use tests::{artefacts, compile::library, tree::Tree};

#[test]
fn a_healthy_tree_says_which_backend_answers() {
    let tree = Tree::with_backend(artefacts::reference());
    let ended = doctor(&tree, &["--json"]);
    assert_eq!(errors(&ended), [""; 0], "{ended:?}");
    let live = &json(&ended)["live"];
    assert_eq!(live["live"], "opened", "{ended:?}");
    assert_eq!(live["backend"], "only");
    assert_eq!(live["version"], "4.3.0.stand-in");
    assert_eq!(live["mode"], "direct");
    let path = tree.lib().join("rocblas-shim/backends/only/lib/librocblas.so.4");
    assert_eq!(live["path"], path.to_str().expect("UTF-8"));
    let text = doctor(&tree, &[]);
    assert!(text.stdout.contains("loads with backend only (rocBLAS 4.3.0.stand-in)"), "{text:?}");
    assert!(text.stdout.contains("Nothing is wrong"), "{text:?}");
}

#[test]
fn what_a_backend_lacks_is_counted_and_named() {
    let tree = Tree::with_shim();
    let backend = tree.root().join("few.so");
    let source = artefacts::standins().join("backend.c");
    tree.add_backend("few", &library(&source, &backend, "librocblas.so.4", &[]));
    let ended = doctor(&tree, &["--json"]);
    assert_eq!(errors(&ended), [""; 0], "{ended:?}");
    let missing = json(&ended)["live"]["missing"].as_array().expect("a list").len();
    let text = doctor(&tree, &[]);
    assert!(text.stdout.contains(&format!("missing in it: {missing} functions")), "{text:?}");
}

#[test]
fn no_backend() {
    let ended = doctor(&Tree::with_shim(), &["--json"]);
    assert_eq!(errors(&ended), ["the shim loads but has no backend"]);
    assert_eq!(json(&ended)["live"]["mode"], "failed");
    assert!(ended.stdout.contains("rocblas-shim/backends: does not exist"), "{ended:?}");
    assert!(ended.stdout.contains("installer apply --backend rocblas_4.3.0.60300"), "{ended:?}");
}

/// A tree whose backend is compiled from a test's own C source.
fn with_backend(source: &str, arguments: &[&str]) -> Tree {
    let tree = Tree::with_shim();
    let file = tree.root().join("backend.c");
    fs::write(&file, source).expect("write");
    let backend = tree.root().join("backend.so");
    tree.add_backend("odd", &library(&file, &backend, "librocblas.so.4", arguments));
    tree
}

#[test]
fn a_backend_whose_needs_are_not_met() {
    let outside = tempfile::tempdir().expect("a directory");
    let needed = outside.path().join("libmissing.so.3");
    let source = outside.path().join("missing.c");
    fs::write(&source, "int missing(void) { return 3; }\n").expect("write");
    library(&source, &needed, "libmissing.so.3", &[]);
    let tree = with_backend(
        "int missing(void); int rocblas_sscal(void) { return missing(); }\n",
        &[needed.to_str().expect("UTF-8")],
    );
    drop(outside);
    let ended = doctor(&tree, &["--json"]);
    assert_eq!(errors(&ended), ["the shim loads but has no backend"]);
    let diagnosis = json(&ended);
    let finding = &diagnosis["findings"][0];
    let seen = finding["seen"].to_string();
    assert!(seen.contains("libmissing.so.3: cannot open shared object file"), "{ended:?}");
    // The specific cause, not just the lack of a backend.
    let why = finding["why"].as_str().expect("a text");
    assert!(why.contains("in no directory that the loader searches"), "{why}");
}

#[test]
fn a_shim_that_is_garbage() {
    for (bytes, error) in [
        (&b"this is no library at all, whatever its name is, and it is long enough to look at it"[..], "invalid ELF header"),
        (&b""[..], "file too short"),
    ] {
        let tree = Tree::with_backend(artefacts::reference());
        fs::write(tree.lib().join("librocblas.so.5.99.0"), bytes).expect("write");
        let ended = doctor(&tree, &["--json"]);
        let name = tree.lib().join("librocblas.so.5");
        let title = format!("{} cannot be loaded", name.display());
        assert!(errors(&ended).contains(&title), "{ended:?}");
        assert_eq!(json(&ended)["live"]["live"], "not_loaded");
        let said = json(&ended)["live"]["error"].as_str().expect("a text").to_owned();
        assert!(said.contains(error), "{said}");
        assert!(ended.stdout.contains("build it again"), "{ended:?}");
    }
}

#[test]
fn a_backend_whose_constructor_aborts() {
    let tree = with_backend(
        "#include <stdio.h>\n#include <stdlib.h>\n\
         __attribute__((constructor)) static void die(void) {\n\
         fputs(\"terminate called without an active exception\\n\", stderr); abort(); }\n\
         int rocblas_sscal(void) { return 0; }\n",
        &[],
    );
    let ended = doctor(&tree, &["--json"]);
    let titles = errors(&ended);
    assert_eq!(titles.len(), 1, "{ended:?}");
    assert!(titles[0].starts_with("opening the shim crashed with SIGABRT"), "{titles:?}");
    let live = &json(&ended)["live"];
    assert_eq!((live["live"].as_str(), live["end"]["signal"].as_i64()), (Some("died"), Some(6)));
    assert!(live["stderr"].as_str().expect("a text").contains("terminate called"), "{ended:?}");
}

#[test]
fn what_libraries_print_is_not_taken_for_the_answer() {
    let tree = with_backend(
        "#include <stdio.h>\n\
         __attribute__((constructor)) static void say(void) { printf(\"{\\\"no_shim\\\":\"); }\n\
         __attribute__((destructor)) static void end(void) { fputs(\"bye\\n\", stderr); }\n\
         int rocblas_sscal(void) { return 0; }\n",
        &[],
    );
    let ended = doctor(&tree, &["--json"]);
    let live = &json(&ended)["live"];
    assert_eq!((live["live"].as_str(), live["backend"].as_str()), (Some("opened"), Some("odd")));
}
