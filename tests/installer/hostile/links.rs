//! Links out of the root, in every component of every path that the installer uses.

use super::{
    attempt::{Case, Verb, case, examine},
    scene::{Scene, Start},
};
use std::{
    fs,
    path::{Path, PathBuf},
};
use tests::small_tree::{self, LIB, STOCK};

/// A path in the library directory, or in the root if it begins with a slash; what a link there points to in
/// the canary; and the tree, which has the shim unless the name belongs to a tree without it.
const COMPONENTS: [(&str, &str, Start); 36] = [
    (LIB, "lib", Start::Stock),
    (LIB, "lib", Start::Applied),
    ("/opt", "opt", Start::Stock),
    ("/opt/rocm", "", Start::Stock),
    ("/opt/rocm-7.0.2", "", Start::Applied),
    (".", "lib", Start::AppliedWithoutDpkg),
    ("rocblas-shim", "lib/rocblas-shim", Start::Stock),
    ("rocblas-shim", "lib/rocblas-shim", Start::Applied),
    ("rocblas-shim", "victims/empty", Start::Stock),
    ("rocblas-shim/journal.json", "lib/rocblas-shim/journal.json", Start::Applied),
    ("rocblas-shim/shim.toml", "lib/rocblas-shim/shim.toml", Start::Applied),
    ("rocblas-shim/backends", "lib/rocblas-shim/backends", Start::Stock),
    ("rocblas-shim/backends", "lib/rocblas-shim/backends", Start::Applied),
    ("rocblas-shim/backends/6.3.0", "lib/rocblas-shim/backends/6.3.0", Start::Stock),
    ("rocblas-shim/backends/6.3.0", "lib/rocblas-shim/backends/6.3.0", Start::Applied),
    ("rocblas-shim/backends/6.3.0", "victims/empty", Start::StockWithoutDpkg),
    ("rocblas-shim/backends/other", "lib/rocblas-shim/backends/6.3.0", Start::Applied),
    ("rocblas-shim/backends/6.3.0/lib", "lib", Start::Applied),
    ("rocblas-shim/backends/6.3.0/lib/librocblas.so.4", "victims/plain", Start::Applied),
    ("rocblas-shim/backends/6.3.0/lib/rocblas", "lib/rocblas", Start::Applied),
    ("rocblas-shim/backends/7.0.2", "lib/rocblas-shim/backends/7.0.2", Start::Applied),
    ("rocblas-shim/backends/7.0.2/lib", "lib", Start::Applied),
    ("rocblas-shim/kept", "lib/rocblas-shim/kept", Start::Stock),
    ("rocblas-shim/kept", "lib/rocblas-shim/kept", Start::Applied),
    ("rocblas-shim/incoming", "lib/rocblas-shim/incoming", Start::Stock),
    ("rocblas-shim/incoming", "lib/rocblas-shim/incoming", Start::Applied),
    ("rocblas-shim/compat", "lib/rocblas-shim/compat", Start::Applied),
    ("librocblas.so", "lib/librocblas.so", Start::Stock),
    ("librocblas.so.5", "lib/librocblas.so.5.0.70002", Start::Stock),
    ("librocblas.so.5.0.70002", "lib/librocblas.so.5.0.70002", Start::Stock),
    ("librocblas.so.5.99.0", "victims/plain", Start::Stock),
    ("librocblas.so.5.99.0", "victims/setuid", Start::Applied),
    ("libamdhip64.so.6", "victims/plain", Start::Stock),
    ("rocblas", "lib/rocblas", Start::Stock),
    ("cmake/rocblas", "lib/cmake/rocblas", Start::Stock),
    ("/usr/bin/program", "victims/private", Start::Applied),
];

/// The same for system files that the installer reads, or that other programs change for it.
const SYSTEM: [(&str, &str); 9] = [
    ("/etc", "etc"),
    ("/etc/ld.so.conf", "etc/ld.so.conf"),
    ("/etc/ld.so.cache", "etc/ld.so.cache"),
    ("/etc/ld.so.conf.d", "etc/ld.so.conf.d"),
    ("/var", "var"),
    ("/var/lib/dpkg", "var/lib/dpkg"),
    ("/var/lib/dpkg/info", "var/lib/dpkg/info"),
    ("/var/lib/dpkg/diversions", "var/lib/dpkg/diversions"),
    ("/usr/lib", "lib"),
];

