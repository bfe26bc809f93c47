//! What is advised for a machine: what is at hand outranks what releases are known to have.

use super::*;
use crate::doctor::known::{advice::Tree, system::System};
use std::{collections::BTreeMap, path::PathBuf};

const LINE: &str = "rocBLAS error: Cannot read /opt/rocm-7.0.2/lib/rocblas/library/TensileLibrary.dat: x for GPU \
                    arch : gfx1151";

fn cure(line: &str, tree: Tree) -> String {
    let trees = BTreeMap::from([(PathBuf::from("/opt/rocm-7.0.2/lib"), tree.clone())]);
    let advice = Advice { package: "P.deb".to_owned(), own: tree, trees, ..Advice::default() };
    explain(line)[0].cure(&advice)
}

fn set(gpus: &[&str]) -> BTreeSet<String> {
    gpus.iter().map(ToString::to_string).collect()
}

#[test]
fn what_inspect_finds_outranks_the_table() {
    let covered = Tree { covered: set(&["gfx1151"]), ..Tree::default() };
    assert!(cure(LINE, covered).contains("the rocBLAS in place covers gfx1151"));
    let stored = Tree {
        applied: true,
        backends: vec![("own".to_owned(), set(&["gfx1151"]))],
        ..Tree::default()
    };
    let expected =
        "installer backends use own --rocm /opt/rocm-7.0.2/lib   (it has code for gfx1151)";
    assert_eq!(cure(LINE, stored), expected);
    assert!(cure(LINE, Tree::default()).contains("not known to serve gfx1151"));
}

#[test]
fn no_cure_says_apply_where_the_shim_is_applied() {
    let applied = Tree { applied: true, ..Tree::default() };
    for text in TEXTS.iter() {
        for gpu in ["", " gfx906", " gfx1151", " gfx1100"] {
            let line = Line::read(&format!("{}{gpu}", text.sign.replace('*', " ... ")));
            let known = Known { cause: text.cause, line, also: None };
            let advice = Advice { own: applied.clone(), ..Advice::default() };
            let cure = known.cure(&advice);
            assert!(!cure.contains("installer apply"), "{:?}: {cure}", known.cause);
        }
    }
    for sentence in Sentence::ALL {
        let known = Known { cause: Cause::Shim(*sentence), line: Line::default(), also: None };
        let advice = Advice { own: applied.clone(), ..Advice::default() };
        assert!(!known.cure(&advice).contains("installer apply"), "{sentence:?}");
    }
    let line = LINE.replace("gfx1151", "gfx906");
    assert!(
        cure(&line, applied).contains("installer inspect --rocm /opt/rocm-7.0.2/lib --gpu gfx906")
    );
    assert_eq!(
        cure(&line, Tree::default()),
        "installer apply --rocm /opt/rocm-7.0.2/lib --backend P.deb --gpu gfx906"
    );
}

#[test]
fn no_cure_says_apply_where_the_log_shows_the_shim() {
    let cures = |log: &str| -> Vec<String> {
        let reading = Reading::of(log.as_bytes()).expect("read");
        let shown = reading.shim.clone();
        let advice = Advice { package: "P.deb".to_owned(), shown, ..Advice::default() };
        reading.found.iter().map(|known| known.cure(&advice)).collect()
    };
    let kernel = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98\n";
    let said = format!("{PREFIX}info: backend 6.3.0 answers\n");
    let loaded = "7f00-7f01 r-xp 0 00:00 1 /opt/rocm/lib/librocblas.so.5.99.0\n";
    let stored = "loading /opt/rocm-7.0.2/lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4\n";
    for shows in [said.as_str(), loaded, stored] {
        for log in [format!("{shows}{kernel}"), format!("{kernel}{shows}")] {
            assert_eq!(
                cures(&log),
                ["installer inspect   (which file is loaded, and what it covers)"],
                "{log}"
            );
        }
    }
    // The line itself shows it.
    let of_backend = "rocBLAS error: Cannot read /opt/rocm/lib/rocblas-shim/backends/6.3.0/lib/rocblas/library/\
                      TensileLibrary.dat: No such file or directory for GPU arch : gfx906";
    let cure = &cures(of_backend)[0];
    assert!(cure.starts_with("installer inspect --rocm /opt/rocm/lib --gpu gfx906 "), "{cure}");
    assert!(
        cure.contains("installer backends --rocm /opt/rocm/lib add P.deb --gpu gfx906"),
        "{cure}"
    );
    // Near: the shim in one tree, and an error of another; a prompt; a directory of a name that is longer.
    let wheel = "rocBLAS error: Cannot read /venv/torch/lib/rocblas/library/TensileLibrary.dat: x for GPU arch : gfx906";
    let both = format!("{stored}{wheel}\n");
    assert_eq!(
        cures(&both),
        ["installer apply --rocm /venv/torch/lib --backend P.deb --gpu gfx906"]
    );
    for near in [
        "> what does rocblas-shim: error mean\n",
        "/home/user/rocblas-shim-notes/library/x.so\n",
        "/opt/rocm/lib/librocblas.so.5.0.70002\n",
    ] {
        let cure = &cures(&format!("{near}{kernel}"))[0];
        assert!(cure.starts_with("installer apply --backend P.deb"), "{near}: {cure}");
    }
}

#[test]
fn a_gpu_that_is_asked_for_is_meant_where_a_line_names_none() {
    let line = "rocBLAS error from hip error code: 'hipErrorInvalidDeviceFunction':98";
    let advice = |gpus: &[&str]| Advice {
        package: "P.deb".to_owned(),
        gpus: gpus.iter().map(ToString::to_string).collect(),
        ..Advice::default()
    };
    let cure = |gpus: &[&str]| explain(line)[0].cure(&advice(gpus));
    assert_eq!(cure(&["gfx906"]), "installer apply --backend P.deb --gpu gfx906");
    assert!(cure(&["gfx906", "gfx1030"]).contains("with --gpu and gfx906 or gfx1030; "));
    assert!(cure(&["gfx1036"]).contains("no known release"));
}

