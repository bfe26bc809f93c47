//! Journals and settings with names that they should not contain: files elsewhere, paths through links, files
//! of the store itself, invalid names.
//!
//! Journals are derived from the one that the installer wrote, so that they are refused for the fault in them
//! and not for their format.

use super::{
    attempt::{Case, case, examine},
    scene::{Scene, Start},
};
use serde_json::{Map, Value, json};
use std::{
    fs::{self, Permissions},
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};
use tests::small_tree::{self, LIB};

/// A placed file whose entry says that nothing was there before.
const PLACED: &str = "librocblas.so.5.99.0";

/// Writes a text as the journal and as its copy, which would otherwise be used instead.
fn write_journal(scene: &Scene, text: &str) {
    for name in ["journal.json", "journal.copy.json"] {
        fs::write(scene.store(name), text).expect("write");
    }
}

/// Edits the journal of a scene.
fn edit(scene: &Scene, change: impl FnOnce(&mut Value)) {
    let text = fs::read_to_string(scene.store("journal.json")).expect("a journal");
    let mut journal = serde_json::from_str(&text).expect("JSON");
    change(&mut journal);
    write_journal(scene, &journal.to_string());
}

fn entries(journal: &mut Value) -> &mut Map<String, Value> {
    journal["entries"].as_object_mut().expect("entries")
}

/// The entry of a file in the library directory.
fn entry<'a>(journal: &'a mut Value, file: &str) -> &'a mut Value {
    entries(journal).get_mut(file).expect("an entry")
}

/// Adds an entry that says that a path was in one state and is now in another.
fn add(journal: &mut Value, path: &str, before: Value, after: Value, kept: Option<&str>) {
    let before = match kept {
        Some(at) => json!({"was": "kept", "at": at, "state": before}),
        None if before == json!({"kind": "absent"}) => json!({"was": "nothing"}),
        None => json!({"was": "deleted", "state": before, "package": null}),
    };
    entries(journal).insert(path.to_owned(), json!({"before": before, "after": after}));
}

/// The journal's record of a file.
fn state(path: &Path) -> Value {
    let metadata = fs::metadata(path).expect("a file");
    let mode = metadata.mode() & 0o7777;
    json!({"kind": "file", "size": metadata.len(), "mode": mode, "modified": metadata.mtime()})
}

/// Makes `lib/evil` a link to a directory that exists both in the canary and in the root, with the same
/// files.
fn evil(scene: &Scene) -> PathBuf {
    let victims = scene.machine("victims");
    let inside = small_tree::at(&scene.root(), victims.to_str().expect("UTF-8"));
    fs::create_dir_all(inside.parent().expect("in a directory")).expect("make a directory");
    small_tree::duplicate(&victims, &inside);
    for name in ["plain", "private", "setuid", "others", "second", "closed/inner"] {
        // With the same size and time, but without the secret.
        let (from, file) = (victims.join(name), inside.join(name));
        let metadata = fs::metadata(&from).expect("a file");
        let size = usize::try_from(metadata.len()).expect("small");
        fs::write(&file, "x".repeat(size)).expect("write");
        let file = fs::File::open(file).expect("open");
        file.set_modified(metadata.modified().expect("a time")).expect("set the time");
        file.set_permissions(Permissions::from_mode(0o644)).expect("set the mode");
    }
    symlink(&victims, scene.lib("evil")).expect("link");
    inside
}

/// An entry behind `lib/evil`: its states before and after, and where the file is kept, as names in that
/// directory.
fn behind_a_link(
    name: &str,
    path: &'static str,
    before: Value,
    after: Option<Value>,
    kept: Option<&'static str>,
) -> Case {
    let name = format!("the journal names a path behind a link, {name}");
    case(name, Start::AppliedWithoutDpkg, move |scene| {
        let inside = evil(scene);
        let after = after.clone().unwrap_or_else(|| state(&inside.join(path)));
        let before = before.clone();
        edit(scene, |journal| add(journal, &format!("evil/{path}"), before, after, kept));
    })
}

/// An entry or diversion with a path that is not allowed, as it is written in the journal.
fn naming(name: &str, path: impl Fn(&Scene) -> String + 'static) -> Case {
    let name = format!("the journal names {name}");
    case(name, Start::AppliedWithoutDpkg, move |scene| {
        let path = path(scene);
        let victim = state(&scene.machine("victims/plain"));
        edit(scene, |journal| add(journal, &path, json!({"kind": "absent"}), victim, None));
    })
}

