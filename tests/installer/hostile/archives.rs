//! Archives that are designed to write elsewhere, to contain what no package contains, or never to end.

use super::{
    attempt::{Case, Verb, case, examine},
    scene::{Scene, Start},
};
use flate2::{Compression, write::GzEncoder};
use std::{fs, io::Write as _};
use tar::{EntryType, Header};
use tests::small_tree::BACKEND;

/// The directory of the backend's libraries in an archive.
const AT: &str = "lib";

/// A member that tar's own functions may refuse to write.
struct Member {
    name: Vec<u8>,
    kind: EntryType,
    /// The target of a link.
    target: Vec<u8>,
    contents: Vec<u8>,
    mode: u32,
}

fn file(name: &str, contents: impl Into<Vec<u8>>) -> Member {
    let (name, contents) = (name.into(), contents.into());
    Member { name, kind: EntryType::Regular, target: vec![], contents, mode: 0o644 }
}

fn link(name: &str, target: &str) -> Member {
    let member = file(name, "");
    Member { kind: EntryType::Symlink, target: target.into(), mode: 0o777, ..member }
}

fn hard_link(name: &str, target: &str) -> Member {
    Member { kind: EntryType::Link, ..link(name, target) }
}

fn node(name: &str, kind: EntryType) -> Member {
    Member { kind, mode: 0o666, ..file(name, "") }
}

/// A path that is accepted as a Tensile file's.
fn kernels(name: &str) -> String {
    format!("{AT}/rocblas/library/{name}_gfx906.dat")
}

/// The members of a valid backend.
fn backend(scene: &Scene) -> Vec<Member> {
    let library = fs::read(scene.backend().join("lib").join(BACKEND)).expect("a backend");
    vec![
        file(&format!("{AT}/{BACKEND}"), library),
        link(&format!("{AT}/librocblas.so.4"), BACKEND),
        file(&kernels("TensileLibrary_lazy"), "tensile"),
    ]
}

fn header(member: &Member) -> Header {
    let mut header = Header::new_gnu();
    let old = header.as_old_mut();
    old.name[..member.name.len()].copy_from_slice(&member.name);
    old.linkname[..member.target.len()].copy_from_slice(&member.target);
    header.set_entry_type(member.kind);
    header.set_mode(member.mode);
    header.set_size(member.contents.len() as u64);
    header.set_cksum();
    header
}

fn tar(members: &[Member]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for member in members {
        builder.append(&header(member), &member.contents[..]).expect("written");
    }
    builder.into_inner().expect("written")
}

fn deb(members: &[Member]) -> Vec<u8> {
    let control = file("./control", "Package: rocblas\nVersion: 4.3.0.60300-39\n");
    let mut builder = ar::Builder::new(Vec::new());
    let parts = [
        ("debian-binary", b"2.0\n".to_vec()),
        ("control.tar", tar(&[control])),
        ("data.tar", tar(members)),
    ];
    for (name, bytes) in parts {
        let header = ar::Header::new(name.as_bytes().to_vec(), bytes.len() as u64);
        builder.append(&header, &bytes[..]).expect("written");
    }
    builder.into_inner().expect("written")
}

