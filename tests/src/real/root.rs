//! The throw-away root: packages unpacked under cargo's target directory, once.

use super::packages::{self, Apt, Candidate};
use crate::{artefacts::workspace, elf::face, skip::skip};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    ffi::CString,
    fs::{self, File},
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::OnceLock,
};

/// What the tests need. Each brings the libraries that it needs itself; see [`closure`].
const PACKAGES: [&str; 10] = [
    "librocblas4",    // 6.4: the backend
    "librocblas5",    // 7.2: the contrast
    "libhipblas3",    // their clients
    "librocsolver0",  //
    "libamdhip64-7",  // what the recording runtime stands for
    "libc6",          // with the loader that runs programs in this root
    "clang-tools-22", // with LLVM's own reader of offload bundles
    "llvm-22",        // and of code objects
    "libclang-cpp22", // their libraries, named unlike their SONAMEs
    "libllvm22",      //
];

/// Suites to look in, first choice first: experimental has ROCm 7, and 6.4 is in sid until 7 is.
pub(super) const SUITES: [&str; 2] = ["sid experimental", "testing sid experimental"];

/// What is left packed: documents, and kernels of all GPUs but gfx906 and gfx90a, which take most
/// of the time and the disk.
const EXCLUDED: [&str; 7] = [
    "./usr/share",
    "./etc",
    "./usr/lib/x86_64-linux-gnu/gconv",
    "./usr/lib/x86_64-linux-gnu/rocblas/*gfx[0-8]*",
    "./usr/lib/x86_64-linux-gnu/rocblas/*gfx9[!0]*",
    "./usr/lib/x86_64-linux-gnu/rocblas/*gfx90[!6a]*",
    "./usr/lib/debug",
];

/// Enough for the packages, their contents, and a library that a test changes.
const NEEDED_BYTES: u64 = 8_000_000_000;

/// Changes whenever a root that an earlier version of this file made will not do.
const RECIPE: &str = "recipe 2";

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Packages, unpacked.
#[derive(Debug)]
pub struct Root {
    directory: PathBuf,
}

impl Root {
    /// Where its libraries are.
    #[must_use]
    pub fn lib(&self) -> PathBuf {
        self.directory.join(LIBRARIES)
    }

    /// The dynamic loader, a program that runs others with this root's libc.
    #[must_use]
    pub fn loader(&self) -> PathBuf {
        self.lib().join("ld-linux-x86-64.so.2")
    }

    /// A library by its SONAME: the file behind the links.
    ///
    /// # Panics
    /// When there is none.
    #[must_use]
    pub fn library(&self, soname: &str) -> PathBuf {
        let link = self.lib().join(soname);
        link.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", link.display()))
    }
}

/// The root, prepared if that has not been done. `None`, having said so, where it is not to be had:
/// `skipped: real binaries: WHY`.
pub fn root() -> Option<&'static Root> {
    static ROOT: OnceLock<Result<Root, String>> = OnceLock::new();
    match ROOT.get_or_init(prepare) {
        Ok(root) => Some(root),
        Err(why) => {
            skip("real binaries", why);
            None
        }
    }
}

/// Says something past the test harness, which would keep it to itself.
pub fn say(line: &str) {
    let _ = io::stderr().write_all(format!("real binaries: {line}\n").as_bytes());
}

/// Where all that this tier makes is kept.
pub(crate) fn directory() -> PathBuf {
    // cargo, started in the workspace, takes a relative directory from there.
    workspace().join(env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into())).join("real")
}

/// Takes the lock of [`directory`], so that two test processes do not prepare at once.
pub(super) fn lock() -> io::Result<File> {
    fs::create_dir_all(directory())?;
    let file = File::create(directory().join("lock"))?;
    file.lock()?;
    Ok(file)
}

fn prepare() -> Result<Root, String> {
    if !packages::machine_fits() {
        return Err("not an x86-64 machine".to_owned());
    }
    let top = directory();
    let failed = |e: io::Error| format!("{}: {e}", top.display());
    let _lock = lock().map_err(failed)?;
    let finished = top.join("root");
    let found = read_stamp(&finished).map_or_else(|| make(&top, &finished), Ok)?;
    let versions = found.iter().map(|(package, version)| format!("{package} {version}"));
    say(&versions.collect::<Vec<_>>().join(", "));
    Ok(Root { directory: finished })
}

/// The packages of a finished root of this recipe.
fn read_stamp(root: &Path) -> Option<BTreeMap<String, String>> {
    let stamp = fs::read_to_string(root.join("versions")).ok()?;
    let (recipe, versions) = stamp.split_once('\n')?;
    let words = |line: &str| line.split_once(' ').map(|(p, v)| (p.to_owned(), v.to_owned()));
    (recipe == RECIPE).then(|| versions.lines().filter_map(words).collect())
}

