//! Roots for tests: a directory that represents a file system, and libraries in it with GPU code as the test
//! requires.

use crate::root::Root;
use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

/// A root in a temporary directory, next to a directory that nothing inside may reach.
pub(super) struct Image {
    outer: tempfile::TempDir,
    pub(super) root: Root,
}

impl Image {
    pub(super) fn new() -> Self {
        let outer = tempfile::tempdir().expect("a directory");
        let inner = outer.path().join("image");
        fs::create_dir(&inner).expect("a directory");
        let root = Root::new(&inner).expect("a root");
        Self { outer, root }
    }

    /// A directory outside the root, next to it.
    pub(super) fn outside(&self) -> &Path {
        self.outer.path()
    }

    /// The path on the machine of one inside; creates its directory.
    pub(super) fn place(&self, inside: &str) -> PathBuf {
        let path = self.root.directory().join(inside.trim_start_matches('/'));
        fs::create_dir_all(path.parent().expect("a parent")).expect("directories");
        path
    }

    pub(super) fn file(&self, inside: &str, text: &str) {
        fs::write(self.place(inside), text).expect("a file");
    }

    pub(super) fn link(&self, inside: &str, target: &str) {
        symlink(target, self.place(inside)).expect("a link");
    }

    pub(super) fn directory(&self, inside: &str) {
        fs::create_dir_all(self.place(inside)).expect("a directory");
    }

    /// A rocBLAS whose GPU code was split off, with this marker and one record.
    pub(super) fn split(&self, inside: &str, marker: &[u8]) {
        let scratch = tempfile::tempdir_in(self.outside()).expect("a directory");
        let records = offload::kpack::testing::segments(1);
        for (name, bytes) in [("marker", marker), ("records", &records)] {
            fs::write(scratch.path().join(name), bytes).expect("a file");
        }
        let source = r#"__asm__(".section .rocm_kpack_ref,\"a\"; .incbin \"marker\";
            .section .hipFatBinSegment,\"aw\"; .incbin \"records\";
            .section .hip_fatbin,\"aw\",@nobits; .zero 4096");"#;
        fs::write(scratch.path().join("source.c"), source.replace('\n', " ")).expect("a file");
        let mut command = Command::new("cc");
        command.current_dir(scratch.path()).args(["-shared", "-nostdlib", "source.c"]);
        command.arg("-Wl,-soname,librocblas.so.5").arg("-o").arg(self.place(inside));
        let output = command.output().expect("a C compiler");
        assert!(output.status.success(), "{output:?}");
    }

    /// A library, built with the C compiler.
    pub(super) fn library(&self, inside: &str, library: &Library<'_>) {
        let scratch = tempfile::tempdir_in(self.outside()).expect("a directory");
        let fatbin: Vec<u8> = library.bundles.concat();
        fs::write(scratch.path().join("fatbin"), fatbin).expect("a file");
        let mut source = String::new();
        if !library.bundles.is_empty() {
            source += r#"__asm__(".section .hip_fatbin,\"a\"; .p2align 12; .incbin \"fatbin\"");"#;
        }
        if let Some(version) = library.shim {
            source += &format!(
                "__asm__(\".section .note.rocblas-shim,\\\"a\\\",@note; .p2align 2; .long 13, {}, 1; \
                 .asciz \\\"rocblas-shim\\\"; .p2align 2; .asciz \\\"{version}\\\"; .p2align 2\");",
                version.len() + 1,
            );
        }
        fs::write(scratch.path().join("source.c"), source).expect("a file");
        let mut command = Command::new("cc");
        command.current_dir(scratch.path()).args(["-shared", "-nostdlib", "-Wl,--no-as-needed"]);
        command.arg(format!("-Wl,-soname,{}", library.soname)).arg("source.c");
        command.arg("-o").arg(self.place(inside));
        let output = command.output().expect("a C compiler");
        assert!(output.status.success(), "{output:?}");
    }
}

/// The contents of a library.
#[derive(Default)]
pub(super) struct Library<'a> {
    pub(super) soname: &'a str,
    pub(super) shim: Option<&'a str>,
    pub(super) bundles: Vec<Vec<u8>>,
}

/// A bundle of whole pages, with a code object of these kernels for each target.
pub(super) fn bundle(codes: &[(&str, &[&str])]) -> Vec<u8> {
    const HOST: &str = "host-x86_64-unknown-linux-gnu-";
    let mut table = b"__CLANG_OFFLOAD_BUNDLE__".to_vec();
    table.extend(number(codes.len() + 1));
    let mut objects = Vec::new();
    let mut entry = |identifier: &str, object: &[u8]| {
        table.extend(number(PAGE + objects.len()));
        table.extend(number(object.len()));
        table.extend(number(identifier.len()));
        table.extend(identifier.as_bytes());
        objects.extend(object);
        objects.resize(objects.len().next_multiple_of(PAGE), 0);
    };
    entry(HOST, &[]);
    for (target, kernels) in codes {
        entry(&format!("hipv4-amdgcn-amd-amdhsa--{target}"), &code_object(kernels));
    }
    table.resize(PAGE, 0);
    table.extend(objects);
    table
}

const PAGE: usize = 4096;

fn number(value: usize) -> [u8; 8] {
    (value as u64).to_le_bytes()
}

/// A file for an AMD GPU that has dynamic symbols and nothing else: a kernel's descriptor each.
pub(super) fn code_object(kernels: &[&str]) -> Vec<u8> {
    let mut strings = vec![0];
    let mut symbols = vec![0; 24];
    for kernel in kernels {
        symbols.extend((strings.len() as u32).to_le_bytes());
        // A global object in section 1, of address and size 0.
        symbols.extend([0x11, 0, 1, 0]);
        symbols.extend([0; 16]);
        strings.extend(format!("{kernel}.kd\0").as_bytes());
    }
    let (symbols_at, strings_at) = (64, 64 + symbols.len());
    let sections_at = strings_at + strings.len();
    let mut file = b"\x7fELF\x02\x01\x01\x40".to_vec();
    file.resize(64, 0);
    // ET_DYN for EM_AMDGPU.
    file[16..20].copy_from_slice(&[3, 0, 224, 0]);
    file[40..48].copy_from_slice(&number(sections_at));
    file[58..62].copy_from_slice(&[64, 0, 3, 0]);
    file.extend(&symbols);
    file.extend(&strings);
    let mut section = |kind: u32, offset: usize, size: usize, link: u32| {
        let mut header = vec![0; 4];
        header.extend(kind.to_le_bytes());
        header.resize(24, 0);
        header.extend(number(offset));
        header.extend(number(size));
        header.extend(link.to_le_bytes());
        header.resize(64, 0);
        file.extend(header);
    };
    section(0, 0, 0, 0);
    section(11, symbols_at, symbols.len(), 2);
    section(3, strings_at, strings.len(), 0);
    file
}
