//! Binds a loaded backend's references to its own functions to itself, in memory, never on disk.
//!
//! The backend's references to its own exported functions bind to the first definition in the
//! global scope, which is the shim's: its internal calls would go through the shim, be traced twice
//! and, with two backends open, could reach the other one. So after loading, each relocation against a
//! symbol that both the backend defines and the shim exports is set to the backend's own address. The
//! reference to `getenv` is set to a filter. RTLD_DEEPBIND would do the former, but break programs
//! with copy relocations or a malloc interposer; dlmopen would load a second HIP runtime.
//!
//! One race can undo this. When a thread of the backend calls through a PLT slot for the first time, the
//! loader looks the function up and then writes the slot. If it has looked up but not yet written the slot
//! while this module does, it writes the shim's address afterwards. Such a thread cannot be detected, so
//! the words are checked again: before the backend is published, and with each new handle.

use super::open::LinkMap;
use core::{
    ffi::{CStr, c_char, c_void},
    ops::Range,
    ptr::null,
    sync::atomic::{AtomicUsize, Ordering},
};
use goblin::elf::{
    dynamic::{
        DT_JMPREL, DT_NULL, DT_PLTRELSZ, DT_RELA, DT_RELASZ, DT_STRTAB, DT_SYMTAB, dyn64::Dyn,
    },
    program_header::{PF_W, PT_DYNAMIC, PT_GNU_RELRO, PT_LOAD},
    reloc::{R_X86_64_64, R_X86_64_GLOB_DAT, R_X86_64_JUMP_SLOT, reloc64},
    section_header::SHN_UNDEF,
    sym::{STT_GNU_IFUNC, STT_TLS, st_type, sym64::Sym},
};
use rocblas_contract::sentences;
use std::{
    io,
    sync::{Mutex, PoisonError, TryLockError},
};

/// A word of the backend to be written, and its new value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patch {
    slot: usize,
    value: usize,
}

/// Words of a loaded library and the value that each of them must have.
#[derive(Debug)]
pub(crate) struct Bindings {
    base: usize,
    writable: Vec<Range<usize>>,
    relro: Option<Range<usize>>,
    patches: Vec<Patch>,
}

/// A function that the backend imports, and its replacement.
pub(crate) struct Replacement {
    pub(crate) name: &'static CStr,
    pub(crate) function: usize,
}

/// A loaded library: where it is mapped, and which of its memory is writable.
pub(crate) struct Object {
    /// Difference between addresses in the file and in memory; any value, because additions may wrap.
    base: usize,
    segments: Vec<Range<usize>>,
    writable: Vec<Range<usize>>,
    /// The range that the loader made read-only after relocation, in whole pages as the loader rounds it.
    relro: Option<Range<usize>>,
    symbols: *const Sym,
    strings: *const c_char,
    /// Address and size in bytes of the tables of relocations with addends.
    relocations: [(usize, usize); 2],
}

impl Patch {
    /// The word. It is the target of a relocation in a library that stays loaded, so it is readable, and
    /// aligned, as [`Bindings::apply`] checks first.
    fn word(&self) -> &AtomicUsize {
        // SAFETY: as above. Atomic, because another thread may be jumping through it.
        unsafe { AtomicUsize::from_ptr(self.slot as *mut usize) }
    }

    fn holds(&self) -> bool {
        self.word().load(Ordering::Relaxed) == self.value
    }
}

impl Object {
    /// Reads the loader's records of a library; `None` if the loader does not list it, or if the library
    /// has no symbols.
    ///
    /// # Safety
    /// `map` belongs to a loaded library, which stays loaded.
    pub(crate) unsafe fn of(map: &LinkMap) -> Option<Self> {
        let mut object = Self::segments_of(map)?;
        // SAFETY: passed on to the caller.
        unsafe { object.read_dynamic(map.dynamic.cast()) };
        (!object.symbols.is_null() && !object.strings.is_null()).then_some(object)
    }