/// Makes a root under a temporary name and gives it its own when it is complete.
fn make(top: &Path, finished: &Path) -> Result<BTreeMap<String, String>, String> {
    let failed = |e: io::Error| format!("{}: {e}", top.display());
    let unfinished = top.join("unfinished");
    for left_over in [&unfinished, finished] {
        if left_over.exists() {
            fs::remove_dir_all(left_over).map_err(failed)?;
        }
    }
    fs::create_dir_all(&unfinished).map_err(failed)?;
    let free = free_bytes(top).map_err(failed)?;
    if free < NEEDED_BYTES {
        let (free, needed) = (free / 1_000_000_000, NEEDED_BYTES / 1_000_000_000);
        return Err(format!("{free} GB free in {}, {needed} GB needed", top.display()));
    }
    let mut found = Err("no suites".to_owned());
    for suites in SUITES {
        say(&format!("reading the package lists of {suites}"));
        let apt = Apt::new(&top.join("apt"), suites)?;
        found = candidates(&apt).map(|candidates| (apt, candidates));
        if found.is_ok() {
            break;
        }
    }
    let (apt, candidates) = found?;
    let mut versions = BTreeMap::new();
    for candidate in &candidates {
        add(&apt, candidate, &unfinished, &mut versions)?;
    }
    closure(&apt, &unfinished, &mut versions)?;
    let lines = versions.iter().map(|(package, version)| format!("{package} {version}\n"));
    let stamp = format!("{RECIPE}\n{}", lines.collect::<String>());
    fs::write(unfinished.join("versions"), stamp).map_err(failed)?;
    fs::rename(&unfinished, finished).map_err(failed)?;
    // Packages and lists have done their work.
    fs::remove_dir_all(top.join("apt")).map_err(failed)?;
    Ok(versions)
}

fn free_bytes(directory: &Path) -> io::Result<u64> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: plain numbers, for which zero is a value.
    let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a C string, and memory for the answer.
    if unsafe { libc::statvfs(path.as_ptr(), &raw mut answer) } != 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(answer.f_bavail * answer.f_frsize)
}

fn candidates(apt: &Apt) -> Result<Vec<Candidate>, String> {
    PACKAGES
        .iter()
        .map(|name| apt.candidate(name)?.ok_or_else(|| format!("Debian has no {name} now")))
        .collect()
}

fn add(
    apt: &Apt,
    candidate: &Candidate,
    root: &Path,
    versions: &mut BTreeMap<String, String>,
) -> Result<(), String> {
    let Candidate { name, version, bytes, .. } = candidate;
    say(&format!("downloading {name} {version}, {} MB", bytes.div_ceil(1_000_000)));
    let file = apt.download(candidate)?;
    say(&format!("unpacking {name}"));
    packages::unpack(&file, root, &EXCLUDED)?;
    versions.insert(name.clone(), version.clone());
    Ok(())
}

/// Adds the packages of libraries that those in the root need and that are not there, until none is.
fn closure(apt: &Apt, root: &Path, versions: &mut BTreeMap<String, String>) -> Result<(), String> {
    let lib = root.join(LIBRARIES);
    let mut read = BTreeSet::new();
    loop {
        let entries = fs::read_dir(&lib).map_err(|e| format!("{}: {e}", lib.display()))?;
        let files: Vec<PathBuf> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| !path.is_symlink() && !read.contains(path) && is_elf(path))
            .collect();
        if files.is_empty() {
            return Ok(());
        }
        let needed: BTreeSet<String> = files.iter().flat_map(|file| face(file).needed).collect();
        read.extend(files);
        for soname in needed {
            // 6's runtime is the name under which the tests give 6.4 the recording one.
            if soname == "libamdhip64.so.6" || lib.join(&soname).exists() {
                continue;
            }
            let mut names = package_names(&soname).into_iter();
            let candidate = loop {
                let name = names.next().ok_or_else(|| format!("no package has {soname}"))?;
                if let Some(candidate) = apt.candidate(&name)? {
                    break candidate;
                }
            };
            add(apt, &candidate, root, versions)?;
        }
    }
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    File::open(path).is_ok_and(|mut file| {
        io::Read::read_exact(&mut file, &mut magic).is_ok() && magic == *b"\x7fELF"
    })
}

/// What Debian calls the package of a library: `libz.so.1` in zlib1g apart, the SONAME without
/// `.so.`, with `t64` where the time of 64 bits changed its ABI.
fn package_names(soname: &str) -> Vec<String> {
    let (name, version) = soname.split_once(".so.").unwrap_or((soname, ""));
    let name = name.to_ascii_lowercase().replace('_', "-");
    if name == "libz" {
        return vec!["zlib1g".to_owned()];
    }
    let dash = if name.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
    let plain = format!("{name}{dash}{version}");
    // libgcc_s's package has kept the dash of its first days.
    vec![plain.clone(), format!("{plain}t64"), format!("{name}-{version}")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_found_by_the_name_of_their_library() {
        for (soname, package) in [
            ("libstdc++.so.6", "libstdc++6"),
            ("libgcc_s.so.1", "libgcc-s1"),
            ("libroctx64.so.4", "libroctx64-4"),
            ("libdrm_amdgpu.so.1", "libdrm-amdgpu1"),
            ("libelf.so.1", "libelf1t64"),
            ("libz.so.1", "zlib1g"),
        ] {
            assert!(package_names(soname).contains(&package.to_owned()), "{soname}");
        }
    }

    #[test]
    fn a_stamp_of_another_recipe_does_not_count() {
        let root = tempfile::tempdir().expect("temporary directory");
        let stamp = |text: &str| {
            fs::write(root.path().join("versions"), text).expect("write");
            read_stamp(root.path())
        };
        assert_eq!(read_stamp(root.path()), None);
        assert_eq!(stamp("recipe 0\nlibc6 2.43-7\n"), None);
        let read = stamp(&format!("{RECIPE}\nlibc6 2.43-7\n")).expect("of this recipe");
        assert_eq!(read["libc6"], "2.43-7");
    }
}