/// The shortest RPM package: a lead, an empty signature header, and a header with nothing but a version.
fn rpm(members: &[Member]) -> Vec<u8> {
    let mut bytes = vec![0xed, 0xab, 0xee, 0xdb];
    bytes.resize(96, 0);
    let header = |entries: &[[u32; 4]], store: &[u8]| {
        let mut bytes = b"\x8e\xad\xe8\x01\0\0\0\0".to_vec();
        for count in [entries.len(), store.len()] {
            bytes.extend(u32::try_from(count).expect("small").to_be_bytes());
        }
        bytes.extend(entries.as_flattened().iter().flat_map(|word| word.to_be_bytes()));
        [&bytes, store].concat()
    };
    bytes.extend(header(&[[1007, 7, 0, 3]], b"sig"));
    bytes.resize(bytes.len().next_multiple_of(8), 0);
    bytes.extend(header(&[[1000, 6, 0, 1], [1001, 6, 8, 1]], b"rocblas\x006.3.1\0more\0"));
    for (number, member) in members.iter().enumerate() {
        let (kind, contents) = match member.kind {
            EntryType::Symlink => (0o120_000, &member.target),
            EntryType::Char => (0o020_000, &member.contents),
            EntryType::Fifo => (0o010_000, &member.contents),
            _ => (0o100_000, &member.contents),
        };
        let name = String::from_utf8_lossy(&member.name);
        let size = u32::try_from(contents.len()).expect("small");
        let builder = cpio::newc::Builder::new(&name).mode(member.mode | kind).nlink(1);
        let number = u32::try_from(number).expect("few");
        let mut writer = builder.ino(number).write(&mut bytes, size);
        writer.write_all(contents).expect("written");
        writer.finish().expect("written");
    }
    cpio::newc::trailer(&mut bytes).expect("written");
    bytes
}

/// A case for each format, with a backend's members and others.
fn with(
    name: &'static str,
    more: impl Fn(&Scene) -> Vec<Member> + Copy + 'static,
) -> impl Iterator<Item = Case> {
    type Pack = fn(&[Member]) -> Vec<u8>;
    const FORMATS: [(&str, Pack); 3] = [("tar", tar), ("deb", deb), ("rpm", rpm)];
    FORMATS.into_iter().map(move |(format, pack)| {
        packed(format!("a .{format} with {name}"), move |scene| {
            pack(&backend(scene).into_iter().chain(more(scene)).collect::<Vec<_>>())
        })
    })
}

/// Like [`with`], but every format is refused.
fn refused(
    name: &'static str,
    more: impl Fn(&Scene) -> Vec<Member> + Copy + 'static,
) -> impl Iterator<Item = Case> {
    with(name, more).map(|case| case.refuses(&[Verb::DryPackage, Verb::ApplyPackage]))
}

/// A case with an archive.
fn packed(name: String, bytes: impl Fn(&Scene) -> Vec<u8> + 'static) -> Case {
    let case = case(name, Start::StockWithoutDpkg, move |scene| {
        scene.write(&scene.package(), bytes(scene));
    });
    case.only(&[Verb::DryPackage], &[Verb::ApplyPackage])
}

fn path(scene: &Scene, name: &str) -> String {
    scene.machine(name).to_str().expect("UTF-8").to_owned()
}

