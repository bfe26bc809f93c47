//! Makes a loaded backend keep to itself, in memory, never on disk.
//!
//! The backend's references to its own exported functions bind to the first definition in the
//! global scope, which is the shim's: calls made inside of it would come back out, be traced twice,
//! and with two backends reach the other one. So after loading, each of its relocations against a
//! symbol that it defines itself and the shim exports too is given the backend's own address. Its
//! reference to `getenv` is given a filter. RTLD_DEEPBIND would do the first, and break programs
//! with copy relocations or a malloc interposer; dlmopen would load a second HIP runtime.

use super::open::LinkMap;
use core::{
    ffi::{CStr, c_char, c_void},
    ops::Range,
    sync::atomic::{AtomicUsize, Ordering},
};
use goblin::elf::{
    dynamic::{
        DT_JMPREL, DT_NULL, DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_STRTAB, DT_SYMTAB, dyn64::Dyn,
    },
    program_header::{PF_W, PT_GNU_RELRO, PT_LOAD},
    reloc::{R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, reloc64},
    section_header::SHN_UNDEF,
    sym::{STT_GNU_IFUNC, STT_TLS, st_type, sym64::Sym},
};
use std::{
    io,
    sync::{Mutex, PoisonError},
};

/// A word of the backend to be written, and with what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    slot: usize,
    value: usize,
}

/// What `getenv` of the backend becomes.
pub(crate) struct Replacement {
    pub(crate) names: &'static [&'static CStr],
    pub(crate) function: usize,
}

/// The parts of a loaded object's dynamic section that relocating needs.
struct Dynamic {
    base: usize,
    symbols: *const Sym,
    strings: *const c_char,
    /// Address and size in bytes of the tables of relocations with addends.
    relocations: [(usize, usize); 2],
}

impl Dynamic {
    /// # Safety
    /// The map must be that of a loaded library, which stays loaded.
    unsafe fn read(map: &LinkMap) -> Option<Self> {
        let mut entry: *const Dyn = map.dynamic.cast();
        let (mut symbols, mut strings) = (0, 0);
        let (mut rela, mut rela_size, mut plt, mut plt_size) = (0, 0, 0, 0);
        // glibc writes run-time addresses into the section unless it is read-only; then they are
        // still those of the file.
        let address = |value: u64| {
            let value = value as usize;
            if value < map.base { value + map.base } else { value }
        };
        loop {
            // SAFETY: the dynamic section ends with DT_NULL, where this loop ends.
            let current = unsafe { entry.read() };
            match current.d_tag {
                DT_NULL => break,
                DT_SYMTAB => symbols = address(current.d_val),
                DT_STRTAB => strings = address(current.d_val),
                DT_RELA => rela = address(current.d_val),
                DT_RELASZ => rela_size = current.d_val as usize,
                DT_JMPREL => plt = address(current.d_val),
                DT_PLTRELSZ => plt_size = current.d_val as usize,
                _ => {}
            }
            // SAFETY: not at DT_NULL yet.
            entry = unsafe { entry.add(1) };
        }
        (symbols != 0 && strings != 0).then_some(Self {
            base: map.base,
            symbols: symbols as *const Sym,
            strings: strings as *const c_char,
            relocations: [(rela, rela_size), (plt, plt_size)],
        })
    }

    fn relocations(&self) -> impl Iterator<Item = reloc64::Rela> {
        self.relocations.into_iter().filter(|(address, _)| *address != 0).flat_map(
            |(address, size)| {
                let first = address as *const reloc64::Rela;
                let count = size / reloc64::SIZEOF_RELA;
                // SAFETY: the table that the dynamic section describes, mapped and read-only.
                (0..count).map(move |i| unsafe { first.add(i).read() })
            },
        )
    }

    fn symbol(&self, relocation: &reloc64::Rela) -> Option<(Sym, &CStr)> {
        let index = reloc64::r_sym(relocation.r_info) as usize;
        if index == 0 {
            return None;
        }
        // SAFETY: relocations name symbols by their index in this table.
        let symbol = unsafe { self.symbols.add(index).read() };
        // SAFETY: symbols name themselves by offset into this table.
        let name = unsafe { self.strings.add(symbol.st_name as usize) };
        // SAFETY: names end with NUL.
        Some((symbol, unsafe { CStr::from_ptr(name) }))
    }
}