/// Like [`naming`], but the path is the one from which a placed file would be restored.
fn kept_at(name: &str, kept: impl Fn(&Scene) -> String + 'static) -> Case {
    let name = format!("the journal says that a file is kept at {name}");
    case(name, Start::AppliedWithoutDpkg, move |scene| {
        let kept = kept(scene);
        let placed = state(&scene.lib(PLACED));
        edit(scene, |journal| {
            let mut state = placed;
            state["size"] = json!(1);
            entry(journal, PLACED)["before"] = json!({"was": "kept", "at": kept, "state": state});
        });
    })
}

#[test]
fn journals_that_lead_elsewhere_are_not_followed() {
    let absent = || json!({"kind": "absent"});
    let directory = || json!({"kind": "directory"});
    let mut cases = vec![
        behind_a_link("to be removed", "plain", absent(), None, None),
        behind_a_link("to be removed, private", "private", absent(), None, None),
        behind_a_link("a directory to be removed", "empty", absent(), Some(directory()), None),
        behind_a_link(
            "to become a link",
            "plain",
            json!({"kind": "link", "target": "/etc/passwd"}),
            None,
            None,
        ),
        behind_a_link("to be put back", "plain", absent(), None, Some("librocblas.so")),
        behind_a_link(
            "from which a file is put back",
            "second",
            absent(),
            None,
            Some("evil/private"),
        ),
        behind_a_link(
            "which is gone and has to come again",
            "new",
            json!({"kind": "link", "target": "/etc/passwd"}),
            Some(absent()),
            None,
        ),
    ];
    let outside = |path: &'static str| {
        move |scene: &Scene| scene.machine(path).to_str().expect("UTF-8").to_owned()
    };
    let climbing = |path: &'static str| {
        move |scene: &Scene| {
            let climbing = scene.climbing(path);
            climbing.to_str().expect("UTF-8").to_owned()
        }
    };
    let plain = |path: &str| {
        let path = path.to_owned();
        move |_: &Scene| path.clone()
    };
    let inside = plain;
    cases.extend([
        naming("a file of the machine", outside("victims/plain")),
        naming("a file of the machine, climbing", climbing("victims/plain")),
        naming("a file of the root", plain("/etc/ld.so.conf")),
        naming("a file of the root, climbing", inside("../../../etc/ld.so.conf")),
        naming("nothing", plain("")),
        naming("the root", plain("/")),
        naming("a directory above", plain("/opt")),
        naming("the directory of the libraries", plain(LIB)),
        naming("the directory of the libraries with a dot", inside(".")),
        naming("what is above the libraries", inside("..")),
        naming("the store", inside("rocblas-shim")),
        naming("itself", inside("rocblas-shim/journal.json")),
        naming("what is unfinished", inside("rocblas-shim/incoming")),
        naming("a name with NUL", inside("librocblas.so\0.5")),
        naming("a name with a newline and an escape", inside("a\n\u{1b}]0;x\u{7}b")),
        naming("a name of 300 bytes", inside(&"x".repeat(300))),
        naming("a path of a megabyte", inside(&"x/".repeat(1 << 19))),
        naming("an absolute path of the libraries", plain(&format!("{LIB}/librocblas.so"))),
        kept_at("a place outside", outside("victims/plain")),
        kept_at("a place outside, climbing", climbing("victims/plain")),
        kept_at("a place of the root", plain("/etc/ld.so.conf")),
        kept_at("the journal's own place", inside("rocblas-shim/journal.json")),
        kept_at("its own place", inside(PLACED)),
        kept_at("a directory", inside("rocblas")),
        kept_at("a name with NUL", inside("rocblas-shim/\0")),
    ]);
    examine("journals", cases);
}

