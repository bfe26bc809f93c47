//! The forwarded call: the instructions of the stub, and that all arguments arrive at the backend and all
//! results return to the caller.

use goblin::elf::Elf;
use iced_x86::{Code, Decoder, DecoderOptions, Instruction, Mnemonic, OpKind, Register};
use rocblas_abi::exports;
use std::{collections::HashMap, fs, path::Path, process::Command};
use tests::{
    artefacts,
    run::{client, run},
    tree::Tree,
};

/// The first instructions at the address of every exported function of the built shim.
fn stubs() -> HashMap<String, Vec<Instruction>> {
    let bytes = fs::read(artefacts::shim()).expect("read the shim");
    let elf = Elf::parse(&bytes).expect("parse the shim");
    let text = elf
        .section_headers
        .iter()
        .find(|section| elf.shdr_strtab.get_at(section.sh_name) == Some(".text"));
    let text = text.expect("a .text section");
    elf.dynsyms
        .iter()
        .filter(|symbol| symbol.is_function() && symbol.st_value != 0)
        .map(|symbol| {
            let name = elf.dynstrtab.get_at(symbol.st_name).expect("a name").to_owned();
            let offset = (symbol.st_value - text.sh_addr + text.sh_offset) as usize;
            let mut decoder =
                Decoder::with_ip(64, &bytes[offset..], symbol.st_value, DecoderOptions::NONE);
            (name, decoder.iter().take(2).collect())
        })
        .collect()
}

#[test]
fn every_stub_is_a_load_of_the_table_and_a_jump_through_its_own_entry() {
    let stubs = stubs();
    let mut tables = std::collections::BTreeSet::new();
    for function in exports() {
        let [load, jump] = stubs[function.name].as_slice() else {
            panic!("{}: not two instructions", function.name);
        };
        assert_eq!(load.code(), Code::Mov_r64_rm64, "{}: {load}", function.name);
        assert_eq!(load.op0_register(), Register::R11, "{}: {load}", function.name);
        assert!(load.is_ip_rel_memory_operand(), "{}: {load}", function.name);
        tables.insert(load.ip_rel_memory_address());
        assert_eq!(jump.mnemonic(), Mnemonic::Jmp, "{}: {jump}", function.name);
        assert_eq!(jump.op0_kind(), OpKind::Memory, "{}: {jump}", function.name);
        assert_eq!(jump.memory_base(), Register::R11, "{}: {jump}", function.name);
        assert_eq!(jump.memory_index(), Register::None, "{}: {jump}", function.name);
        assert_eq!(
            jump.memory_displacement64(),
            8 * u64::from(function.index),
            "{}: {jump}",
            function.name
        );
    }
    assert_eq!(tables.len(), 1, "one table pointer for all");
}

#[test]
fn so_do_those_of_calls_that_go_to_the_backend_of_their_handle() {
    let (tree, mut command) = all("rocblas_abort");
    let second = tree.place(artefacts::probe(), "second.so");
    let ended = run(command.env("SECOND_PROBE", second)).success();
    let messages = ended.stderr.lines().collect::<Vec<_>>();
    assert!(
        messages.len() == 1 && messages[0].contains("was not created through the shim"),
        "{ended:?}"
    );
}

