//! A single code object: an ELF file whose header says which processor it is for. Numbers from
//! LLVM's user guide for AMDGPU: machine 224, and in the flags the processor (bits 0-7), XNACK (bits
//! 8-9) and SRAMECC (bits 10-11), where 2 is off, 3 is on and less does not matter.

use super::{Malformed, number};
use crate::targets::Target;

/// How an ELF file begins.
pub(crate) const MAGIC: &[u8] = b"\x7fELF";

const AMDGPU: u64 = 224;

/// Processors by their number in the flags.
const PROCESSORS: &[(u64, &str)] = &[
    (0x2a, "gfx803"),
    (0x2c, "gfx900"),
    (0x2d, "gfx902"),
    (0x2e, "gfx904"),
    (0x2f, "gfx906"),
    (0x30, "gfx908"),
    (0x31, "gfx909"),
    (0x32, "gfx90c"),
    (0x33, "gfx1010"),
    (0x34, "gfx1011"),
    (0x35, "gfx1012"),
    (0x36, "gfx1030"),
    (0x37, "gfx1031"),
    (0x38, "gfx1032"),
    (0x39, "gfx1033"),
    (0x3d, "gfx1035"),
    (0x3e, "gfx1034"),
    (0x3f, "gfx90a"),
    (0x40, "gfx940"),
    (0x41, "gfx1100"),
    (0x42, "gfx1013"),
    (0x43, "gfx1150"),
    (0x44, "gfx1103"),
    (0x45, "gfx1036"),
    (0x46, "gfx1101"),
    (0x47, "gfx1102"),
    (0x48, "gfx1200"),
    (0x4a, "gfx1151"),
    (0x4b, "gfx941"),
    (0x4c, "gfx942"),
    (0x4e, "gfx1201"),
    (0x4f, "gfx950"),
    (0x51, "gfx9-generic"),
    (0x52, "gfx10-1-generic"),
    (0x53, "gfx10-3-generic"),
    (0x54, "gfx11-generic"),
    (0x55, "gfx1152"),
    (0x58, "gfx1153"),
    (0x59, "gfx12-generic"),
    (0x5f, "gfx9-4-generic"),
];

/// Whether a device runs this code object.
pub(crate) fn runs_on(image: &[u8], target: &Target) -> Result<bool, Malformed> {
    let cut = Malformed("a code object's header is cut off");
    let (Some(class), Some(machine), Some(flags)) =
        (number::<2>(image, 4), number::<2>(image, 18), number::<4>(image, 48))
    else {
        return Err(cut);
    };
    // 64 bits, little-endian.
    if class != 0x0102 || machine != AMDGPU {
        return Err(Malformed("an ELF file that is no code object"));
    }
    let Some((_, processor)) = PROCESSORS.iter().find(|&&(number, _)| number == flags & 0xff)
    else {
        return Ok(false);
    };
    let feature = |name: &str, bits: u64| match bits & 3 {
        2 => format!(":{name}-"),
        3 => format!(":{name}+"),
        _ => String::new(),
    };
    let name =
        format!("{processor}{}{}", feature("sramecc", flags >> 10), feature("xnack", flags >> 8));
    Ok(Target::parse_exactly(&name).is_some_and(|code| target.runs(&code)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offload::has_code_for;

    fn code_object(flags: u32) -> Vec<u8> {
        let mut image = vec![0; 64];
        image[..6].copy_from_slice(b"\x7fELF\x02\x01");
        image[18..20].copy_from_slice(&(AMDGPU as u16).to_le_bytes());
        image[48..52].copy_from_slice(&flags.to_le_bytes());
        image
    }

    #[test]
    fn flags_say_whom_it_is_for() {
        let device = Target::parse("gfx906").expect("a target");
        for (flags, runs) in [
            (0x02f, true),
            (0x22f, true),
            (0xe2f, true),
            (0x32f, false),
            (0xa2f, false),
            (0x051, true),
            (0x03f, false),
            (0x0ff, false),
        ] {
            assert_eq!(has_code_for(&code_object(flags), &device), Ok(runs), "{flags:#x}");
        }
    }

    #[test]
    fn other_elf_files_and_cut_ones_are_malformed() {
        let device = Target::parse("gfx906").expect("a target");
        let good = code_object(0x2f);
        for length in 0..52 {
            assert!(has_code_for(&good[..length], &device).is_err(), "{length} bytes");
        }
        let mut x86 = good.clone();
        x86[18] = 62;
        assert!(has_code_for(&x86, &device).is_err());
    }
}
