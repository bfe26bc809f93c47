//! The program and the libraries in memory, and the addresses of each, so that readers can name the functions of call
//! stacks.
//!
//! Each recorded stack checks the list against the loader's count of the libraries that it has loaded so far. The list is
//! read again only if the count has changed.

use super::{super::super::clock, Session};
use core::{
    ffi::{CStr, c_char, c_void},
    slice,
    sync::atomic::{AtomicU64, Ordering},
};
use rocblas_contract::sentences;
use rocblas_trace::process::{MODULES, Module};
use std::{
    ffi::OsStr,
    fmt::Write,
    io,
    os::unix::ffi::OsStrExt,
    path::Path,
    sync::{Mutex, PoisonError},
};

const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PF_R: u32 = 4;

/// The modules that are in a trace's file.
#[derive(Debug, Default)]
pub(in crate::trace) struct Modules {
    /// The loader's count of libraries when they were read.
    loaded: AtomicU64,
    known: Mutex<Vec<Module>>,
}

impl Modules {
    /// Writes the modules that are not in the trace yet.
    pub(super) fn write_new(&self, session: &Session) {
        let loaded = loaded();
        // Written to the file before it is stored.
        if self.loaded.load(Ordering::Acquire) == loaded {
            return;
        }
        let Ok(Some(directory)) = session.directory() else { return };
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if self.loaded.load(Ordering::Acquire) == loaded {
            return;
        }
        let is_new = |module: &Module| {
            let same = known.iter().rev().find(|other| other.range == module.range);
            same.is_none_or(|other| {
                (&other.path, &other.build_id) != (&module.path, &module.build_id)
            })
        };
        let new: Vec<Module> = present().into_iter().filter(is_new).collect();
        known.extend(new);
        let written = serde_json::to_vec(&*known)
            .map_err(|e| io::Error::from(e).into())
            .and_then(|text| directory.write_whole(MODULES, &text));
        if let Err(e) = written {
            let path = directory.path().join(MODULES);
            session.report_once(&sentences::trace_file_not_written(path.display(), e));
        }
        self.loaded.store(loaded, Ordering::Release);
    }
}

/// The loader's count of libraries that it has loaded so far, at least 1.
fn loaded() -> u64 {
    /// # Safety
    /// Called by the loader, with our own pointer as its last argument.
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        loaded: *mut c_void,
    ) -> i32 {
        // SAFETY: the loader passes a valid record, and our own pointer back.
        unsafe { *loaded.cast::<u64>() = (*info).dlpi_adds };
        1
    }
    let mut loaded = 0_u64;
    // SAFETY: the callback matches, and the pointer outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut loaded).cast()) };
    loaded.max(1)
}

/// All modules in memory.
fn present() -> Vec<Module> {
    /// # Safety
    /// Called by the loader, with our own pointer as its last argument.
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        all: *mut c_void,
    ) -> i32 {
        // SAFETY: the loader passes a valid record, and our own pointer back.
        let (info, all) = unsafe { (&*info, &mut *all.cast::<Vec<Module>>()) };
        // SAFETY: as above.
        all.extend(unsafe { module(info) });
        0
    }
    let mut all: Vec<Module> = Vec::new();
    // SAFETY: the callback matches, and the pointer outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut all).cast()) };
    for module in &mut all {
        // The loader has no name for the program.
        module.path = if module.path.is_empty() {
            std::fs::read_link("/proc/self/exe").unwrap_or_default().display().to_string()
        } else if module.path.contains('/') {
            let path = Path::new(&module.path);
            std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
        } else {
            // The kernel's own, which is no file.
            std::mem::take(&mut module.path)
        };
    }
    all
}