/// The cure of the first error of a log, on a system.
fn cure_on(system: Option<System>, line: &str) -> String {
    let advice = Advice { package: "P.deb".to_owned(), system, ..Advice::default() };
    explain(line)[0].cure(&advice)
}

#[test]
fn a_missing_library_is_installed_by_the_package_manager_of_the_system() {
    let missing = |library: &str| {
        format!(
            "./x: error while loading shared libraries: {library}: cannot open shared object file: No such file"
        )
    };
    for (system, library, expected) in [
        (System::Apt, "librocblas.so.5", "apt-get install rocblas "),
        (System::Apt, "libnuma.so.1", "apt-get install libnuma1"),
        (System::Dnf, "librocblas.so.5", "dnf install 'librocblas.so.5()(64bit)'"),
        (System::Dnf, "libnuma.so.1", "dnf install 'libnuma.so.1()(64bit)'"),
        (System::Pacman, "librocsolver.so.0", "pacman -S rocsolver"),
        (System::Zypper, "librocblas.so.5", "zypper install 'librocblas.so.5()(64bit)'"),
        (System::Nix, "libnuma.so.1", "nix-locate libnuma.so.1"),
    ] {
        let cure = cure_on(Some(system), &missing(library));
        assert!(cure.contains(expected), "{cure}");
        let of_others = ["apt-get", "dnf", "pacman", "zypper", "nix-locate"];
        assert_eq!(of_others.iter().filter(|name| cure.contains(*name)).count(), 1, "{cure}");
    }
    let unknown = cure_on(None, &missing("librocblas.so.5"));
    assert!(
        unknown.contains("apt-get install rocblas") && unknown.contains("dnf install"),
        "{unknown}"
    );
}

#[test]
fn a_file_for_a_newer_distribution_is_the_shim_a_backend_rocms_or_the_programs() {
    let needing = |file: &str, version: &str| {
        format!(
            "./app: /lib/x86_64-linux-gnu/libc.so.6: version `{version}' not found (required by {file})"
        )
    };
    for (file, expected, no) in [
        ("/opt/rocm/lib/librocblas.so.5.99.0", "installer revert --rocm /opt/rocm/lib", "P.deb"),
        ("/opt/rocm/lib/librocblas.so.5", "is it the shim or ROCm's?", "P.deb"),
        (
            "/opt/rocm/lib/rocblas-shim/backends/6.3.0/lib/librocblas.so.4",
            "installer backends --rocm /opt/rocm/lib add P.deb",
            "--reinstall",
        ),
        ("/x/librocblas.so.4", "P.deb", "--reinstall"),
        ("/opt/rocm/lib/libhipblas.so.3", "apt-get install --reinstall hipblas", "P.deb"),
        (
            "/venv/lib/python3.12/site-packages/torch/lib/libhipblaslt.so",
            "get a build of the Python package that has it",
            "--reinstall",
        ),
        ("/usr/lib/ollama/rocm/librocblas.so.5", "ROCm's: get a build of Ollama", "--reinstall"),
        ("/app/libggml-hip.so", "build libggml-hip.so on this distribution", "P.deb"),
        ("./llama-server", "build the program on this distribution", "P.deb"),
    ] {
        for version in ["GLIBCXX_3.4.32", "GLIBC_2.38"] {
            let cure = cure_on(Some(System::Apt), &needing(file, version));
            assert!(cure.contains(expected) && !cure.contains(no), "{file}: {cure}");
        }
    }
    let hip = needing("/usr/lib64/libamdhip64.so.7", "GLIBC_2.38");
    assert!(cure_on(Some(System::Dnf), &hip).contains("dnf reinstall"));
}

#[test]
fn what_cannot_be_changed_is_not_to_be_changed() {
    let line = |tree: &str| {
        format!(
            "rocBLAS error: Cannot read {tree}/rocblas/library/TensileLibrary.dat: x for GPU arch : gfx906"
        )
    };
    for (tree, owner) in [
        ("/nix/store/abc-rocblas-7.0.2/lib", "the Nix store"),
        ("/gnu/store/abc-rocblas-7.0.2/lib", "the store of Guix"),
        ("/snap/ollama/12/lib", "a snap"),
        ("/tmp/.mount_LMStudx/usr/lib", "an AppImage"),
    ] {
        let cure = cure_on(None, &line(tree));
        assert!(cure.contains(&format!("files of {owner} cannot be changed")), "{cure}");
        assert!(!cure.starts_with("installer apply") && cure.contains("gfx906"), "{cure}");
    }
    for near in ["/opt/nix/store/lib", "/home/user/snap/lib", "/nix/stored/lib", "/tmp/x/lib"] {
        let cure = cure_on(None, &line(near));
        assert!(cure.starts_with(&format!("installer apply --rocm {near} ")), "{cure}");
    }
}

#[test]
fn windows_is_not_served() {
    for line in [
        "rocBLAS error: Cannot read C:\\Program Files\\AMD\\ROCm\\6.2\\bin\\/rocblas/library/TensileLibrary.dat: No such \
         file or directory for GPU arch : gfx906",
        "OSError: [WinError 126] Error loading \"C:\\torch\\lib\\rocblas.dll\" or one of its dependencies.",
    ] {
        let cure = cure_on(None, line);
        assert!(cure.contains("the shim is for Linux") && !cure.contains("installer"), "{cure}");
    }
}
