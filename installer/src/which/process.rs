//! The files that a running process has mapped, from `/proc/PID`.
//!
//! Everything is read through one descriptor of that directory, so that it belongs to one process: the PID
//! may be reused. Mapped files are opened through `map_files`, which also finds a file that was replaced or
//! is in a container; if that is not permitted, by their paths below the process's own root, which symlinks
//! cannot leave.

use super::{
    Found, Subject, Uses, VARIABLES,
    library::{self, Kind, Library},
    program::no_effect,
};
use crate::{choice, root::Root};
use anyhow::{Context, Error, Result, anyhow, bail};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat, statat},
    io::Errno,
    process::getuid,
};
use std::{
    collections::{BTreeMap, HashSet},
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, Read},
    os::{
        fd::OwnedFd,
        unix::ffi::{OsStrExt, OsStringExt},
    },
    path::{Path, PathBuf},
};

/// More than any process's list of mappings or environment has, in bytes.
const MOST: u64 = 256 << 20;

/// What the kernel appends to the path of a deleted file.
const DELETED: &[u8] = b" (deleted)";

/// What a process uses.
pub(super) fn of(root: &Root, pid: u32) -> Result<Found> {
    let process = Process::open(pid)?;
    let maps = process.read("maps")?;
    if maps.is_empty() {
        bail!(process.without_memory());
    }
    let in_other_namespace = process.in_other_namespace();
    let view = View::of(root, &process);
    let mut uses = Uses::of(mapped(&maps).iter().filter_map(|file| view.library(&process, file)));
    uses.split_backend();
    let environment = environment(&process.read("environ")?);
    let program = process.link("exe").map(|path| view.shown(Path::new(&path)));
    add_notes(&mut uses, pid, &environment);
    if view.in_root {
        note_other_choice(root, &mut uses, &process, &environment);
    }
    let environment = environment
        .into_iter()
        .map(|(name, value)| (name, value.to_string_lossy().into_owned()))
        .collect();
    let subject = Subject::Process { pid, program, in_other_namespace };
    Ok(Found { subject, uses, environment })
}

type Variables = BTreeMap<&'static str, OsString>;

fn add_notes(uses: &mut Uses, pid: u32, environment: &Variables) {
    let of_backend = uses.backend.iter().map(|backend| &backend.library);
    let libraries = uses.rocblas.iter().chain(of_backend).chain(&uses.hip).chain(&uses.hipblas);
    let replaced = libraries.filter(|library| library.replaced).map(|library| {
        format!(
            "{} was removed or replaced after process {pid} loaded it: restart the process to load the \
             new file",
            library.path.display()
        )
    });
    let replaced: Vec<String> = replaced.collect();
    uses.notes.extend(replaced);
    uses.note_several();
    match (uses.shim(), &uses.backend, uses.rocblas.first()) {
        (Some(_), None, _) => uses.notes.push(
            "the shim has not opened a backend; see the process's messages, or run `installer \
             doctor` to find the cause"
                .to_owned(),
        ),
        (None, _, Some(rocblas)) => {
            if let Some(value) = environment.get(choice::VARIABLE) {
                let note = no_effect(value, &rocblas.path);
                uses.notes.push(note);
            }
        }
        _ => {}
    }
}

/// A process keeps its backend; notes if a new process would get another one.
fn note_other_choice(root: &Root, uses: &mut Uses, process: &Process, environment: &Variables) {
    let (Some(shim), Some(backend)) = (uses.shim(), &uses.backend) else { return };
    if shim.replaced || backend.library.replaced {
        return;
    }
    let directories = choice::directories(root, &shim.path);
    let value = environment.get(choice::VARIABLE).map(OsString::as_os_str);
    let directory = process.link("cwd").map_or_else(|| "/".into(), PathBuf::from);
    let Ok(now) = choice::backend(root, &directories, value, &directory) else { return };
    if root.resolve(&now.path).is_ok_and(|path| path != backend.library.path) {
        uses.notes.push(format!(
            "{} now names {}: restart process {} to use it",
            now.chosen_by, now.name, process.pid
        ));
    }
}

/// A process by its directory in `/proc`.
struct Process {
    pid: u32,
    directory: OwnedFd,
}