fn place(scene: &Scene, path: &str) -> PathBuf {
    match path {
        "." => scene.at(LIB),
        _ if path.starts_with('/') => scene.at(path),
        _ => scene.lib(path),
    }
}

/// A case with an absolute link and one with a link that climbs.
fn both(path: &'static str, to: &'static str, start: Start) -> [Case; 2] {
    let name = |how| format!("{path} of a {start:?} tree is {how} to the machine's {to}");
    [
        case(name("an absolute link"), start, move |scene| {
            scene.link(&place(scene, path), scene.machine(to));
        }),
        case(name("a climbing link"), start, move |scene| {
            scene.link(&place(scene, path), scene.climbing(to));
        })
        .only(&[Verb::Status, Verb::DryRevert], &[Verb::ApplyBackend, Verb::Add, Verb::Revert]),
    ]
}

#[test]
fn links_in_the_tree_do_not_lead_out() {
    examine(
        "links in the tree",
        COMPONENTS.into_iter().flat_map(|(path, to, start)| both(path, to, start)).collect(),
    );
}

#[test]
fn links_in_the_system_do_not_lead_out() {
    let starts = |(path, to)| {
        [Start::Stock, Start::Applied].into_iter().flat_map(move |start| both(path, to, start))
    };
    examine("links in the system", SYSTEM.into_iter().flat_map(starts).collect());
}

/// Links of the kernel, which lead outside wherever they are: to the process's root, its working directory,
/// its descriptors.
#[test]
fn links_of_the_kernel_do_not_lead_out() {
    const PLACES: [&str; 3] =
        ["rocblas-shim", "rocblas-shim/backends/6.3.0", "librocblas.so.5.99.0"];
    let link = |target: &'static str, path: &'static str| {
        case(format!("{path} is a link to {target}"), Start::Applied, move |scene| {
            let machine = scene.machine("lib/rocblas-shim");
            let target = target.replace("MACHINE", machine.to_str().expect("UTF-8"));
            scene.link(&place(scene, path), target);
        })
    };
    let mut cases = Vec::new();
    for target in ["/proc/self/rootMACHINE", "/proc/self/fd/3", "/dev/fd/0", "/proc/self/cwd"] {
        cases.extend(PLACES.map(|path| link(target, path)));
    }
    examine("links of the kernel", cases);
}