/// What to write where. Reads only.
///
/// # Safety
/// The map must be that of a loaded library, which stays loaded.
pub(crate) unsafe fn plan(
    map: &LinkMap,
    exported: impl Fn(&CStr) -> bool,
    replacement: &Replacement,
) -> Vec<Patch> {
    // SAFETY: passed on to the caller.
    let Some(dynamic) = (unsafe { Dynamic::read(map) }) else {
        return Vec::new();
    };
    let mut patches = Vec::new();
    for relocation in dynamic.relocations() {
        let addend = match reloc64::r_type(relocation.r_info) {
            R_X86_64_JUMP_SLOT | R_X86_64_GLOB_DAT => 0,
            R_X86_64_64 => relocation.r_addend as usize,
            _ => continue,
        };
        let Some((symbol, name)) = dynamic.symbol(&relocation) else {
            continue;
        };
        let defined = symbol.st_shndx != SHN_UNDEF as u16
            && !matches!(st_type(symbol.st_info), STT_TLS | STT_GNU_IFUNC);
        let value = if defined && exported(name) {
            dynamic.base + symbol.st_value as usize
        } else if !defined && replacement.names.contains(&name) {
            replacement.function
        } else {
            continue;
        };
        patches.push(Patch {
            slot: dynamic.base + relocation.r_offset as usize,
            value: value.wrapping_add(addend),
        });
    }
    patches
}

/// Writes the patches; answers how many words changed.
///
/// Safe to repeat, also by several threads: the values are the same each time. The lock is held
/// over no call to the loader, so it cannot be part of a deadlock with the loader's own.
///
/// # Safety
/// The patches must be what [`plan`] answered for the loaded library of this map.
pub(crate) unsafe fn apply(map: &LinkMap, patches: &[Patch]) -> Result<usize, String> {
    static WRITING: Mutex<()> = Mutex::new(());
    let Some(memory) = Memory::of(map.base) else {
        return Err("the loader does not list it among its objects".to_owned());
    };
    if let Some(patch) = patches.iter().find(|patch| !memory.may_write(patch.slot)) {
        return Err(format!(
            "has a relocation in read-only or unaligned memory, at {:#x}",
            patch.slot - map.base
        ));
    }
    let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
    memory.protect_relro(libc::PROT_READ | libc::PROT_WRITE)?;
    let mut changed = 0;
    for patch in patches {
        // SAFETY: a relocated word of the library: aligned and in a writable segment, as checked,
        // with RELRO lifted. Atomic, because another thread may be jumping through it.
        let word = unsafe { AtomicUsize::from_ptr(patch.slot as *mut usize) };
        if word.swap(patch.value, Ordering::Relaxed) != patch.value {
            changed += 1;
        }
    }
    memory.protect_relro(libc::PROT_READ)?;
    Ok(changed)
}

/// The writable memory of a loaded library.
#[derive(Default)]
struct Memory {
    writable: Vec<Range<usize>>,
    /// What the loader made read-only after relocating, in whole pages as it rounds them.
    relro: Option<Range<usize>>,
}

impl Memory {
    /// The library that is loaded at `base`, from the loader's list.
    fn of(base: usize) -> Option<Self> {
        struct Search {
            base: usize,
            found: Option<Memory>,
        }
        unsafe extern "C" fn visit(
            info: *mut libc::dl_phdr_info,
            _size: usize,
            search: *mut c_void,
        ) -> i32 {
            // SAFETY: the loader passes a valid record, and our own pointer back.
            let (info, search) = unsafe { (&*info, &mut *search.cast::<Search>()) };
            if info.dlpi_addr as usize != search.base || info.dlpi_phdr.is_null() {
                return 0;
            }
            // SAFETY: the mapped program headers, as many as the record says.
            let headers = unsafe {
                core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum))
            };
            search.found = Some(Memory::new(search.base, headers));
            1
        }
        let mut search = Search { base, found: None };
        // SAFETY: the callback matches, and the pointer outlives the call. The callback calls
        // nothing that takes a lock.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
        search.found
    }

    fn new(base: usize, headers: &[libc::Elf64_Phdr]) -> Self {
        // SAFETY: a constant of the system.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let range = |h: &libc::Elf64_Phdr| {
            let start = base + h.p_vaddr as usize;
            start..start + h.p_memsz as usize
        };
        Self {
            writable: headers
                .iter()
                .filter(|h| h.p_type == PT_LOAD && h.p_flags & PF_W != 0)
                .map(range)
                .collect(),
            relro: headers
                .iter()
                .find(|h| h.p_type == PT_GNU_RELRO)
                .map(range)
                .map(|r| r.start & !(page - 1)..r.end & !(page - 1))
                .filter(|r| !r.is_empty()),
        }
    }

    fn may_write(&self, slot: usize) -> bool {
        slot.is_multiple_of(align_of::<AtomicUsize>())
            && self.writable.iter().any(|range| range.contains(&slot))
    }

    fn protect_relro(&self, protection: i32) -> Result<(), String> {
        let Some(range) = &self.relro else {
            return Ok(());
        };
        // SAFETY: whole pages of the library's own RELRO range.
        let failed = unsafe { libc::mprotect(range.start as *mut c_void, range.len(), protection) };
        if failed == 0 {
            return Ok(());
        }
        Err(format!("mprotect of its RELRO pages failed: {}", io::Error::last_os_error()))
    }
}
