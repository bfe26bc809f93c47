//! Libraries and directories of the machine.

use super::*;
use std::os::unix::fs::symlink;

/// Directories and files in a temporary directory.
struct Tree(tempfile::TempDir);

impl Tree {
    fn new(members: &[Member]) -> Self {
        let tree = Self(tempfile::tempdir().expect("a directory"));
        members.iter().for_each(|member| tree.add(member));
        tree
    }

    fn add(&self, Member { name, data, .. }: &Member) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        match data {
            Data::File(bytes) => fs::write(path, bytes).expect("a file"),
            Data::Link(to) => symlink(to, path).expect("a link"),
            _ => fs::create_dir_all(path).expect("a directory"),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn open(&self, name: &str, gpus: Option<&[&str]>) -> Result<Source, Error> {
        open_at(&self.path(name), Path::new("/nowhere"), gpus)
    }
}

fn library(name: &str, soname: &str) -> Member {
    member(name, Data::File(elf(X86_64, Some(soname), true)))
}

#[test]
fn every_way_to_name_a_tree_finds_the_same_backend() {
    let tree = Tree::new(&amd_package());
    let names =
        ["opt/rocm-6.3.0/lib/librocblas.so.4.3.60300", "opt/rocm-6.3.0/lib/librocblas.so.4"];
    for name in names.into_iter().chain(["", "opt/rocm-6.3.0", "opt/rocm-6.3.0/lib"]) {
        let source = tree.open(name, Some(&["gfx906"])).expect(name);
        assert_eq!(
            listing(&source),
            [
                "librocblas.so.4.3.60300",
                "librocblas.so.4 -> librocblas.so.4.3.60300",
                "rocblas/library/TensileLibrary_lazy_gfx906.dat",
                "rocblas/library/TensileManifest.txt",
            ],
            "{name}"
        );
        let in_place = |file: &super::super::SourceFile| match &file.content {
            Content::File { from, .. } => matches!(from, Contents::In(..)),
            Content::Link { .. } => true,
        };
        assert!(source.files.iter().all(in_place), "{name}");
        assert_eq!(source.version.as_deref(), Some("6.3.0"));
        assert_eq!(source.origin, tree.path(name).display().to_string());
    }
}

#[test]
fn the_distributions_directories_are_known() {
    for lib in ["lib64", "usr/lib64", "lib/x86_64-linux-gnu", "usr/lib/x86_64-linux-gnu"] {
        let tree = Tree::new(&[
            library(&format!("{lib}/librocblas.so.4.4"), "librocblas.so.4"),
            text(&format!("{lib}/rocblas/4.4.1/library/x_gfx906.dat")),
            text(&format!("{lib}/rocblas/5/library/x_gfx906.dat")),
        ]);
        let listing = listing(&tree.open("", None).expect(lib));
        assert_eq!(listing.last().expect("files"), "rocblas/4.4.1/library/x_gfx906.dat");
        assert_eq!(listing.len(), 3, "{listing:?}");
    }
}

#[test]
fn sub_directories_of_a_target_are_kept_or_left_out_as_a_whole() {
    let tree = Tree::new(&[
        library("librocblas.so.4", "librocblas.so.4"),
        text("rocblas/library/gfx906/TensileLibrary.dat"),
        text("rocblas/library/gfx908/TensileLibrary.dat"),
    ]);
    assert_eq!(
        listing(&tree.open("", Some(&["gfx906:xnack-"])).expect("a backend")),
        ["librocblas.so.4", "rocblas/library/gfx906/TensileLibrary.dat"]
    );
}

#[test]
fn a_name_that_is_no_librarys_is_replaced_by_the_soname() {
    let tree = Tree::new(&[library("my-rocblas.so", "librocblas.so.4")]);
    let source = tree.open("my-rocblas.so", None).expect("a backend");
    assert_eq!(listing(&source), ["librocblas.so.4"]);
    assert_eq!(source.library, Path::new("librocblas.so.4"));
    let tree = Tree::new(&[library("torch/lib/librocblas.so", "librocblas.so.4")]);
    let source = tree.open("torch/lib", None).expect("a backend");
    assert_eq!(listing(&source), ["librocblas.so", "librocblas.so.4 -> librocblas.so"]);
}

#[test]
fn links_of_the_user_are_followed() {
    let tree = Tree::new(&[
        library("store/librocblas.so.4.3.60300", "librocblas.so.4"),
        text("kernels/library/x_gfx906.dat"),
        member("lib/librocblas.so.4", Data::Link("../store/librocblas.so.4.3.60300".into())),
        member("lib/librocblas.so.5", Data::Link("gone".into())),
        member("lib/rocblas", Data::Link("../kernels".into())),
    ]);
    // The kernels are beside the link, and rocBLAS would find them there.
    let source = tree.open("lib/librocblas.so.4", None).expect("a backend");
    assert_eq!(listing(&source)[2], "rocblas/library/x_gfx906.dat");
    tree.open("lib", None).expect("the only one");
}

#[test]
fn a_loop_of_links_is_an_error() {
    let tree = Tree::new(&[
        library("librocblas.so.4", "librocblas.so.4"),
        member("rocblas/library/loop", Data::Link("..".into())),
    ]);
    let error = tree.open("", None).expect_err("a loop");
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
}

#[test]
fn a_tree_elsewhere_does_not_lead_to_this_machines_rocm() {
    let tree = Tree::new(&[
        library("elsewhere/lib/librocblas.so.4", "librocblas.so.4"),
        member("tree/opt/rocm", Data::Link("../../elsewhere".into())),
    ]);
    tree.open("tree", None).expect_err("nothing in it");
}

#[test]
fn of_several_none_is_chosen() {
    let tree = Tree::new(&[
        library("lib/librocblas.so.4.3.60300", "librocblas.so.4"),
        library("lib/librocblas.so.5.0.70002", "librocblas.so.5"),
        member("lib/librocblas.so.6", Data::File(elf(X86_64, Some("librocblas.so.6"), false))),
    ]);
    let error = tree.open("", None).expect_err("two").to_string();
    assert!(error.contains("give the file of one of them"), "{error}");
    assert!(error.contains("librocblas.so.4.3.60300") && error.contains(".70002"), "{error}");
    assert!(!error.contains("librocblas.so.6"), "{error}");
}

#[test]
fn what_is_no_backend_is_refused_with_the_reason() {
    let aarch64 = 183;
    for (bytes, reason) in [
        (elf(X86_64, Some("libhipblas.so.2"), true), "its SONAME is libhipblas.so.2"),
        (elf(X86_64, Some("librocblas.so.4/../../x"), true), "its SONAME is"),
        (elf(X86_64, None, true), "it has no SONAME"),
        (elf(X86_64, Some("librocblas.so.4"), false), "it has no code"),
        (elf(aarch64, Some("librocblas.so.4"), true), "another machine"),
        (elf(X86_64, Some("librocblas.so.4"), true)[..100].to_vec(), "at offset"),
        (b"\x7fELF".to_vec(), "at offset"),
        (Vec::new(), "it is empty"),
        (b"PK\x03\x04".to_vec(), "zip"),
        (b"\n<!DOCTYPE html>".to_vec(), "web page"),
        (b"INPUT(librocblas.so.4)".to_vec(), "neither a library nor a package"),
    ] {
        let tree = Tree::new(&[member("librocblas.so.4", Data::File(bytes))]);
        let error = tree.open("librocblas.so.4", None).expect_err(reason).to_string();
        assert!(error.contains(reason), "{error}");
        assert!(error.contains("librocblas.so.4 cannot be a backend"), "{error}");
        tree.open("", None).expect_err("not in a directory either");
    }
}

#[test]
fn what_is_not_there_or_not_a_file_is_an_error() {
    let tree = Tree::new(&[member("empty", Data::Directory)]);
    assert!(matches!(tree.open("gone", None), Err(Error::Unreadable { .. })));
    let error = tree.open("empty", None).expect_err("nothing").to_string();
    assert!(error.contains("no librocblas.so"), "{error}");
    let error = open_at(Path::new("/dev/zero"), Path::new("/nowhere"), None);
    assert!(matches!(error, Err(Error::Unreadable { .. })));
}

#[test]
fn packages_are_told_from_files() {
    let package = Scene::new("a", &tar(&amd_package()));
    let machine = Root::machine().expect("the machine");
    let is_package = |path: &Path| super::super::is_package(&machine, path);
    assert!(is_package(&package.path).expect("readable"));
    let tree = Tree::new(&[library("librocblas.so.4", "librocblas.so.4")]);
    assert!(!is_package(&tree.path("librocblas.so.4")).expect("readable"));
    assert!(!is_package(&tree.path("")).expect("readable"));
    assert!(is_package(&tree.path("gone")).is_err());
}
