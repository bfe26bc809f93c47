//! What the shim would open, by its settings and its store.

use super::*;
use crate::inspect::testing::Image;

const LIB: &str = "/opt/rocm/lib";

fn choose(image: &Image) -> Choice {
    let lib = Path::new(LIB);
    choice(&image.root, lib, &backends(&image.root, lib))
}

fn backend(image: &Image, name: &str, library: &str) -> Choice {
    let path = format!("{LIB}/rocblas-shim/backends/{name}/lib/{library}");
    image.file(&path, "");
    Choice::Library(path.into())
}

#[track_caller]
fn why(choice: &Choice) -> &str {
    match choice {
        Choice::None(why) => why,
        Choice::Library(path) => panic!("{}", path.display()),
    }
}

#[test]
fn the_only_backend_is_taken_and_of_several_the_one_that_settings_name() {
    let image = Image::new();
    image.directory(LIB);
    assert!(why(&choose(&image)).contains("no store"));
    image.file(&format!("{LIB}/librocblas.so.4"), "");
    assert_eq!(choose(&image), Choice::Library(Path::new(LIB).join("librocblas.so.4")));
    image.directory(&format!("{LIB}/rocblas-shim/backends"));
    assert!(why(&choose(&image)).contains("holds no backend"));
    let old = backend(&image, "6.3.0", "librocblas.so.4.3.60300");
    assert_eq!(choose(&image), old);
    let stock = backend(&image, "7.0.2", "librocblas.so.5.0.70002");
    assert!(why(&choose(&image)).contains("several backends (6.3.0, 7.0.2)"));
    image.file(&format!("{LIB}/shim.toml"), "backend = \"7.0.2\"");
    assert_eq!(choose(&image), stock);
    image.file(&format!("{LIB}/rocblas-shim/shim.toml"), "backend = \"6.3.0\"");
    assert_eq!(choose(&image), old, "the one in the store wins");
    image.file(&format!("{LIB}/rocblas-shim/shim.toml"), "backend = \"6.4\"");
    assert!(why(&choose(&image)).contains("6.4"));
    image.file(&format!("{LIB}/rocblas-shim/shim.toml"), "backend = [");
    assert!(why(&choose(&image)).contains("no TOML"));
    image.file(&format!("{LIB}/rocblas-shim/shim.toml"), "backend = \"./x/librocblas.so.4\"");
    let relative = Path::new(LIB).join("rocblas-shim").join("./x/librocblas.so.4");
    assert_eq!(choose(&image), Choice::Library(relative));
}

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