    /// The library of this map in the loader's list, identified by its dynamic section: several objects
    /// may have the same base (0 for a prelinked library and for a non-PIE program).
    fn segments_of(map: &LinkMap) -> Option<Self> {
        struct Search<'a> {
            map: &'a LinkMap,
            found: Option<Object>,
        }
        /// # Safety
        /// Called by the loader, with our own pointer as its last argument.
        unsafe extern "C" fn visit(
            info: *mut libc::dl_phdr_info,
            _size: usize,
            search: *mut c_void,
        ) -> i32 {
            // SAFETY: the loader passes a valid record, and our own pointer back.
            let (info, search) = unsafe { (&*info, &mut *search.cast::<Search<'_>>()) };
            if info.dlpi_phdr.is_null() {
                return 0;
            }
            // SAFETY: the mapped program headers, as many as the record says.
            let headers = unsafe {
                core::slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum))
            };
            let base = info.dlpi_addr as usize;
            let dynamic = headers.iter().find(|h| h.p_type == PT_DYNAMIC);
            let dynamic = dynamic.map(|h| base.wrapping_add(h.p_vaddr as usize));
            if dynamic != Some(search.map.dynamic as usize) {
                return 0;
            }
            search.found = Some(Object::with_segments(base, headers));
            1
        }
        let mut search = Search { map, found: None };
        // SAFETY: the callback has the right type, and the pointer outlives the call. The callback
        // takes no lock.
        unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
        search.found
    }

    fn with_segments(base: usize, headers: &[libc::Elf64_Phdr]) -> Self {
        // SAFETY: sysconf has no preconditions.
        let page = unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize;
        let range = |h: &libc::Elf64_Phdr| {
            let start = base.wrapping_add(h.p_vaddr as usize);
            start..start.wrapping_add(h.p_memsz as usize)
        };
        let loaded = headers.iter().filter(|h| h.p_type == PT_LOAD);
        Self {
            base,
            segments: loaded.clone().map(range).collect(),
            writable: loaded.filter(|h| h.p_flags & PF_W != 0).map(range).collect(),
            relro: headers
                .iter()
                .find(|h| h.p_type == PT_GNU_RELRO)
                .map(range)
                .map(|r| r.start & !(page - 1)..r.end & !(page - 1))
                .filter(|r| !r.is_empty()),
            symbols: null(),
            strings: null(),
            relocations: [(0, 0); 2],
        }
    }

    /// # Safety
    /// `entry` is the first of the library's dynamic section.
    unsafe fn read_dynamic(&mut self, mut entry: *const Dyn) {
        loop {
            // SAFETY: the section ends with DT_NULL, where this loop ends.
            let current = unsafe { entry.read() };
            match current.d_tag {
                DT_NULL => break,
                DT_SYMTAB => self.symbols = self.address(current.d_val) as *const Sym,
                DT_STRTAB => self.strings = self.address(current.d_val) as *const c_char,
                DT_RELA => self.relocations[0].0 = self.address(current.d_val),
                DT_RELASZ => self.relocations[0].1 = current.d_val as usize,
                DT_JMPREL => self.relocations[1].0 = self.address(current.d_val),
                DT_PLTRELSZ => self.relocations[1].1 = current.d_val as usize,
                _ => {}
            }
            // SAFETY: not at DT_NULL yet.
            entry = unsafe { entry.add(1) };
        }
    }

    /// An address from the dynamic section. glibc replaces addresses there by run-time addresses, unless the
    /// section is read-only; then they are still the file's.
    fn address(&self, value: u64) -> usize {
        let value = value as usize;
        if self.segments.iter().any(|segment| segment.contains(&value)) {
            value
        } else {
            self.base.wrapping_add(value)
        }
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

    /// Determines which words to write. Writes nothing.
    pub(crate) fn plan(
        &self,
        exported: impl Fn(&CStr) -> bool,
        replacement: &Replacement,
    ) -> Bindings {
        let mut patches = Vec::new();
        for relocation in self.relocations() {
            let addend = match reloc64::r_type(relocation.r_info) {
                R_X86_64_JUMP_SLOT | R_X86_64_GLOB_DAT => 0,
                R_X86_64_64 => relocation.r_addend as usize,
                _ => continue,
            };
            let Some((symbol, name)) = self.symbol(&relocation) else {
                continue;
            };
            let defined = symbol.st_shndx != SHN_UNDEF as u16
                && !matches!(st_type(symbol.st_info), STT_TLS | STT_GNU_IFUNC);
            let value = if defined && exported(name) {
                self.base.wrapping_add(symbol.st_value as usize)
            } else if !defined && name == replacement.name {
                replacement.function
            } else {
                continue;
            };
            patches.push(Patch {
                slot: self.base.wrapping_add(relocation.r_offset as usize),
                value: value.wrapping_add(addend),
            });
        }
        Bindings {
            base: self.base,
            writable: self.writable.clone(),
            relro: self.relro.clone(),
            patches,
        }
    }
}

/// Held while words are written, because page protection is lifted and restored meanwhile. Never held
/// across a call to the loader, so it cannot deadlock with the loader's own lock.
static WRITING: Mutex<()> = Mutex::new(());

impl Bindings {
    /// Writes the words of a library that was just opened. Returns how many changed.
    ///
    /// It may be repeated, also by several threads: the values are the same each time. `fork` waits for
    /// initialising threads, so no child inherits the lock held from here.
    pub(crate) fn apply(&self) -> Result<usize, String> {
        if let Some(patch) = self.patches.iter().find(|patch| !self.may_write(patch.slot)) {
            let offset = patch.slot.wrapping_sub(self.base);
            return Err(sentences::odd_relocation(format_args!("{offset:#x}")));
        }
        let _writing = WRITING.lock().unwrap_or_else(PoisonError::into_inner);
        self.write()
    }

    /// Restores words that were overwritten after [`Self::apply`]. Returns how many; usually none, and
    /// then nothing is written.
    ///
    /// It does not wait for the lock: its holder writes the same values, and in a forked child the holder
    /// may be a thread that does not exist.
    pub(crate) fn restore(&self) -> Result<usize, String> {
        if self.patches.iter().all(Patch::holds) {
            return Ok(0);
        }
        let _writing = match WRITING.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Ok(0),
        };
        self.write()
    }

    fn write(&self) -> Result<usize, String> {
        self.protect_relro(libc::PROT_READ | libc::PROT_WRITE)?;
        let mut changed = 0;
        for patch in &self.patches {
            // In a writable segment, as `apply` checked, with RELRO lifted.
            if patch.word().swap(patch.value, Ordering::Relaxed) != patch.value {
                changed += 1;
            }
        }
        self.protect_relro(libc::PROT_READ)?;
        Ok(changed)
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
        Err(sentences::protected(io::Error::last_os_error()))
    }
}
