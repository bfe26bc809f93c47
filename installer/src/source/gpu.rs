//! The GPU in a file name. Tensile and clang name kernels by processor and put it anywhere in a name:
//! `TensileLibrary_lazy_gfx906.dat`, `Kernels.so-000-gfx90a-xnack+.hsaco`.

/// The processor in a file name, in the name of a sub-directory, or in a target as people and tools write it
/// (`gfx90a:sramecc+:xnack-`): `gfx90a`. A suffix (`-xnack+`) is the mode in which a kernel runs, not the
/// GPU.
///
/// Generic targets (`gfx9-4-generic`), which run on GPUs of several names, are returned in full.
#[must_use]
pub fn gpu_of(file_name: &str) -> Option<&str> {
    file_name.match_indices("gfx").find_map(|(start, _)| target_at(file_name, start))
}

/// Whether several GPUs run code for a target.
pub(super) fn is_generic(target: &str) -> bool {
    target.ends_with(GENERIC)
}

const GENERIC: &str = "-generic";

fn target_at(name: &str, start: usize) -> Option<&str> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    if name[..start].chars().next_back().is_some_and(is_word) {
        return None;
    }
    let rest = &name[start + "gfx".len()..];
    let length = generic(rest).or_else(|| processor(rest))?;
    let whole = !rest[length..].starts_with(is_word);
    whole.then(|| &name[start..start + "gfx".len() + length])
}

/// The length of `906`, `90a`, `1201`: two for the minor version and the stepping, at least one for
/// the version.
fn processor(rest: &str) -> Option<usize> {
    let is_digit = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    let length = rest.find(|c| !is_digit(c)).unwrap_or(rest.len());
    (3..=4).contains(&length).then_some(length)
}

/// The length of `9-generic`, `9-4-generic`, `10-3-generic`.
fn generic(rest: &str) -> Option<usize> {
    let (version, _) = rest.split_once(GENERIC)?;
    let is_number = |part: &str| {
        (1..=2).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    let is_version = version.split('-').count() <= 2 && version.split('-').all(is_number);
    is_version.then_some(version.len() + GENERIC.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_real_packages() {
        for (name, gpu) in [
            ("TensileLibrary_lazy_gfx906.dat", "gfx906"),
            ("TensileLibrary_Type_HH_Contraction_l_Ailk_Bjlk_Cijk_Dijk_CU104_gfx90a.co", "gfx90a"),
            ("TensileLibrary_Type_SS_Contraction_l_Alik_Bjlk_fallback_gfx1100.hsaco", "gfx1100"),
            ("Kernels.so-000-gfx906.hsaco", "gfx906"),
            ("Kernels.so-000-gfx90a-xnack+.hsaco", "gfx90a"),
            ("gfx942", "gfx942"),
            ("gfx906:sramecc+:xnack-", "gfx906"),
            ("gfx9-generic_and_gfx803.co", "gfx9-generic"),
            ("Kernels.so-000-gfx9-4-generic.hsaco", "gfx9-4-generic"),
            ("gfx10-3-generic", "gfx10-3-generic"),
            ("mygfx906_gfx803.co", "gfx803"),
        ] {
            assert_eq!(gpu_of(name), Some(gpu), "{name}");
        }
    }

    #[test]
    fn names_of_no_gpu() {
        for name in [
            "TensileManifest.txt",
            "TensileLibrary_Type_HH_Contraction_l_Ailk_Bjlk_Cijk_Dijk_fallback.dat",
            "gfx",
            "gfx90",
            "gfx-generic",
            "gfx9-4-5-generic",
            "gfx9-generics",
            "gfx906x",
            "mygfx906",
            "gfx906000",
            "gfxé906",
            "",
        ] {
            assert_eq!(gpu_of(name), None, "{name}");
        }
    }
}