impl Process {
    fn open(pid: u32) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        match openat(CWD, format!("/proc/{pid}"), flags, Mode::empty()) {
            Ok(directory) => Ok(Self { pid, directory }),
            Err(Errno::NOENT) => bail!("there is no process {pid}"),
            Err(e) => Err(e).with_context(|| format!("cannot examine process {pid}")),
        }
    }

    fn file(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        openat(&self.directory, name, flags, Mode::empty()).map(File::from)
    }

    fn read(&self, name: &str) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = self.file(name).map_err(|e| self.failure(name, e.into()))?;
        file.take(MOST).read_to_end(&mut bytes).map_err(|e| self.failure(name, e))?;
        Ok(bytes)
    }

    fn link(&self, name: &str) -> Option<OsString> {
        let target = readlinkat(&self.directory, name, Vec::new()).ok()?;
        Some(OsString::from_vec(target.into_bytes()))
    }

    fn failure(&self, name: &str, error: io::Error) -> Error {
        let pid = self.pid;
        match Errno::from_io_error(&error) {
            Some(Errno::SRCH | Errno::NOENT) => anyhow!("process {pid} has ended"),
            Some(Errno::ACCESS | Errno::PERM) => {
                let owner = fstat(&self.directory).map(|status| status.st_uid);
                let whose = match owner {
                    _ if getuid().is_root() => {
                        "the system denies it to root as well: run this outside the container, or \
                         with CAP_SYS_PTRACE"
                            .to_owned()
                    }
                    Ok(owner) if owner != getuid().as_raw() => {
                        format!(
                            "it belongs to user {owner}: run this as that user, or as root (sudo)"
                        )
                    }
                    _ => "only root may examine it: run this as root (sudo)".to_owned(),
                };
                anyhow!("no permission to read what process {pid} has loaded; {whose}")
            }
            _ => Error::new(error).context(format!("cannot read {name} of process {pid}")),
        }
    }

    /// Why a process has no mappings.
    fn without_memory(&self) -> String {
        let state = self.read("stat").ok().and_then(|stat| {
            // The name in parentheses may contain anything, including parentheses.
            let behind = stat.iter().rposition(|byte| *byte == b')')?;
            stat.get(behind + 2).copied()
        });
        match state {
            Some(b'Z' | b'X') | None => format!("process {} has ended", self.pid),
            Some(_) => format!("process {} is the kernel's own and has no libraries", self.pid),
        }
    }

    fn in_other_namespace(&self) -> bool {
        let own = statat(CWD, "/proc/self/ns/mnt", AtFlags::empty());
        let its = statat(&self.directory, "ns/mnt", AtFlags::empty());
        // If unreadable, assume that it is the same.
        own.is_ok_and(|own| {
            its.is_ok_and(|its| (own.st_dev, own.st_ino) != (its.st_dev, its.st_ino))
        })
    }
}

/// How to interpret the paths that the kernel prints for a process: they begin at the reader's root if they
/// are below it, else at the root of their mount namespace. The symlink to the process's root is printed by
/// the same rule.
struct View {
    /// The process's own root.
    directory: Option<OwnedFd>,
    /// A prefix of the printed paths that is not part of the path in the process's root.
    prefix: PathBuf,
    /// Whether that root is the one that the command works on.
    in_root: bool,
}

impl View {
    fn of(root: &Root, process: &Process) -> Self {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = openat(&process.directory, "root", flags, Mode::empty()).ok();
        let status = directory.as_ref().and_then(|directory| fstat(directory).ok());
        let asked = statat(CWD, root.directory(), AtFlags::empty()).ok();
        let in_root = status.zip(asked).is_some_and(|(status, asked)| {
            (status.st_dev, status.st_ino) == (asked.st_dev, asked.st_ino)
        });
        let prefix = process.link("root").map_or_else(|| "/".into(), PathBuf::from);
        Self { directory, prefix, in_root }
    }

    /// The path in the process's root.
    fn inside(&self, printed: &Path) -> PathBuf {
        match printed.strip_prefix(&self.prefix) {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) => printed.to_owned(),
        }
    }

    /// The path for messages: inside the root that the command works on, like all its paths, or as the kernel
    /// prints it.
    fn shown(&self, printed: &Path) -> PathBuf {
        if self.in_root { self.inside(printed) } else { printed.to_owned() }
    }

    fn library(&self, process: &Process, mapped: &Mapped) -> Option<(Kind, Library)> {
        let path = self.shown(&mapped.path);
        let (kind, library) = match self.open(process, mapped) {
            Some(file) => library::read(&path, &file)?,
            None => library::by_name(&path)?,
        };
        Some((kind, Library { replaced: mapped.deleted, ..library }))
    }

    /// The mapped file; `None` if it cannot be opened or cannot be a library.
    fn open(&self, process: &Process, mapped: &Mapped) -> Option<File> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let exact =
            openat(&process.directory, format!("map_files/{}", mapped.range), flags, Mode::empty());
        let file = match exact {
            Ok(file) => file,
            Err(_) if mapped.deleted => return None,
            Err(_) => {
                let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                let path = self.inside(&mapped.path);
                openat2(self.directory.as_ref()?, path, flags, Mode::empty(), resolve).ok()?
            }
        };
        let file = File::from(file);
        file.metadata().ok()?.is_file().then_some(file)
    }
}

