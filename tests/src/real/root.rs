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

/// The packages that the tests need. Their dependencies are added by [`closure`].
const PACKAGES: [&str; 10] = [
    "librocblas4",    // 6.4: the backend
    "librocblas5",    // 7.2: the contrast
    "libhipblas3",    // their clients
    "librocsolver0",  //
    "libamdhip64-7",  // replaced by the recording runtime
    "libc6",          // with the loader that runs programs in this root
    "clang-tools-22", // with LLVM's own reader of offload bundles
    "llvm-22",        // and of code objects
    "libclang-cpp22", // their libraries, named unlike their SONAMEs
    "libllvm22",      //
];

/// The suites to search, in order of preference: experimental has ROCm 7, and 6.4 is in sid until 7 is.
pub(super) const SUITES: [&str; 2] = ["sid experimental", "testing sid experimental"];

/// Files that are not unpacked: documents, and kernels of all GPUs except gfx906 and gfx90a, which would use most of
/// the time and disk space.
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

/// Changes whenever a root made by an earlier version of this file can no longer be used.
const RECIPE: &str = "recipe 2";

const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// Unpacked packages.
#[derive(Debug)]
pub struct Root {
    directory: PathBuf,
}

impl Root {
    /// The directory of its libraries.
    #[must_use]
    pub fn lib(&self) -> PathBuf {
        self.directory.join(LIBRARIES)
    }

    /// The dynamic loader, a program that runs others with this root's libc.
    #[must_use]
    pub fn loader(&self) -> PathBuf {
        self.lib().join("ld-linux-x86-64.so.2")
    }

    /// The file of a library by its SONAME, with symlinks resolved.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn library(&self, soname: &str) -> PathBuf {
        let link = self.lib().join(soname);
        link.canonicalize().unwrap_or_else(|e| panic!("{}: {e}", link.display()))
    }
}

/// The root, prepared if necessary. If it is not available, prints `skipped: real binaries: WHY` and returns `None`.
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

/// Prints a line even though the test harness captures output.
pub fn say(line: &str) {
    let _ = io::stderr().write_all(format!("real binaries: {line}\n").as_bytes());
}

/// The directory for all files of this tier of tests.
pub(crate) fn directory() -> PathBuf {
    // A relative directory is relative to the workspace, in which cargo was started.
    workspace().join(env::var_os("CARGO_TARGET_DIR").unwrap_or("target".into())).join("real")
}

/// Takes the lock of [`directory`], so that two test processes do not prepare it at the same time.
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

/// Creates a root under a temporary name, and renames it when it is complete.
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
    // Packages and lists are no longer needed.
    fs::remove_dir_all(top.join("apt")).map_err(failed)?;
    Ok(versions)
}

fn free_bytes(directory: &Path) -> io::Result<u64> {
    let path = CString::new(directory.as_os_str().as_bytes())?;
    // SAFETY: plain numbers, for which zero is a value.
    let mut answer: libc::statvfs = unsafe { std::mem::zeroed() };
    // SAFETY: a C string, and memory for the result.
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

/// Adds the packages of missing libraries that the libraries in the root need, until none is missing.
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
            // The tests provide the recording runtime to 6.4 under the name of 6's runtime.
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

/// Debian's name for the package of a library: except for `libz.so.1` in zlib1g, the SONAME without `.so.`, with `t64`
/// if 64-bit time changed its ABI.
fn package_names(soname: &str) -> Vec<String> {
    let (name, version) = soname.split_once(".so.").unwrap_or((soname, ""));
    let name = name.to_ascii_lowercase().replace('_', "-");
    if name == "libz" {
        return vec!["zlib1g".to_owned()];
    }
    let dash = if name.ends_with(|c: char| c.is_ascii_digit()) { "-" } else { "" };
    let plain = format!("{name}{dash}{version}");
    // The package of libgcc_s still has the dash of its original name.
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
