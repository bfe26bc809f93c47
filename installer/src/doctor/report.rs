//! `doctor --report`: one text file with everything that a bug report needs, and nothing private.

use super::{Diagnosis, environment};
use crate::{
    inspect,
    journal::{Journal, Loaded},
    lib_dir::LibDir,
    output::{Text, shown},
    root::Root,
    settings, version,
};
use anyhow::{Context, Result};
use std::{
    env,
    fs::{self, File},
    io::{ErrorKind, Write as _},
    path::Path,
};

/// What a reader, and first the sender, should know about the file.
const HEAD: &str = "\
Report of `installer doctor`, for a bug report.

It contains: versions; what doctor found; the ROCm libraries, backends and GPUs of this machine; the
installer's journal and the shim's settings; /etc/os-release and the kernel's version; environment
variables of ROCm, of the loader and of the shim. It contains no other variables, no command lines,
no logs of programs. Names of home directories are replaced by ~. Read it before you send it.
";

/// A comfortable width for a text file, in columns.
const WIDTH: u16 = 100;

/// Writes the report into a new file of the machine. An existing file is not overwritten: that is an error.
pub fn write(path: &Path, root: &Root, diagnosis: &Diagnosis) -> Result<()> {
    let shown = shown(path);
    let mut file = File::create_new(path).map_err(|e| match e.kind() {
        ErrorKind::AlreadyExists => {
            anyhow::anyhow!("{shown} already exists: choose another name")
        }
        _ => anyhow::Error::new(e).context(format!("cannot write {shown}")),
    })?;
    let home = env::var("HOME").unwrap_or_default();
    let text = without_homes(&text(root, diagnosis), &home);
    file.write_all(text.as_bytes()).with_context(|| format!("cannot write {shown}"))
}

fn text(root: &Root, diagnosis: &Diagnosis) -> String {
    let mut text = Text::new();
    text.block(HEAD);
    // A reader in a terminal must not get escape sequences from a file's name either.
    let mut section = |title: &str, body: &str| {
        text.line("");
        text.line(format_args!("== {title}"));
        text.line("");
        text.block(body.trim_end());
    };
    section("Versions", &versions(root));
    section("Findings", &super::text(diagnosis).plain());
    section("Inspection", &inspect::text(&diagnosis.inspection, WIDTH).plain());
    section("Live check", &in_json(&diagnosis.live));
    section("Status", &in_json(&diagnosis.status));
    if let Some(lib) = &diagnosis.lib {
        section("Settings", &settings::text(root, lib).unwrap_or_else(|e| format!("{e:#}")));
        section("Journal", &journal_of(root, lib));
    }
    let os = root.read_to_string(Path::new("/etc/os-release"));
    section("/etc/os-release", &os.unwrap_or_else(|e| format!("cannot be read: {e}")));
    let variables = environment::variables();
    let lines: Vec<String> = variables.iter().map(|(n, value)| format!("{n}={value}")).collect();
    section("Environment", &lines.join("\n"));
    text.plain()
}

fn versions(root: &Root) -> String {
    // The kernel is the machine's, whatever the root.
    let kernel = ["ostype", "osrelease", "version"].map(|name| {
        let text = fs::read_to_string(Path::new("/proc/sys/kernel").join(name));
        text.map_or_else(|_| "?".to_owned(), |text| text.trim().to_owned())
    });
    format!(
        "installer {}\nkernel {}\nroot {}",
        version::OWN,
        kernel.join(" "),
        shown(root.directory())
    )
}

fn journal_of(root: &Root, lib: &Path) -> String {
    let loaded = LibDir::open(root, lib).and_then(|lib| Journal::load_or_rebuild(&lib));
    match loaded {
        Ok(Some(Loaded { journal, remarks, .. })) => {
            remarks.into_iter().chain([in_json(&journal)]).collect::<Vec<_>>().join("\n")
        }
        Ok(None) => "none: nothing was applied".to_owned(),
        Err(e) => format!("{e:#}"),
    }
}

fn in_json(value: &impl serde::Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_else(|e| e.to_string())
}

/// The same text with `~` for home directories: this user's, `/root`, and each in `/home`.
fn without_homes(text: &str, home: &str) -> String {
    let home = home.trim_end_matches('/');
    // `HOME=/` of a daemon is not a home directory.
    let text = if home.is_empty() { text.to_owned() } else { replaced(text, home) };
    let text = replaced(&text, "/root");
    let mut parts = text.split("/home/");
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // A directory called home that is not at the top belongs to no user.
        if kept.ends_with(is_of_a_name) {
            kept.push_str("/home/");
            kept.push_str(part);
        } else {
            let end = part.find(|c| !is_of_a_name(c)).unwrap_or(part.len());
            kept.push('~');
            kept.push_str(&part[end..]);
        }
    }
    kept
}

/// With `~` for a directory, if it is a whole path or the beginning of one.
fn replaced(text: &str, directory: &str) -> String {
    let mut parts = text.split(directory);
    let mut kept = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let whole = !kept.ends_with(is_of_a_name) && !part.starts_with(is_of_a_name);
        kept.push_str(if whole { "~" } else { directory });
        kept.push_str(part);
    }
    kept
}

fn is_of_a_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_home_directories_are_replaced() {
        for (text, replaced) in [
            ("/home/jane/llama.cpp", "~/llama.cpp"),
            ("a=/home/jane.doe:/home/joe/x", "a=~:~/x"),
            ("/root/llama.cpp and /root", "~/llama.cpp and ~"),
            ("/rootfs /opt/root/x", "/rootfs /opt/root/x"),
            ("/srv/jane/x /srv/janet/x", "~/x /srv/janet/x"),
            ("/opt/home/x", "/opt/home/x"),
            ("", ""),
        ] {
            assert_eq!(without_homes(text, "/srv/jane"), replaced);
        }
        assert_eq!(without_homes("/opt/rocm", "/"), "/opt/rocm");
    }
}
