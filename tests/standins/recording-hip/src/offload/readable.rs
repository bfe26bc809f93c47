//! Determines how much memory can be read from an address: code is passed as a bare pointer, and the lengths
//! in its headers are not trusted.

use std::{ffi::c_void, fs, slice};

/// The readable memory from an address on, up to the first unreadable page.
///
/// # Safety
/// The memory that the caller reads is neither unmapped nor written until the slice's last use.
pub(crate) unsafe fn from<'a>(address: *const c_void) -> &'a [u8] {
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    match readable(&maps, address.addr()) {
        0 => &[],
        // SAFETY: the pages are mapped and readable, and the caller guarantees that they do not change.
        length => unsafe { slice::from_raw_parts(address.cast(), length) },
    }
}

/// The same as a number of bytes, from the kernel's list of mappings.
fn readable(maps: &str, address: usize) -> usize {
    let mut end = address;
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let range = fields.next().and_then(|range| range.split_once('-'));
        let Some((Ok(first), Ok(last))) =
            range.map(|(a, b)| (usize::from_str_radix(a, 16), usize::from_str_radix(b, 16)))
        else {
            continue;
        };
        let permitted = fields.next().is_some_and(|flags| flags.starts_with('r'));
        if permitted && first <= end && end < last {
            end = last;
        }
    }
    end - address
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
1000-3000 r--p 00000000 00:00 0 /lib/a
3000-4000 r-xp 00000000 00:00 0 /lib/a
4000-5000 ---p 00000000 00:00 0
5000-6000 rw-p 00000000 00:00 0 [heap]
";

    #[test]
    fn mappings_that_touch_count_as_one() {
        assert_eq!(readable(MAPS, 0x1800), 0x2800);
        assert_eq!(readable(MAPS, 0x5fff), 1);
        assert_eq!(readable(MAPS, 0x6000), 0);
        assert_eq!(readable(MAPS, 0x4000), 0);
        assert_eq!(readable("nonsense\n\n-\n", 0x1000), 0);
    }

    #[test]
    fn this_process_can_read_its_own_constants() {
        static TEXT: [u8; 8] = *b"constant";
        // SAFETY: the constant remains valid.
        let found = unsafe { from((&raw const TEXT).cast()) };
        assert!(found.starts_with(&TEXT));
        // SAFETY: nothing is mapped there, so nothing is read.
        assert_eq!(unsafe { from(std::ptr::null()) }.len(), 0);
    }
}