/// The code that finds the backend of a handle, up to the jump to a cold entry.
#[test]
fn routed_entries_store_nothing_call_nothing_and_lock_nothing() {
    let bytes = fs::read(artefacts::shim()).expect("read the shim");
    let elf = Elf::parse(&bytes).expect("parse the shim");
    let is_region = |name: &str| name.contains("4arch6x86_645route");
    let mut jumps = 0;
    for symbol in elf.syms.iter().filter(|symbol| symbol.is_function() && symbol.st_size > 0) {
        let name = elf.strtab.get_at(symbol.st_name).unwrap_or_default();
        if !is_region(name) || !(name.contains("6region") || name.contains("6others")) {
            continue;
        }
        let section = &elf.section_headers[symbol.st_shndx];
        let offset = (symbol.st_value - section.sh_addr + section.sh_offset) as usize;
        let code = &bytes[offset..][..symbol.st_size as usize];
        for instruction in Decoder::with_ip(64, code, symbol.st_value, DecoderOptions::NONE).iter()
        {
            let allowed = [
                Mnemonic::Mov,
                Mnemonic::Imul,
                Mnemonic::Shr,
                Mnemonic::And,
                Mnemonic::Add,
                Mnemonic::Cmp,
                Mnemonic::Test,
                Mnemonic::Jne,
                Mnemonic::Je,
                Mnemonic::Jmp,
                // Padding.
                Mnemonic::Int3,
            ];
            assert!(allowed.contains(&instruction.mnemonic()), "{name}: {instruction}");
            let stores = instruction.op0_kind() == OpKind::Memory
                && !matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Jmp);
            assert!(!stores && !instruction.has_lock_prefix(), "{name}: {instruction}");
            use Register::{None, R10, R11, R11D};
            let register = instruction.op0_register();
            let is_free = [None, R10, R11, R11D].contains(&register);
            let is_of_object = register == Register::RAX && name.contains("in_device_malloc");
            let changes =
                !matches!(instruction.mnemonic(), Mnemonic::Cmp | Mnemonic::Test | Mnemonic::Jmp);
            assert!(is_free || is_of_object || !changes, "{name}: {instruction}");
            let is_indirect =
                instruction.mnemonic() == Mnemonic::Jmp && instruction.op0_kind() == OpKind::Memory;
            jumps += usize::from(is_indirect);
        }
    }
    let owned = exports().iter().filter(|export| {
        matches!(export.whose, rocblas_abi::Whose::Handle(_) | rocblas_abi::Whose::DeviceMalloc(_))
    });
    // One for each export, and three that all entries of a kind share.
    assert_eq!(jumps, owned.count() + 3 * 3);
}

fn forward_all(first: &str) {
    let (_tree, mut command) = all(first);
    let ended = run(&mut command).silent_success();
    assert!(ended.stdout.starts_with(&format!("{} functions, ", exports().len())), "{ended:?}");
}

/// The program that calls all functions, starting with `first`.
fn all(first: &str) -> (Tree, Command) {
    let tree = Tree::with_shim();
    let backend = tree.place(artefacts::probe(), "probe.so");
    let direct = tree.place(artefacts::probe(), "direct.so");
    let mut command = client(&tree, Path::new(env!("CARGO_BIN_EXE_forward_all")));
    command.arg(tree.lib().join("librocblas.so.5")).arg(backend).arg(first);
    // Without promises, so that no function of the backend is replaced.
    command.env("ROCBLAS_SHIM_COMPAT", "-all").env("ROCBLAS_SHIM_LISTEN", "off");
    command.env("DIRECT_PROBE", direct);
    (tree, command)
}

#[test]
fn random_arguments_arrive_and_answers_return_also_on_a_lazy_first_call() {
    for first in [
        "rocblas_abort",
        "rocblas_strsm_batched",
        // 30 parameters, 24 of them on the stack.
        "rocblas_gemm_strided_batched_ex_get_solutions",
        "rocblas_status_to_string",
        "rocblas_device_malloc_success",
        "rocblas_pointer_to_mode",
    ] {
        forward_all(first);
    }
}

#[test]
fn so_do_those_of_variadic_and_cxx_functions() {
    for first in [
        "rocblas_device_malloc_alloc",
        "rocblas_set_optimal_device_memory_size_impl",
        "_Z29rocblas_internal_get_data_ptrP15_rocblas_handleRSt10shared_ptrIvE",
        "_ZN24rocblas_internal_ostreamC1Ei",
        exports().last().expect("not empty").name,
    ] {
        forward_all(first);
    }
}

#[test]
fn assembly_is_in_the_module_of_its_architecture_only() {
    fn files(directory: &Path, found: &mut Vec<std::path::PathBuf>) {
        for entry in fs::read_dir(directory).expect("read a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                files(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let source = artefacts::workspace().join("shim/src");
    let mut all = Vec::new();
    files(&source, &mut all);
    let has_assembly = |path: &Path| {
        let text = fs::read_to_string(path).expect("read a source file");
        ["asm!(", "(naked)"].iter().any(|word| text.contains(word))
    };
    let (inside, outside): (Vec<_>, Vec<_>) = all
        .iter()
        .filter(|path| has_assembly(path))
        .partition(|path| path.starts_with(source.join("arch/x86_64")));
    assert!(inside.len() >= 5, "{inside:?}");
    assert!(outside.is_empty(), "{outside:?}");
}