#[test]
fn archives_write_nothing_elsewhere() {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(refused("an absolute name", |scene| {
        vec![file(&path(scene, "victims/plain"), "x")]
    }));
    cases.extend(refused("an absolute name of a library", |scene| {
        vec![file(&path(scene, "lib/librocblas.so.4"), "x")]
    }));
    cases.extend(refused("a name that climbs", |scene| {
        let climbing = "../".repeat(12) + path(scene, "victims/plain").trim_start_matches('/');
        vec![file(&climbing, "x"), file(&kernels("../../../../../x"), "x")]
    }));
    cases.extend(refused("a link to a directory and a file through it", |scene| {
        let to = kernels("evil");
        vec![link(&to, &path(scene, "victims")), file(&format!("{to}/plain"), "x")]
    }));
    cases.extend(refused("a link for its Tensile directory", |scene| {
        let library = format!("{AT}/rocblas/library");
        vec![link(&library, &path(scene, "lib/rocblas/library")), file(&kernels("x"), "x")]
    }));
    cases.extend(refused("a link to a file and the file again", |scene| {
        vec![link(&kernels("x"), &path(scene, "victims/plain")), file(&kernels("x"), "x")]
    }));
    cases.extend(refused("links to links that climb", |_| {
        vec![
            link(&kernels("a"), "b_gfx906.dat"),
            link(&kernels("b"), "../library/c_gfx906.dat"),
            link(&kernels("c"), "../../../../../../../../etc/shadow"),
        ]
    }));
    cases.extend(refused("a link to the kernel's", |_| {
        vec![link(&kernels("x"), "/proc/self/root/etc/shadow")]
    }));
    cases.extend(with("a hard link to a file elsewhere", |scene| {
        vec![hard_link(&kernels("x"), &path(scene, "victims/private"))]
    }));
    cases.extend(refused("a device and a pipe", |_| {
        vec![node(&kernels("x"), EntryType::Char), node(&kernels("y"), EntryType::Fifo)]
    }));
    cases.extend(with("a library that is a link", |scene| {
        vec![link(&format!("{AT}/librocblas.so.4.4"), &path(scene, "lib/librocblas.so.4"))]
    }));
    cases.extend(with("names of control characters", |_| {
        vec![file(&kernels("\u{1b}]0;x\u{7}\n\r"), "x"), file(&kernels("\u{202e}x"), "x")]
    }));
    cases.extend(with("a name that is no text", |_| {
        let name = [kernels("").as_bytes(), b"\xff\xfe"].concat();
        vec![Member { name, ..file("", "x") }]
    }));
    cases.extend(refused("the same name three times", |_| {
        vec![file(&kernels("x"), "1"), file(&kernels("x"), "2"), file(&kernels("x"), "3")]
    }));
    cases.extend(with("names of the store", |_| {
        let names = ["journal.json", "shim.toml", "incoming/1", "kept/shim.toml"];
        names.map(|name| file(&format!("{AT}/rocblas-shim/{name}"), "{}")).into()
    }));
    cases.extend(
        with("a file that is set-user-ID", |_| {
            vec![Member { mode: 0o6777, ..file(&kernels("x"), "x") }]
        })
        .map(|case| case.works(&[Verb::DryPackage, Verb::ApplyPackage])),
    );
    examine("archives", cases);
}

fn compressed(write: impl FnOnce(&mut GzEncoder<Vec<u8>>)) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    write(&mut encoder);
    encoder.finish().expect("written")
}

#[test]
fn archives_end() {
    let cases = vec![
        packed("a .tar.gz with a million members".to_owned(), |scene| {
            compressed(|encoder| {
                encoder.write_all(&tar(&backend(scene))[..512]).expect("written");
                let mut many = Vec::new();
                for number in 0..1000 {
                    let member = file(&kernels(&number.to_string()), "");
                    many.extend(header(&member).as_bytes());
                }
                // The names repeat, so a check that keeps count of them may stop there.
                for _ in 0..1000 {
                    encoder.write_all(&many).expect("written");
                }
            })
        }),
        packed("a .tar.gz with a million directories".to_owned(), |scene| {
            compressed(|encoder| {
                let own = tar(&backend(scene));
                encoder.write_all(&own[..own.len() - 1024]).expect("written");
                let mut many = Vec::new();
                for number in 0..1000 {
                    let name = format!("share/{number}/");
                    many.extend(header(&node(&name, EntryType::Directory)).as_bytes());
                }
                for _ in 0..1000 {
                    encoder.write_all(&many).expect("written");
                }
            })
        }),
        packed("a .tar.gz that claims a tebibyte".to_owned(), |_| {
            compressed(|encoder| {
                let mut header = header(&file(&kernels("x"), ""));
                header.set_size(1 << 40);
                header.set_cksum();
                encoder.write_all(header.as_bytes()).expect("written");
            })
        }),
        packed("a .tar that is cut short".to_owned(), |scene| {
            let bytes = tar(&backend(scene));
            bytes[..bytes.len() / 3].to_vec()
        }),
        packed("a .deb whose length is nonsense".to_owned(), |scene| {
            let mut bytes = deb(&backend(scene));
            let at = bytes.windows(8).position(|window| window == b"data.tar").expect("a name");
            bytes[at + 48..at + 58].copy_from_slice(b"9999999999");
            bytes
        }),
    ];
    examine("archives without an end", cases);
}
