//! Packages made on the spot, by the writers of other crates where those can write what is asked
//! for, and what comes of opening them.

mod damage;
mod files;
mod hostile;
mod layout;
mod packages;

use super::{Content, Error, Source, Staging, open};
use crate::{plan::Contents, root::Root};
use std::{
    fs,
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
};

const AMD: &str = "opt/rocm-6.3.0/lib";
const X86_64: u16 = 62;

/// A member of a package.
#[derive(Clone, Debug)]
struct Member {
    name: String,
    mode: u32,
    data: Data,
}

#[derive(Clone, Debug)]
enum Data {
    File(Vec<u8>),
    Directory,
    Link(String),
    HardLink(String),
    Device,
    Pipe,
}

fn member(name: &str, data: Data) -> Member {
    Member { name: name.to_owned(), mode: 0o644, data }
}

fn text(name: &str) -> Member {
    member(name, Data::File(format!("this is {name}").into_bytes()))
}

/// A rocBLAS package as AMD makes them, small: two GPUs, other files beside, a set-user-ID bit.
fn amd_package() -> Vec<Member> {
    let library = elf(X86_64, Some("librocblas.so.4"), true);
    let mut library = member("./opt/rocm-6.3.0/lib/librocblas.so.4.3.60300", Data::File(library));
    library.mode = 0o4755;
    vec![
        member("./", Data::Directory),
        member("./opt/rocm-6.3.0/lib/", Data::Directory),
        library,
        member(
            "./opt/rocm-6.3.0/lib/librocblas.so.4",
            Data::Link("librocblas.so.4.3.60300".into()),
        ),
        text("./opt/rocm-6.3.0/lib/rocblas/library/TensileLibrary_lazy_gfx906.dat"),
        text("./opt/rocm-6.3.0/lib/rocblas/library/TensileLibrary_lazy_gfx1030.dat"),
        text("./opt/rocm-6.3.0/lib/rocblas/library/TensileManifest.txt"),
        text("./opt/rocm-6.3.0/lib/cmake/rocblas/rocblas-config.cmake"),
        text("./opt/rocm-6.3.0/share/doc/rocblas/LICENSE.md"),
    ]
}

