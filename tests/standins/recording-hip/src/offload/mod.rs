//! What a program hands over as GPU code: a bundle of code objects, plain or compressed, or a single
//! code object. The one question asked is whether any of it is for a target.

mod bundle;
mod compressed;
mod elf;
pub(crate) mod readable;

use crate::targets::Target;

/// Why something is no GPU code.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Malformed(pub(crate) &'static str);

/// Whether an image holds code for a target. `image` may be longer than the code is.
pub(crate) fn has_code_for(image: &[u8], target: &Target) -> Result<bool, Malformed> {
    if image.starts_with(bundle::MAGIC) {
        let entries = bundle::entries(image, image.len() as u64)?;
        return Ok(bundle::any_runs_on(&entries, target));
    }
    if image.starts_with(compressed::MAGIC) {
        let (beginning, whole) = compressed::beginning(image)?;
        let entries = bundle::entries(&beginning, whole)?;
        return Ok(bundle::any_runs_on(&entries, target));
    }
    if image.starts_with(elf::MAGIC) {
        return elf::runs_on(image, target);
    }
    Err(Malformed("neither a bundle nor a code object"))
}

/// Reads a little-endian number.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Option<u64> {
    let field = bytes.get(at..at.checked_add(N)?)?;
    let mut wide = [0; 8];
    wide[..N].copy_from_slice(field);
    Some(u64::from_le_bytes(wide))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_code_is_malformed() {
        let target = Target::parse("gfx906").expect("a target");
        for image in [&b""[..], b"CCO", b"\x7fEL", b"hello", &[0; 64]] {
            assert!(has_code_for(image, &target).is_err(), "{image:?}");
        }
    }

    #[test]
    fn numbers_are_little_endian_and_never_read_beyond() {
        assert_eq!(number::<2>(&[1, 2, 3], 1), Some(0x0302));
        assert_eq!(number::<2>(&[1, 2, 3], 2), None);
        assert_eq!(number::<8>(&[0; 9], usize::MAX), None);
    }
}