/// # Safety
/// A record of the loader's, of an object that is mapped.
unsafe fn module(info: &libc::dl_phdr_info) -> Option<Module> {
    if info.dlpi_phdr.is_null() || info.dlpi_name.is_null() {
        return None;
    }
    // SAFETY: the mapped program headers, as many as the record says, and a C string.
    let (headers, name) = unsafe {
        (
            slice::from_raw_parts(info.dlpi_phdr, usize::from(info.dlpi_phnum)),
            CStr::from_ptr(info.dlpi_name.cast::<c_char>()),
        )
    };
    let base = info.dlpi_addr;
    let range = |header: &libc::Elf64_Phdr| {
        let start = base.wrapping_add(header.p_vaddr);
        [start, start.wrapping_add(header.p_memsz)]
    };
    let loaded = headers.iter().filter(|header| header.p_type == PT_LOAD);
    let start = loaded.clone().map(|header| range(header)[0]).min()?;
    let end = loaded.clone().map(|header| range(header)[1]).max()?;
    let notes = headers.iter().filter(|header| header.p_type == PT_NOTE).map(range);
    // A note that is not loaded cannot be read.
    let notes = notes.filter(|note| {
        loaded.clone().filter(|header| header.p_flags & PF_R != 0).any(|header| {
            let [start, end] = range(header);
            start <= note[0] && note[0] <= note[1] && note[1] <= end
        })
    });
    let mut build_ids = notes.filter_map(|[start, end]| {
        let start = core::ptr::with_exposed_provenance::<u8>(start as usize);
        // SAFETY: a part of a segment that is mapped to be read.
        build_id(unsafe { slice::from_raw_parts(start, (end - start.addr() as u64) as usize) })
    });
    Some(Module {
        path: OsStr::from_bytes(name.to_bytes()).to_string_lossy().into_owned(),
        build_id: build_ids.next().unwrap_or_default(),
        base,
        range: [start, end],
        since: clock::now(),
    })
}

/// The build ID in a segment of notes, in hexadecimal digits.
fn build_id(mut notes: &[u8]) -> Option<String> {
    const NT_GNU_BUILD_ID: u32 = 3;
    const HEADER: usize = 12;
    const OWNER: &[u8] = b"GNU\0";
    while let Some((header, rest)) = notes.split_at_checked(HEADER) {
        let word = |place: usize| {
            u32::from_ne_bytes(header[place..place + 4].try_into().unwrap_or_default())
        };
        let [name, length] = [word(0) as usize, word(4) as usize];
        let (owner, rest) = rest.split_at_checked(name.checked_next_multiple_of(4)?)?;
        let description = rest.get(..length)?;
        if word(8) == NT_GNU_BUILD_ID && owner == OWNER {
            return Some(description.iter().fold(String::new(), |mut digits, byte| {
                // Writing to a string does not fail.
                let _ = write!(digits, "{byte:02x}");
                digits
            }));
        }
        notes = rest.get(length.checked_next_multiple_of(4)?..)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_id_is_found_behind_other_notes() {
        let note = |owner: &[u8], kind: u32, description: &[u8]| {
            let mut note = Vec::new();
            for word in [owner.len() as u32, description.len() as u32, kind] {
                note.extend(word.to_ne_bytes());
            }
            for part in [owner, description] {
                note.extend(part);
                note.resize(note.len().next_multiple_of(4), 0);
            }
            note
        };
        let others = [note(b"Linux\0", 3, &[1; 5]), note(b"GNU\0", 1, &[0; 16])].concat();
        let id = note(b"GNU\0", 3, &[0xab, 0x01, 0xff]);
        assert_eq!(build_id(&[others.clone(), id.clone()].concat()).as_deref(), Some("ab01ff"));
        assert_eq!(build_id(&others), None);
        for cut in 0..id.len() - 1 {
            assert_eq!(build_id(&id[..cut]), None, "{cut}");
        }
    }

    #[test]
    fn each_module_in_memory_has_its_file_and_its_place() {
        let own = build_id as *const () as u64;
        let modules = present();
        let here = modules.iter().find(|m| (m.range[0]..m.range[1]).contains(&own));
        let here = here.expect("this program").path.clone();
        assert_eq!(Path::new(&here), std::env::current_exe().expect("a file"));
        assert!(modules.iter().any(|module| module.path.ends_with("libc.so.6")), "{modules:?}");
        assert!(loaded() >= modules.len() as u64 - 1);
    }
}
