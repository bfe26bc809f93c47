//! Names and indices of the exports: those of C functions from the ABI table, the mangled ones of C++ functions from
//! the shim's own dynamic symbol table, where the linker has put them. A second copy of them would be 110 KB, a
//! fourteenth of the library.

use crate::{arch::index_of_stub, own::base};
use core::ffi::{CStr, c_char};
use goblin::elf64::{
    dynamic::{DT_GNU_HASH, DT_NULL, DT_STRTAB, DT_SYMTAB, dyn64::Dyn},
    sym::Sym,
};
use once_cell::race::OnceBox;
use rocblas_abi::{C_EXPORTS, EXPORTS, c_index, c_name, find};

const CXX_EXPORTS: usize = EXPORTS - C_EXPORTS;

unsafe extern "C" {
    /// The shim's dynamic section and ELF header: symbols that the linker defines locally in each library.
    static _DYNAMIC: Dyn;
    static __ehdr_start: u8;
}

/// The name of the export with that index.
pub(crate) fn name(index: usize) -> &'static CStr {
    index.checked_sub(C_EXPORTS).map_or_else(|| c_name(index), |at| cxx_names()[at])
}

/// The index of the export with that name.
pub(crate) fn index(wanted: &CStr) -> Option<usize> {
    c_index(wanted).or_else(|| find(C_EXPORTS..EXPORTS, name, wanted))
}

fn cxx_names() -> &'static [&'static CStr; CXX_EXPORTS] {
    static NAMES: OnceBox<[&CStr; CXX_EXPORTS]> = OnceBox::new();
    NAMES.get_or_init(|| {
        let mut names = Box::new([c""; CXX_EXPORTS]);
        for (symbol, name) in symbols() {
            let stub = base().wrapping_add(symbol.st_value as usize);
            if !symbol.is_function() {
                continue;
            }
            // SAFETY: a function that the shim exports; none is shorter than a stub, and code is readable.
            let index = unsafe { index_of_stub(stub) };
            if let Some(at) = index.and_then(|index| index.checked_sub(C_EXPORTS)) {
                names[at] = name;
            }
        }
        names
    })
}

/// What the shim exports. Its other symbols come first in the table and are not in the hash table.
#[allow(clippy::cast_ptr_alignment, reason = "the linker aligns its tables for their elements")]
fn symbols() -> impl Iterator<Item = (Sym, &'static CStr)> {
    let [hash, symbols, strings] = [DT_GNU_HASH, DT_SYMTAB, DT_STRTAB].map(address);
    // SAFETY: the loader has mapped the table that it finds symbols by, whose layout this is: the numbers of buckets,
    // of the first symbol and of words in the filter; the filter; a bucket's first symbol; a word for each symbol, odd
    // if it is the last one of its bucket. Source: Drepper, "How To Write Shared Libraries", 1.5.4, and binutils.
    let (first, count) = unsafe {
        let head = hash.cast::<u32>();
        let [buckets, first, filter] = [0, 1, 2].map(|i| head.add(i).read() as usize);
        let bucket = head.add(4 + 2 * filter);
        let mut last = (0..buckets).map(|i| bucket.add(i).read() as usize).max().unwrap_or(0);
        let chain = bucket.add(buckets);
        while last >= first && chain.add(last - first).read() & 1 == 0 {
            last += 1;
        }
        (first, (last + 1).saturating_sub(first))
    };
    (first..first + count).map(move |at| {
        // SAFETY: as many symbols as the hash table has, each with an offset into the strings, which end with NUL.
        unsafe {
            let symbol = symbols.cast::<Sym>().add(at).read();
            let name = strings.cast::<c_char>().add(symbol.st_name as usize);
            (symbol, CStr::from_ptr(name))
        }
    })
}

/// A table of the dynamic section; the linker puts each of these into every library.
fn address(tag: u64) -> *const u8 {
    let mut entry = &raw const _DYNAMIC;
    loop {
        // SAFETY: the section ends with DT_NULL, where this loop ends.
        let current = unsafe { entry.read() };
        assert_ne!(current.d_tag, DT_NULL, "the shim has no dynamic entry {tag:#x}");
        if current.d_tag == tag {
            let value = current.d_val as usize;
            // glibc replaces addresses there by run-time addresses, unless the section is read-only.
            return if value < base().addr() {
                base().wrapping_add(value)
            } else {
                base().with_addr(value)
            };
        }
        // SAFETY: not at DT_NULL yet.
        entry = unsafe { entry.add(1) };
    }
}
