//! Trees of every layout, and hostile roots.

use super::*;
use crate::inspect::testing::Image;
use proptest::prelude::*;

const ROCBLAS: &str = "librocblas.so.5.0.70002";

fn found(image: &Image, given: &[&str]) -> Vec<(Layout, String, String, Option<String>)> {
    let given: Vec<PathBuf> = given.iter().map(PathBuf::from).collect();
    let trees = find(&image.root, &given).expect("trees");
    let text = |path: PathBuf| path.to_str().expect("UTF-8").to_owned();
    trees.into_iter().map(|t| (t.layout, text(t.top), text(t.lib), t.release)).collect()
}

#[track_caller]
fn finds(file: &str, layout: Layout, top: &str, release: Option<&str>) {
    let image = Image::new();
    image.file(file, "");
    let (lib, _) = file.rsplit_once('/').expect("a directory");
    let expected = [(layout, top.to_owned(), lib.to_owned(), release.map(str::to_owned))];
    assert_eq!(found(&image, &[]), expected);
    assert_eq!(found(&image, &[lib]), expected, "its library directory");
    assert_eq!(found(&image, &[file]), expected, "a library in it");
}

#[test]
fn every_layout_is_found_in_its_place() {
    use Layout::*;
    for (directory, layout, top, release) in [
        ("/opt/rocm-7.0.2/lib", Amd, "/opt/rocm-7.0.2", Some("7.0.2")),
        ("/opt/rocm/lib", Amd, "/opt/rocm", None),
        ("/opt/rocm/core-7.14/lib", Amd, "/opt/rocm/core-7.14", Some("7.14")),
        ("/usr/lib/x86_64-linux-gnu", Debian, "/usr", None),
        ("/usr/lib64", Fedora, "/usr", None),
        ("/usr/local/lib/ollama/rocm", Ollama, "/usr/local/lib/ollama/rocm", None),
        ("/usr/lib/ollama/rocm_v7", Ollama, "/usr/lib/ollama/rocm_v7", None),
    ] {
        finds(&format!("{directory}/{ROCBLAS}"), layout, top, release);
    }
    let vendor = "/home/me/.lmstudio/extensions/backends/vendor/linux-llama-rocm-vendor-v3";
    finds(&format!("{vendor}/librocblas.so.4"), LmStudio, vendor, None);
}

#[test]
fn wheels_are_found_in_every_usual_environment() {
    for python in [
        "/usr/lib/python3/dist-packages",
        "/usr/local/lib/python3.12/dist-packages",
        "/usr/lib64/python3.13/site-packages",
        "/opt/conda/lib/python3.11/site-packages",
        "/opt/conda/envs/rocm/lib/python3.11/site-packages",
        "/opt/venv/lib/python3.10/site-packages",
        "/root/.local/lib/python3.12/site-packages",
        "/home/me/miniconda3/envs/x/lib/python3.12/site-packages",
    ] {
        let (torch, sdk) =
            (format!("{python}/torch"), format!("{python}/_rocm_sdk_libraries_gfx94X"));
        finds(&format!("{torch}/lib/librocblas.so"), Layout::PytorchWheel, &torch, None);
        finds(&format!("{sdk}/lib/librocblas.so.5"), Layout::RocmWheel, &sdk, None);
    }
}

#[test]
fn a_directory_in_a_home_counts_as_an_environment_by_its_file() {
    let image = Image::new();
    let torch = "lib/python3.12/site-packages/torch/lib/librocblas.so";
    for environment in ["venv", "work/.venv", "plain"] {
        image.file(&format!("/home/me/{environment}/{torch}"), "");
    }
    assert!(found(&image, &[]).is_empty());
    image.file("/home/me/venv/pyvenv.cfg", "");
    image.file("/home/me/work/.venv/pyvenv.cfg", "");
    let libs: Vec<String> = found(&image, &[]).into_iter().map(|tree| tree.1).collect();
    let site = "lib/python3.12/site-packages/torch";
    assert_eq!(libs, [format!("/home/me/venv/{site}"), format!("/home/me/work/.venv/{site}")]);
}

#[test]
fn arch_is_told_from_amd_by_pacman_and_a_directory_of_its_own() {
    let image = Image::new();
    image.directory("/var/lib/pacman/local");
    image.file("/opt/rocm-7.0.2/lib/librocblas.so.5", "");
    image.link("/opt/rocm", "rocm-7.0.2");
    assert_eq!(found(&image, &[])[0].0, Layout::Amd, "AMD's own, unpacked on Arch");
    let image = Image::new();
    image.directory("/var/lib/pacman/local");
    image.file("/opt/rocm/lib/librocblas.so.5.2", "");
    image.file("/opt/rocm/.info/version", "7.2.1\n");
    let expected = ("/opt/rocm".to_owned(), "/opt/rocm/lib".to_owned(), Some("7.2.1".to_owned()));
    assert_eq!(found(&image, &[]), [(Layout::Arch, expected.0, expected.1, expected.2)]);
}

#[test]
fn a_directory_comes_once_however_many_links_lead_to_it() {
    let image = Image::new();
    image.file("/opt/rocm-7.0.2/lib/librocblas.so.5", "");
    image.file("/opt/rocm-7.0.2/.info/version", "7.0.2-56\n");
    image.link("/opt/rocm", "/etc/alternatives/rocm");
    image.link("/etc/alternatives/rocm", "/opt/rocm-7.0.2");
    image.link("/opt/rocm-7", "rocm-7.0.2");
    let tree = found(&image, &[]);
    let expected = ("/opt/rocm-7.0.2".to_owned(), "/opt/rocm-7.0.2/lib".to_owned());
    assert_eq!(tree, [(Layout::Amd, expected.0, expected.1, Some("7.0.2".to_owned()))]);
    let both = ["/opt/rocm", "/opt/rocm-7/lib/librocblas.so.5"];
    assert_eq!(found(&image, &both), tree);
}