/// The same journal with a part of the wrong kind, or with far too much of it.
#[test]
fn journals_that_are_no_journals_are_refused() {
    let edited = |name: &str, change: fn(&mut Value)| {
        case(name, Start::Applied, move |scene| edit(scene, change))
    };
    let written = |name: &str, text: fn() -> String| {
        let name = format!("the journal is {name}");
        case(name, Start::Applied, move |scene| write_journal(scene, &text()))
    };
    let cases = vec![
        written("empty", String::new),
        written("half of one", || "{\"format\": 1, \"entries\": [".to_owned()),
        written("a list of lists", || "[".repeat(200_000)),
        written("objects in objects", || "{\"entries\":".repeat(100_000)),
        written("a name of a megabyte", || format!("{{\"{}\": 1}}", "x".repeat(1 << 20))),
        written("one with an entry twice", || {
            let entry =
                "\"a\": {\"before\": {\"was\": \"nothing\"}, \"after\": {\"kind\": \"absent\"}}";
            format!("{{\"format\": 2, \"installer\": \"x\", \"entries\": {{{entry}, {entry}}}}}")
        }),
        edited("the journal has an entry that is a number", |journal| {
            entries(journal).insert("a".to_owned(), json!(7));
        }),
        edited("the journal says that files are links and links are directories", |journal| {
            for entry in entries(journal).values_mut() {
                entry["after"] = match entry["after"]["kind"].as_str() {
                    Some("file") => json!({"kind": "link", "target": "/"}),
                    _ => json!({"kind": "directory"}),
                };
            }
        }),
        edited("the journal says that all was there before", |journal| {
            for (path, entry) in entries(journal) {
                let state = entry["after"].clone();
                entry["before"] = json!({"was": "kept", "at": path, "state": state});
            }
        }),
        edited("the journal has a size that no file has", |journal| {
            entry(journal, PLACED)["after"]["size"] = json!(u64::MAX);
        }),
        edited("the journal has a time that no file has", |journal| {
            entry(journal, PLACED)["after"]["modified"] = json!(i64::MIN);
        }),
        edited("the journal has a digest that is none", |journal| {
            entry(journal, PLACED)["after"]["digest"] = json!("../../x");
        }),
        edited("the journal has 20,000 entries more", |journal| {
            let more = entry(journal, PLACED).clone();
            for number in 0..20_000 {
                entries(journal).insert(format!("{PLACED}.{number}"), more.clone());
            }
        }),
        edited("the journal's diversion goes elsewhere", |journal| {
            journal["diversions"][0]["to"] = json!("/etc/ld.so.conf");
        }),
        edited("the journal's diversion has a newline", |journal| {
            journal["diversions"][0]["path"] = json!("x\n/etc/shadow\n:");
        }),
        edited("the journal's backends came from elsewhere", |journal| {
            let state = json!({"kind": "absent"});
            let origin = json!({"path": "/", "in_root": false, "state": state, "gpus": []});
            journal["origins"] = json!({"../../../../../..": origin, "6.3.0": origin});
        }),
        edited("the journal was written by a version with escapes", |journal| {
            journal["shim"] = json!("\u{1b}[2J\n/");
            journal["installer"] = json!("\u{1b}]0;x\u{7}");
        }),
    ];
    examine("journals that are none", cases);
}

#[test]
fn settings_that_lead_elsewhere_are_not_followed() {
    let settings = |name: &str, text: fn(&Scene) -> Vec<u8>| {
        let name = format!("the settings are {name}");
        case(name, Start::AppliedWithoutDpkg, move |scene| {
            scene.write(&scene.store("shim.toml"), text(scene));
        })
    };
    fn bytes(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }
    let cases = vec![
        settings("of a backend outside", |scene| {
            format!("backend = {:?}\n", scene.machine("lib/rocblas-shim/backends/6.3.0")).into()
        }),
        settings("of a backend outside, climbing", |scene| {
            format!("backend = {:?}\n", scene.climbing("lib/rocblas-shim/backends/6.3.0")).into()
        }),
        settings("of a library outside", |scene| {
            format!("backend = {:?}\n", scene.machine("lib/librocblas.so.4.3.60300")).into()
        }),
        settings("of the directory above", |_| bytes("backend = \"..\"\n")),
        settings("of the store", |_| bytes("backend = \".\"\n")),
        settings("of nothing", |_| bytes("backend = \"\"\n")),
        settings("of a name with NUL", |_| bytes("backend = \"6.3.0\\u0000x\"\n")),
        settings("of a name with escapes", |_| bytes("backend = \"\\u001b]0;x\\u0007\\n\"\n")),
        settings("of a name of a megabyte", |_| {
            format!("backend = \"{}\"\n", "x".repeat(1 << 20)).into()
        }),
        settings("of no text", |_| vec![0xff; 4096]),
        settings("of bytes without an end of line", |_| vec![0; 1 << 20]),
        settings("a table", |_| bytes("[backend]\nname = 1\n")),
        settings("lists in lists", |_| format!("a = {}", "[".repeat(200_000)).into()),
        settings("tables in tables", |_| format!("[{}a]\n", "a.".repeat(100_000)).into()),
    ];
    examine("settings", cases);
}