/// An ELF library of a few hundred bytes: a segment, and a dynamic section with a SONAME.
fn elf(machine: u16, soname: Option<&str>, has_code: bool) -> Vec<u8> {
    const DYNAMIC: u64 = 64 + 2 * 56;
    const STRINGS: u64 = DYNAMIC + 4 * 16;
    let strings = format!("\0{}\0", soname.unwrap_or_default());
    let size = STRINGS + strings.len() as u64;
    let mut file = Vec::new();
    file.extend(b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    let half = |file: &mut Vec<u8>, values: &[u16]| {
        values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    };
    let word = |file: &mut Vec<u8>, values: &[u32]| {
        values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    };
    let long = |file: &mut Vec<u8>, values: &[u64]| {
        values.iter().for_each(|value| file.extend(value.to_le_bytes()));
    };
    half(&mut file, &[3, machine]);
    word(&mut file, &[1]);
    long(&mut file, &[0, 64, 0]);
    word(&mut file, &[0]);
    half(&mut file, &[64, 56, 2, 64, 0, 0]);
    // PT_LOAD, read and perhaps execute; PT_DYNAMIC.
    word(&mut file, &[1, if has_code { 5 } else { 4 }]);
    long(&mut file, &[0, 0, 0, size, size, 0x1000]);
    word(&mut file, &[2, 4]);
    long(&mut file, &[DYNAMIC, DYNAMIC, DYNAMIC, 4 * 16, 4 * 16, 8]);
    // DT_STRTAB, DT_STRSZ, DT_SONAME or a second end, the end.
    long(&mut file, &[5, STRINGS, 10, strings.len() as u64]);
    long(&mut file, if soname.is_some() { &[14, 1] } else { &[0, 0] });
    long(&mut file, &[0, 0]);
    file.extend(strings.bytes());
    file
}

/// A tar archive. The crate's own ways to set a name refuse what some of these need.
fn tar(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for Member { name, mode, data } in members {
        let mut header = tar::Header::new_gnu();
        let mut contents: &[u8] = &[];
        let mut link = "";
        header.set_entry_type(match data {
            Data::File(bytes) => {
                contents = bytes;
                tar::EntryType::Regular
            }
            Data::Directory => tar::EntryType::Directory,
            Data::Link(to) => {
                link = to;
                tar::EntryType::Symlink
            }
            Data::HardLink(to) => {
                link = to;
                tar::EntryType::Link
            }
            Data::Device => tar::EntryType::Char,
            Data::Pipe => tar::EntryType::Fifo,
        });
        let old = header.as_old_mut();
        let fits = old.name.len().min(name.len());
        old.name[..fits].copy_from_slice(&name.as_bytes()[..fits]);
        old.linkname[..link.len()].copy_from_slice(link.as_bytes());
        if name.len() > fits {
            let mut long = tar::Header::new_gnu();
            long.set_entry_type(tar::EntryType::GNULongName);
            long.set_size(name.len() as u64 + 1);
            long.set_cksum();
            builder.append(&long, &[name.as_bytes(), b"\0"].concat()[..]).expect("written");
        }
        header.set_mode(*mode);
        header.set_size(contents.len() as u64);
        header.set_cksum();
        builder.append(&header, contents).expect("written");
    }
    builder.into_inner().expect("written")
}

#[derive(Clone, Copy, Debug)]
enum Compression {
    None,
    Gzip,
    Bzip2,
    Xz,
    Zstd,
}

impl Compression {
    const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Bzip2, Self::Xz, Self::Zstd];

    fn pack(self, bytes: &[u8]) -> Vec<u8> {
        match self {
            Self::None => bytes.to_vec(),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Default::default());
                encoder.write_all(bytes).expect("packed");
                encoder.finish().expect("packed")
            }
            Self::Bzip2 => {
                let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), Default::default());
                encoder.write_all(bytes).expect("packed");
                encoder.finish().expect("packed")
            }
            Self::Xz => {
                let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
                encoder.write_all(bytes).expect("packed");
                encoder.finish().expect("packed")
            }
            Self::Zstd => {
                let mut encoder = zstd::Encoder::new(Vec::new(), 0).expect("an encoder");
                // As the program zstd does, so that damage is noticed.
                encoder.include_checksum(true).expect("an encoder");
                encoder.write_all(bytes).expect("packed");
                encoder.finish().expect("packed")
            }
        }
    }
}

fn deb(members: &[Member], compression: Compression) -> Vec<u8> {
    let control = b"Package: rocblas\nVersion: 4.3.0.60300-39~22.04\n".to_vec();
    let control = tar(&[member("./control", Data::File(control))]);
    let mut builder = ar::Builder::new(Vec::new());
    let mut add = |name: &str, bytes: &[u8]| {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        builder.append(&header, bytes).expect("written");
    };
    add("debian-binary", b"2.0\n");
    add("control.tar", &compression.pack(&control));
    add("data.tar", &compression.pack(&tar(members)));
    builder.into_inner().expect("written")
}

fn cpio(members: &[Member]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (i, Member { name, mode, data }) in members.iter().enumerate() {
        let (kind, contents): (u32, &[u8]) = match data {
            Data::File(contents) => (0o100_000, contents),
            Data::Directory => (0o040_000, &[]),
            Data::Link(to) => (0o120_000, to.as_bytes()),
            Data::Device => (0o020_000, &[]),
            Data::Pipe => (0o010_000, &[]),
            Data::HardLink(_) => (0o100_000, &[]),
        };
        let size = u32::try_from(contents.len()).expect("small");
        // A hard link is another name of the next member.
        let (number, links) = match data {
            Data::HardLink(_) => (i + 2, 2),
            Data::File(_) if i > 0 && matches!(members[i - 1].data, Data::HardLink(_)) => {
                (i + 1, 2)
            }
            _ => (i + 1, 1),
        };
        let builder = cpio::newc::Builder::new(name).mode(mode | kind).nlink(links);
        let number = u32::try_from(number).expect("few");
        let mut writer = builder.ino(number).write(&mut bytes, size);
        writer.write_all(contents).expect("written");
        writer.finish().expect("written");
    }
    cpio::newc::trailer(&mut bytes).expect("written");
    bytes
}