#[test]
fn a_top_behind_a_link_of_any_name_is_still_amds() {
    let image = Image::new();
    image.file("/srv/big/disk/lib/librocblas.so.5", "");
    image.link("/opt/rocm", "/srv/big/disk");
    assert_eq!(found(&image, &[])[0].0, Layout::Amd);
    assert_eq!(found(&image, &[])[0].1, "/srv/big/disk");
}

#[test]
fn a_merged_usr_makes_no_second_tree() {
    let image = Image::new();
    image.file("/usr/lib/x86_64-linux-gnu/librocblas.so.5.2", "");
    image.link("/lib", "usr/lib");
    let tree = found(&image, &["/lib/x86_64-linux-gnu"]);
    assert_eq!(tree, found(&image, &[]));
    assert_eq!(tree[0].0, Layout::Debian);
}

#[test]
fn without_a_rocblas_only_a_store_makes_a_usual_place_a_tree() {
    let image = Image::new();
    image.file("/opt/rocm-7.0.2/lib/libamdhip64.so.7", "");
    image.file("/usr/lib64/librocblas-notes.txt", "");
    assert!(found(&image, &[]).is_empty());
    assert_eq!(found(&image, &["/opt/rocm-7.0.2"]).len(), 1, "but it may be given");
    image.directory("/opt/rocm-7.0.2/lib/rocblas-shim");
    assert_eq!(found(&image, &[]).len(), 1);
}

#[test]
fn a_given_path_without_a_library_is_an_error_that_says_what_was_looked_for() {
    let image = Image::new();
    image.file("/srv/empty/readme", "");
    for (given, said) in [
        ("/srv/empty", "librocblas.so*"),
        ("/srv/empty/readme", "is not a library or program"),
        ("/srv/absent", ""),
    ] {
        let error = find(&image.root, &[given.into()]).expect_err(given);
        let error = format!("{error:#}");
        assert!(error.contains(given) && error.contains(said), "{error}");
    }
    image.file("/srv/any/lib64/libhipblas.so.3", "");
    let tree = found(&image, &["/srv/any"]);
    let expected = ("/srv/any".to_owned(), "/srv/any/lib64".to_owned());
    assert_eq!(tree, [(Layout::Other, expected.0, expected.1, None)]);
}

#[test]
fn links_lead_neither_out_nor_round() {
    let image = Image::new();
    let outside = image.outside().join("rocm-6.6.6/lib");
    std::fs::create_dir_all(&outside).expect("a directory");
    std::fs::write(outside.join("librocblas.so.5"), "").expect("a file");
    let absolute = outside.to_str().expect("UTF-8");
    image.link("/opt/rocm-1/lib", "../../../rocm-6.6.6/lib");
    image.link("/opt/rocm-2/lib", absolute);
    image.link("/opt/rocm-3", "rocm-4");
    image.link("/opt/rocm-4", "rocm-3");
    image.link("/opt/rocm", ".");
    image.link("/home/me", "/home");
    assert!(found(&image, &[]).is_empty());
    for given in ["/opt/rocm-1", "/opt/rocm-2/lib", "/opt/rocm-3", "/../rocm-6.6.6"] {
        assert!(find(&image.root, &[given.into()]).is_err(), "{given}");
    }
}

#[test]
fn a_release_is_read_from_a_short_text_only() {
    for (text, release) in [
        ("7.0.2-56\n", Some("7.0.2")),
        ("7.1", Some("7.1")),
        ("7.\n", Some("7")),
        ("\u{1b}[31m7", None),
        ("", None),
    ] {
        assert_eq!(leading_version(text).as_deref(), release, "{text:?}");
    }
    let image = Image::new();
    image.file("/opt/rocm-7.0.2/lib/librocblas.so.5", "");
    let version = image.place("/opt/rocm-7.0.2/.info/version");
    let huge = std::fs::File::create(&version).expect("a file");
    huge.set_len(1 << 40).expect("a sparse file");
    assert_eq!(found(&image, &[])[0].3.as_deref(), Some("7.0.2"), "by the name");
}

#[test]
fn stars_stand_for_any_run() {
    for (pattern, name, is) in [
        ("rocm-*", "rocm-7.0.2", true),
        ("rocm-*", "rocm", false),
        ("*conda*", "miniconda3", true),
        ("*conda*", "conda", true),
        ("*", "", true),
        ("a*a", "a", false),
        ("a*b*c", "a-c-b-c", true),
        ("a*b*c", "a-c-b", false),
        ("same", "same", true),
        ("same", "samey", false),
    ] {
        assert_eq!(matches(pattern, name), is, "{pattern} {name}");
    }
}

proptest! {
    #[test]
    fn a_pattern_matches_what_its_stars_are_filled_with(
        parts in proptest::collection::vec("[ab]{0,3}", 1..4),
        filling in "[ab]{0,4}",
    ) {
        prop_assert!(matches(&parts.join("*"), &parts.join(&filling)) || parts.len() == 1);
        prop_assert!(matches(&parts.join("*"), &parts.concat()));
    }
}
