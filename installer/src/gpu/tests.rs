use super::*;
use std::collections::BTreeSet;

fn targets(text: &str) -> Vec<String> {
    let list = list(text).unwrap_or_else(|e| panic!("{text}: {e:#}"));
    list.0.iter().map(ToString::to_string).collect()
}

#[test]
fn names_that_people_write() {
    for text in [
        "gfx906",
        "GFX906",
        "906",
        " gfx906 ",
        "MI50",
        "mi60",
        "MI-50",
        "vega20",
        "Vega 20",
        "Radeon VII",
        "radeon-vii",
        "AMD Radeon VII",
        "AMD Instinct MI50",
        "Radeon Pro VII",
        "amdgcn-amd-amdhsa--gfx906",
    ] {
        assert_eq!(targets(text), ["gfx906"], "{text}");
    }
    for (text, target) in [
        ("Vega 56", "gfx900"),
        ("RX Vega 64", "gfx900"),
        ("90a", "gfx90a"),
        ("RX 7900 XTX", "gfx1100"),
        ("AMD Radeon RX 5700 XT", "gfx1010"),
        ("1151", "gfx1151"),
        ("Strix Halo", "gfx1151"),
        ("gfx9-4-generic", "gfx9-4-generic"),
    ] {
        assert_eq!(targets(text), [target], "{text}");
    }
}

#[test]
fn features_are_kept_and_are_not_the_processor() {
    let gpu = parse("gfx906:sramecc+:xnack-").expect("a target");
    assert_eq!((gpu.processor(), gpu.target()), ("gfx906", "gfx906:sramecc+:xnack-"));
    let gpu = parse("GFX90A:XNACK+").expect("a target");
    assert_eq!((gpu.processor(), gpu.target()), ("gfx90a", "gfx90a:xnack+"));
    let twice = [list("gfx906:xnack-").expect("one"), list("MI50").expect("one")];
    assert_eq!(List::processors(&twice), ["gfx906"]);
    assert_eq!(List::all(&twice).len(), 2);
}

#[test]
fn lists_have_commas_semicolons_or_blanks() {
    for text in ["gfx906,gfx1010", "gfx906;gfx1010", "gfx906 gfx1010", "906, 1010;", "MI50 5700XT"]
    {
        let text = text.replace("5700XT", "RX 5700 XT");
        assert_eq!(targets(&text), ["gfx906", "gfx1010"], "{text}");
    }
    assert_eq!(targets("Radeon VII RX 5700 XT;MI25"), ["gfx906", "gfx1010", "gfx900"]);
}

#[test]
fn what_is_no_gpu_is_named() {
    for text in [
        "sm_80",
        "gfx",
        "MI",
        "50",
        "Radeon",
        "gfx906:xnack",
        "Vega",
        "RTX 3090",
        "gfx9o6",
        "VII VII",
        "mi51",
        "gfx906,nonsense",
        "gfx906x",
    ] {
        let error = list(text).expect_err(text).to_string();
        assert!(
            error.contains("is not a GPU target; expected a target such as gfx906"),
            "{text}: {error}"
        );
    }
    let error = list(" ,; ").expect_err("empty").to_string();
    assert!(error.contains("does not name a GPU"), "{error}");
}

#[test]
fn the_table_is_valid_and_no_name_means_two_gpus() {
    let mut names = BTreeSet::new();
    for gpu in &TABLE.gpus {
        assert!(Target::parse(&gpu.target).is_some(), "{}", gpu.target);
        for name in &gpu.names {
            assert!(names.insert(name.to_ascii_lowercase()), "{name} is there twice");
            assert_eq!(parse(name).expect(name).processor(), gpu.target, "{name}");
        }
    }
    for release in &TABLE.releases {
        assert!(release.source.len() > 20, "{release:?}");
        for gpu in &release.serves {
            assert!(Target::parse(gpu).is_some(), "{gpu}");
        }
    }
    assert!(TABLE.releases.is_sorted_by_key(|release| version(&release.rocm)));
}

#[test]
fn releases_serve_what_they_are_known_to_serve() {
    let releases = |gpu| served_by(gpu).iter().map(|r| r.rocm.as_str()).collect::<Vec<_>>();
    assert_eq!(releases("gfx906"), ["6.3"]);
    assert_eq!(releases("gfx1151"), ["7.0", "7.2"]);
    assert_eq!(is_served("6.4.3", "gfx906"), Some(false));
    assert_eq!(releases("gfx1036"), [""; 0]);
    assert_eq!(releases("gfx1152"), [""; 0]);
    assert_eq!(is_served("6.4.1", "gfx1036"), Some(false));
    assert_eq!(is_served("7.0.2", "gfx906"), Some(false));
    assert_eq!(is_served("7.1.1", "gfx1100"), Some(true));
    assert_eq!(is_served("5.7", "gfx906"), None);
    assert!(is_integrated("gfx1036") && !is_integrated("gfx906"));
}
