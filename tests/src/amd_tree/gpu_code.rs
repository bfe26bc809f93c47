//! GPU code for stand-in libraries: offload bundles in a section `.hip_fatbin`, as hipcc makes them,
//! whose code objects name their kernels and do nothing.

use crate::{artefacts::standins, compile::compile, run::run};
use offload::kpack::testing::{self, Scheme};
use rocblas_contract::kpack;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A GPU by LLVM's name, and its number in the flags of a code object (`EF_AMDGPU_MACH_AMDGCN_*` in
/// LLVM's AMDGPU usage guide).
pub type Gpu = (&'static str, u8);

/// MI25.
pub const GFX900: Gpu = ("gfx900", 0x2c);
/// MI50, MI60, Radeon VII.
pub const GFX906: Gpu = ("gfx906", 0x2f);
/// MI100.
pub const GFX908: Gpu = ("gfx908", 0x30);
/// MI300.
pub const GFX942: Gpu = ("gfx942", 0x4c);
/// RX 6800 and 6900.
pub const GFX1030: Gpu = ("gfx1030", 0x36);

/// The kernels of two translation units of 6.4.4, each of which has its own bundle.
pub const KERNELS: [&str; 2] = [
    "_ZL30rocblas_trsm_small_left_deviceILi12ELi12ELb0EffPKfPfEv13rocblas_fill_18rocblas_operation_\
     17rocblas_diagonal_iiT3_T4_lilT5_lili",
    "_ZL26setup_batched_array_kernelILi128EfEvPT0_lPS1_",
];

/// The alignment of a bundle, and of each code object in it.
const PAGE: usize = 4096;

/// The number of bytes that [`room`] reserves for each bundle.
const ROOM: usize = 49152;

/// An object file that a stand-in must be linked with so that a HIP runtime finds its GPU code.
#[must_use]
pub(super) fn room() -> PathBuf {
    standins().parent().expect("in a directory").join("gpu_code.s")
}

/// Whether a library was linked with that object file.
pub(super) fn has_room(library: &Path) -> bool {
    let listed = run(Command::new("readelf").args(["--section-headers", "--wide"]).arg(library));
    listed.success().stdout.contains(" .hipFatBinSegment ")
}

/// Copies a library without its debug information and adds GPU code for those GPUs: in the space that it
/// was linked with, or else in a section that nothing points to.
///
/// # Panics
/// If the machine has no compiler or no objcopy, or if the bundles are too large for that room.
pub fn add(library: &Path, gpus: &[Gpu], output: &Path) {
    let scratch = tempfile::tempdir().expect("make a directory");
    let section = scratch.path().join("hip_fatbin");
    let objcopy = |from: &Path, arguments: &[&str], to: &Path| {
        run(Command::new("objcopy").arg(from).args(arguments).arg(to)).success();
    };
    if has_room(library) {
        let bundles = bundles(gpus).map(|mut bundle| {
            assert!(bundle.len() <= ROOM, "{} bytes in a room of {ROOM}", bundle.len());
            bundle.resize(ROOM, 0);
            bundle
        });
        fs::write(&section, bundles.concat()).expect("write bundles");
        let section = format!("--update-section=.hip_fatbin={}", section.display());
        return objcopy(library, &["--strip-debug", &section], output);
    }
    fs::write(&section, bundles(gpus).concat()).expect("write bundles");
    let added = scratch.path().join("added");
    let section = format!("--add-section=.hip_fatbin={}", section.display());
    let flags = ["--set-section-flags", ".hip_fatbin=readonly,data"];
    objcopy(library, &["--strip-debug", &section, flags[0], flags[1]], &added);
    // The alignment of a section can only be set once the section exists.
    objcopy(&added, &["--set-section-alignment", ".hip_fatbin=4096"], output);
}

/// The bundles of two translation units with code for those GPUs.
///
/// # Panics
/// When the machine has no compiler.
#[must_use]
pub fn bundles(gpus: &[Gpu]) -> [Vec<u8>; 2] {
    let scratch = tempfile::tempdir().expect("make a directory");
    KERNELS.map(|kernel| bundle(&code_object(kernel, scratch.path()), gpus))
}

/// Copies a library without its debug information and with a marker instead of GPU code. The code is in an
/// archive for each GPU, `blas_lib_GPU.kpack` in `.kpack` of the library's prefix.
///
/// # Panics
/// When the machine has no compiler or no objcopy.
pub(super) fn split(library: &Path, gpus: &[Gpu], output: &Path) {
    const NAME: &str = "lib/librocblas.so";
    let scratch = tempfile::tempdir().expect("make a directory");
    let search_path = format!("../{}/blas_lib_{}.kpack", kpack::DIRECTORY, kpack::PLACEHOLDER);
    let mut arguments = vec!["--strip-debug".to_owned()];
    for (section, bytes) in [
        (kpack::REFERENCE_SECTION, testing::reference(NAME, &[&search_path])),
        (kpack::SEGMENT_SECTION, testing::segments(KERNELS.len() as u64)),
    ] {
        let file = scratch.path().join(section);
        fs::write(&file, bytes).expect("write a section");
        arguments.push(format!("--add-section={section}={}", file.display()));
        arguments.extend(["--set-section-flags".to_owned(), format!("{section}=readonly,data")]);
    }
    run(Command::new("objcopy").arg(library).args(arguments).arg(output)).success();
    let prefix = output.parent().and_then(Path::parent).expect("a library in a prefix");
    let directory = prefix.join(kpack::DIRECTORY);
    fs::create_dir_all(&directory).expect("make a directory");
    let objects = KERNELS.map(|kernel| code_object(kernel, scratch.path()));
    for (name, number) in gpus {
        let objects = objects.clone().map(|mut object| {
            object[FLAGS] = *number;
            object
        });
        let keys: Vec<String> = (0..objects.len()).map(|at| format!("{NAME}#{at}")).collect();
        let entries = keys.iter().zip(&objects);
        let entries: Vec<(&str, &str, &[u8])> =
            entries.map(|(key, object)| (key.as_str(), *name, object.as_slice())).collect();
        let archive = testing::archive(Scheme::Zstd, &entries);
        fs::write(directory.join(format!("blas_lib_{name}.kpack")), archive).expect("write");
    }
}

/// A plain bundle of one code object per GPU, and the empty one of the host that all bundles have.
/// (Clang's document on offload bundles.)
fn bundle(code_object: &[u8], gpus: &[Gpu]) -> Vec<u8> {
    let mut table = b"__CLANG_OFFLOAD_BUNDLE__".to_vec();
    table.extend((1 + gpus.len() as u64).to_le_bytes());
    let mut entry = |offset: usize, size: usize, target: &str| {
        for number in [offset, size, target.len()] {
            table.extend((number as u64).to_le_bytes());
        }
        table.extend(target.as_bytes());
    };
    entry(PAGE, 0, "host-x86_64-unknown-linux-gnu-");
    let mut code = Vec::new();
    for (name, number) in gpus {
        let start = code.len();
        entry(PAGE + start, code_object.len(), &format!("hipv4-amdgcn-amd-amdhsa--{name}"));
        code.extend(code_object);
        code[start + FLAGS] = *number;
        code.resize(code.len().next_multiple_of(PAGE), 0);
    }
    table.resize(PAGE, 0);
    table.extend(code);
    table
}

/// The offset of `e_flags` in a 64-bit ELF header.
const FLAGS: usize = 48;

/// An AMDGPU code object with one kernel: a function, and the descriptor that launches it.
///
/// The output of the machine's linker has everything that readers need (a dynamic section, both hash
/// tables); only the machine in the header is changed.
fn code_object(kernel: &str, scratch: &Path) -> Vec<u8> {
    let source = scratch.join("kernel.s");
    let text = format!(
        ".text\n.globl {kernel}\n.type {kernel}, @function\n{kernel}: .zero 64\n\
         .size {kernel}, 64\n\
         .section .rodata\n.globl {kernel}.kd\n.type {kernel}.kd, @object\n{kernel}.kd: .zero 64\n\
         .size {kernel}.kd, 64\n"
    );
    fs::write(&source, text).expect("write a kernel");
    let options = ["-shared", "-nostdlib", "-Wl,--hash-style=both", "-Wl,-z,noseparate-code"];
    let mut bytes = fs::read(compile(&source, &scratch.join("kernel.o"), &options)).expect("read");
    const OS_ABI: usize = 7;
    const MACHINE: usize = 18;
    // ELFOSABI_AMDGPU_HSA with the ABI of code object version 5; EM_AMDGPU.
    bytes[OS_ABI..OS_ABI + 2].copy_from_slice(&[64, 3]);
    bytes[MACHINE] = 224;
    bytes
}