/// A file that is mapped at least in part.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mapped {
    path: PathBuf,
    /// The name of its first mapping in `map_files`.
    range: String,
    deleted: bool,
}

/// The files in a process's list of mappings that may be libraries, without duplicates.
///
/// ```text
/// 7f0c8a000000-7f0c8a026000 r-xp 00001000 fe:00 247282          /usr/lib/libc.so.6 (deleted)
/// ```
fn mapped(maps: &[u8]) -> Vec<Mapped> {
    let mut files: Vec<Mapped> = Vec::new();
    let mut known = HashSet::new();
    for line in maps.split(|byte| *byte == b'\n') {
        let Some((range, path)) = fields(line) else { continue };
        let (path, deleted) = match path.strip_suffix(DELETED) {
            Some(path) => (path, true),
            None => (path, false),
        };
        let is_candidate = path.starts_with(b"/") && path.windows(3).any(|part| part == b".so");
        let path = PathBuf::from(OsString::from_vec(unescaped(path)));
        if is_candidate && known.insert((path.clone(), deleted)) {
            files.push(Mapped { path, range, deleted });
        }
    }
    files
}

/// The name of a mapping in `map_files`, and the path of its file.
fn fields(line: &[u8]) -> Option<(String, &[u8])> {
    let mut rest = line;
    let mut first = None;
    for _ in 0..5 {
        let end = rest.iter().position(|byte| *byte == b' ')?;
        first = first.or_else(|| std::str::from_utf8(&rest[..end]).ok());
        let begin = rest[end..].iter().position(|byte| *byte != b' ')?;
        rest = &rest[end + begin..];
    }
    let (start, end) = first?.split_once('-')?;
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    // Without the zeros that fill the list's columns.
    Some((format!("{:x}-{:x}", number(start)?, number(end)?), rest))
}

/// The kernel writes a newline in a path as `\012`, and escapes nothing else.
fn unescaped(path: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((first, tail)) = rest.split_first() {
        if let Some(behind) = rest.strip_prefix(b"\\012") {
            bytes.push(b'\n');
            rest = behind;
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    bytes
}

fn environment(bytes: &[u8]) -> Variables {
    let entries = bytes.split(|byte| *byte == 0);
    entries
        .filter_map(|entry| {
            let (name, value) = entry.split_at(entry.iter().position(|byte| *byte == b'=')?);
            let name = VARIABLES.iter().find(|known| known.as_bytes() == name)?;
            Some((*name, OsStr::from_bytes(&value[1..]).to_owned()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_of_mappings_is_parsed() {
        let maps = b"\
00400000-00401000 r--p 00000000 fe:00 1                          /usr/bin/a\n\
7f0000000000-7f0000001000 r--p 00000000 fe:00 2                  /lib/x y.so (deleted)\n\
7f0000001000-7f0000002000 r-xp 00001000 fe:00 2                  /lib/x y.so (deleted)\n\
7f0000002000-7f0000003000 rw-p 00000000 00:00 0 \n\
00500000-00501000 r--p 00000000 fe:00 3                          /lib/a\\012b.so\n\
7ffc00000000-7ffc00001000 rw-p 00000000 00:00 0                  [stack]\n\
7f0000004000-7f0000005000 rw-s 00000000 00:01 9                  /memfd:x.so (deleted)\n";
        let file = |path: &str, range: &str, deleted| Mapped {
            path: path.into(),
            range: range.to_owned(),
            deleted,
        };
        assert_eq!(
            mapped(maps),
            [
                file("/lib/x y.so", "7f0000000000-7f0000001000", true),
                file("/lib/a\nb.so", "500000-501000", false),
                file("/memfd:x.so", "7f0000004000-7f0000005000", true),
            ]
        );
    }

    #[test]
    fn only_the_variables_that_matter_are_taken_from_an_environment() {
        let bytes = b"HF_TOKEN=secret\0LD_LIBRARY_PATH=/a=b\0LD_PRELOADED=x\0no equals sign\0";
        let taken = environment(bytes);
        assert_eq!(taken.into_iter().collect::<Vec<_>>(), [("LD_LIBRARY_PATH", "/a=b".into())]);
    }

    #[test]
    fn a_process_that_has_no_memory_is_said_to_have_ended() {
        let mut child = std::process::Command::new("true").spawn().expect("started");
        let root = Root::new(Path::new("/")).expect("a root");
        // It has not been waited for yet, so it still exists.
        let ended = (0..2000).find_map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(5));
            of(&root, child.id()).err()
        });
        let pid = child.id();
        assert_eq!(ended.expect("ended").to_string(), format!("process {pid} has ended"));
        child.wait().expect("waited for");
        let gone = of(&root, pid).expect_err("nothing there");
        assert_eq!(gone.to_string(), format!("there is no process {pid}"));
    }
}