/// An RPM package with a version, as short as its format allows.
fn rpm(members: &[Member], compression: Compression) -> Vec<u8> {
    let mut bytes = super::rpm::MAGIC.to_vec();
    bytes.resize(96, 0);
    // Signatures, padded to 8; then a name and the version.
    bytes.extend(rpm_header(&[[1007, 7, 0, 3]], b"sig"));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(rpm_header(&[[1000, 6, 0, 1], [1001, 6, 8, 1]], b"rocblas\x006.3.1\0more\0"));
    bytes.extend(compression.pack(&cpio(members)));
    bytes
}

/// A header of an RPM package: entries of tag, type, offset in the store and count.
fn rpm_header(entries: &[[u32; 4]], store: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x8e\xad\xe8\x01\0\0\0\0".to_vec();
    for count in [entries.len(), store.len()] {
        bytes.extend(u32::try_from(count).expect("small").to_be_bytes());
    }
    bytes.extend(entries.as_flattened().iter().flat_map(|word| word.to_be_bytes()));
    bytes.extend(store);
    bytes
}

/// A package on disk, and a directory to unpack it into.
struct Scene {
    top: tempfile::TempDir,
    path: PathBuf,
    staging: PathBuf,
}

impl Scene {
    fn new(name: &str, bytes: &[u8]) -> Self {
        let top = tempfile::tempdir().expect("a directory");
        let (path, staging) = (top.path().join(name), top.path().join("staging"));
        fs::write(&path, bytes).expect("a file");
        fs::create_dir(&staging).expect("a directory");
        Self { top, path, staging }
    }

    fn open(&self, gpus: Option<&[&str]>) -> Result<Source, Error> {
        open_at(&self.path, &self.staging, gpus)
    }

    /// Nothing but the package and what is in the staging directory, which are plain files.
    fn assert_contained(&self) {
        let names = |path: &Path| fs::read_dir(path).expect("a directory").count();
        assert_eq!(names(self.top.path()), 2, "a file appeared beside the staging directory");
        for entry in fs::read_dir(&self.staging).expect("a directory") {
            let entry = entry.expect("an entry");
            assert!(entry.file_type().expect("its type").is_file(), "{entry:?} is no plain file");
        }
    }
}

fn open_at(path: &Path, staging: &Path, gpus: Option<&[&str]>) -> Result<Source, Error> {
    let gpus: Option<Vec<String>> =
        gpus.map(|gpus| gpus.iter().map(|&gpu| gpu.to_owned()).collect());
    let machine = Root::machine().expect("the machine");
    open(&machine, path, || Staging::at(staging), gpus.as_deref())
}

/// What is in a file of a source.
fn read(contents: &Contents) -> Vec<u8> {
    let mut bytes = Vec::new();
    contents.open().and_then(|mut file| file.read_to_end(&mut bytes)).expect("readable");
    bytes
}

/// What is known of a file of a source.
fn metadata(contents: &Contents) -> fs::Metadata {
    contents.open().and_then(|file| file.metadata()).expect("there")
}

/// Where everything goes: `name` for files with their contents as text, `name -> target` for links.
fn listing(source: &Source) -> Vec<String> {
    let line = |file: &super::SourceFile| match &file.content {
        Content::Link { target } => format!("{} -> {}", file.to.display(), target.display()),
        Content::File { from, size, .. } => {
            assert_eq!(metadata(from).len(), *size);
            file.to.display().to_string()
        }
    };
    source.files.iter().map(line).collect()
}
