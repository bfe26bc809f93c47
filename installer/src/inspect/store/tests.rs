//! Which library a backend, and which a tree, resolves to.

use super::*;
use crate::inspect::testing::Image;

const LIB: &str = "/opt/rocm/lib";

#[test]
fn a_backend_is_known_by_its_shortest_name_with_a_version() {
    let image = Image::new();
    let lib = format!("{LIB}/rocblas-shim/backends/a/lib");
    image.file(&format!("{lib}/librocblas.so.4.3.60300"), "");
    image.link(&format!("{lib}/librocblas.so.4"), "librocblas.so.4.3.60300");
    image.file(&format!("{lib}/librocblas.so"), "");
    let name = |backends: &[Backend]| backends[0].rocblas().map(|library| library.path.clone());
    let found = backends(&image.root, Path::new(LIB));
    assert!(name(&found).is_some_and(|path| path.ends_with("librocblas.so.4.3.60300")));
}

#[test]
fn a_tree_stands_for_what_programs_ask_for() {
    let image = Image::new();
    let at = |name: &str| format!("{LIB}/{name}");
    let serving = || {
        let libraries = library::of(&image.root, Path::new(LIB)).expect("a directory");
        let path = rocblas(Path::new(LIB), &libraries).map(|library| library.path.clone());
        path.and_then(|path| Some(path.file_name()?.to_str()?.to_owned()))
    };
    image.file(&at("libhipblas.so.3"), "");
    assert_eq!(serving(), None);
    image.file(&at("librocblas.so.5.0.70002"), "");
    assert_eq!(serving().as_deref(), Some("librocblas.so.5.0.70002"), "the only one");
    image.file(&at("librocblas.so.4.3.60300"), "");
    image.link(&at("librocblas.so"), "librocblas.so.4.3.60300");
    assert_eq!(serving().as_deref(), Some("librocblas.so.4.3.60300"), "the one with a name");
    image.link(&at("librocblas.so.4"), "librocblas.so.4.3.60300");
    image.link(&at("librocblas.so.5"), "librocblas.so.5.0.70002");
    assert_eq!(serving().as_deref(), Some("librocblas.so.5.0.70002"), "the newest SONAME");
}
