//! The sub-directories `glibc-hwcaps/LEVEL` that the loader prefers, according to the processor.

/// The levels that this machine's processor has, best first (x86-64 psABI, "Micro-Architecture
/// Levels").
pub(super) fn levels() -> Vec<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let known = [
        ("x86-64-v2", v2 as fn() -> bool),
        ("x86-64-v3", v3 as fn() -> bool),
        ("x86-64-v4", v4 as fn() -> bool),
    ];
    #[cfg(not(target_arch = "x86_64"))]
    let known: [(&str, fn() -> bool); 0] = [];
    let mut levels: Vec<&str> =
        known.into_iter().take_while(|(_, has)| has()).map(|(name, _)| name).collect();
    levels.reverse();
    levels
}

/// LAHF in 64-bit mode belongs to it too; all processors with the others have it.
#[cfg(target_arch = "x86_64")]
fn v2() -> bool {
    is_x86_feature_detected!("cmpxchg16b")
        && is_x86_feature_detected!("popcnt")
        && is_x86_feature_detected!("sse3")
        && is_x86_feature_detected!("ssse3")
        && is_x86_feature_detected!("sse4.1")
        && is_x86_feature_detected!("sse4.2")
}

#[cfg(target_arch = "x86_64")]
fn v3() -> bool {
    is_x86_feature_detected!("avx2")
        && is_x86_feature_detected!("bmi1")
        && is_x86_feature_detected!("bmi2")
        && is_x86_feature_detected!("f16c")
        && is_x86_feature_detected!("fma")
        && is_x86_feature_detected!("lzcnt")
        && is_x86_feature_detected!("movbe")
}

#[cfg(target_arch = "x86_64")]
fn v4() -> bool {
    is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512cd")
        && is_x86_feature_detected!("avx512dq")
        && is_x86_feature_detected!("avx512vl")
}