/// A link whose target exists both in the root and on the machine: a program that confuses them changes the
/// wrong one.
#[test]
fn a_path_that_is_both_inside_and_outside_is_the_one_inside() {
    // The last of these are files, the others are directories.
    const PATHS: [(&str, &str); 22] = [
        ("/opt", "opt"),
        ("/opt/rocm-7.0.2", ""),
        (LIB, "lib"),
        ("rocblas-shim", "lib/rocblas-shim"),
        ("rocblas-shim/backends", "lib/rocblas-shim/backends"),
        ("rocblas-shim/backends/6.3.0", "lib/rocblas-shim/backends/6.3.0"),
        ("rocblas-shim/backends/6.3.0/lib", "lib/rocblas-shim/backends/6.3.0/lib"),
        ("rocblas-shim/backends/6.3.0/lib/rocblas", "lib/rocblas"),
        ("rocblas-shim/backends/7.0.2", "lib/rocblas-shim/backends/7.0.2"),
        ("rocblas-shim/backends/other/lib", "lib/rocblas-shim/backends/6.3.0/lib"),
        ("rocblas-shim/kept", "lib/rocblas-shim/kept"),
        ("rocblas-shim/incoming", "lib/rocblas-shim/incoming"),
        ("rocblas-shim/compat", "lib/rocblas-shim/compat"),
        ("cmake/rocblas", "lib/cmake/rocblas"),
        ("/usr/bin", "victims"),
        ("/etc", "etc"),
        ("/etc/ld.so.conf.d", "etc/ld.so.conf.d"),
        ("/var", "var"),
        ("/var/lib/dpkg", "var/lib/dpkg"),
        ("/var/lib/dpkg/info", "var/lib/dpkg/info"),
        ("/var/lib/dpkg/diversions", "var/lib/dpkg/diversions"),
        ("librocblas.so.5.0.70002", "lib/librocblas.so.5.0.70002"),
    ];
    let decoy = |(path, to): (&'static str, &'static str), start| {
        let name = format!("{path} of a {start:?} tree is a link to a path that the root has too");
        case(name, start, move |scene: &Scene| {
            let target = scene.machine(to);
            let inside = small_tree::at(&scene.root(), target.to_str().expect("UTF-8"));
            fs::create_dir_all(inside.parent().expect("in a directory")).expect("make a directory");
            let at = place(scene, path);
            if at.exists() {
                fs::rename(&at, &inside).expect("move");
            } else {
                // Creates every directory of the store that the installer may look for in it.
                fs::create_dir_all(inside.join("lib/rocblas/library")).expect("make a directory");
                fs::create_dir_all(inside.join("rocblas/library")).expect("make a directory");
            }
            scene.link(&at, &target);
        })
    };
    let starts = [Start::Stock, Start::Applied, Start::StockWithoutDpkg, Start::AppliedWithoutDpkg];
    let cases: Vec<Case> = PATHS
        .into_iter()
        .flat_map(|path| starts.map(|start| (path, start)))
        .filter(|((path, _), start)| {
            // Only paths in /var concern dpkg's database; all others are tested without it.
            let with_dpkg = matches!(start, Start::Stock | Start::Applied);
            with_dpkg == path.starts_with("/var")
        })
        .map(|(path, start)| decoy(path, start))
        .collect();
    examine("paths that are both inside and outside", cases);
}

/// A rocBLAS of ROCm 6 is searched for in the root; a file of the machine that it points to is not copied.
#[test]
fn a_backend_that_is_found_is_one_of_the_root() {
    type Arrange = fn(&Scene, &Path);
    const WAYS: [(&str, Arrange); 6] = [
        ("the tree", |scene, six| scene.link(six, scene.machine("opt/rocm-6.3.0"))),
        ("the tree, climbing", |scene, six| scene.link(six, scene.climbing("opt/rocm-6.3.0"))),
        ("lib", |scene, six| scene.link(&six.join("lib"), scene.machine("opt/rocm-6.3.0/lib"))),
        ("the library", |scene, six| {
            let library = scene.machine("opt/rocm-6.3.0/lib").join(small_tree::BACKEND);
            scene.link(&six.join("lib/librocblas.so.4"), library);
        }),
        ("its Tensile directory", |scene, six| {
            small_tree::duplicate(&scene.backend(), six);
            scene.link(&six.join("lib/rocblas"), scene.machine("lib/rocblas"));
        }),
        ("a Tensile file", |scene, six| {
            small_tree::duplicate(&scene.backend(), six);
            let file = "lib/rocblas/library/TensileLibrary_lazy_gfx906.dat";
            scene.link(&six.join(file), scene.machine(file));
        }),
    ];
    let mut cases: Vec<Case> = WAYS
        .into_iter()
        .map(|(name, arrange)| {
            let name = format!("of a ROCm 6 in the root, {name} is a link to the machine's");
            case(name, Start::StockWithoutDpkg, move |scene| {
                arrange(scene, &scene.at("/opt/rocm-6.3.0"));
            })
        })
        .collect();
    cases.push(case(
        "librocblas.so.4 beside the stock library is the machine's",
        Start::Stock,
        |scene| {
            scene.link(&scene.lib("librocblas.so.4"), scene.machine("lib/librocblas.so.4.3.60300"));
        },
    ));
    cases.push(case("the stock library is the machine's ROCm 6", Start::Stock, |scene| {
        scene.link(&scene.lib(STOCK), scene.climbing("lib/librocblas.so.4.3.60300"));
    }));
    examine("backends that are found", cases);
}
