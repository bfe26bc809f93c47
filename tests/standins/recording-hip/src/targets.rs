//! GPU targets: names such as `gfx906:sramecc+:xnack-`, and what a device of each looks like.

/// A processor and the features that its code may depend on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    processor: String,
    features: Vec<(String, bool)>,
}

impl Target {
    /// Reads `gfx906` or `gfx906:sramecc+:xnack-`. Without features a known processor gets those
    /// with which its driver usually runs it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut target = Self::parse_exactly(text)?;
        if target.features.is_empty() {
            target.features = usual_features(&target.processor)
                .iter()
                .map(|&(name, on)| (name.to_owned(), on))
                .collect();
        }
        Some(target)
    }

    /// Reads a target as a code object names it: a feature that is left out does not matter to it.
    pub(crate) fn parse_exactly(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let processor = parts.next().filter(|p| is_processor(p))?.to_owned();
        let features = parts
            .map(|part| {
                let name = part.strip_suffix(['+', '-'])?;
                (!name.is_empty()).then(|| (name.to_owned(), part.ends_with('+')))
            })
            .collect::<Option<_>>()?;
        Some(Self { processor, features })
    }

    pub(crate) fn processor(&self) -> &str {
        &self.processor
    }

    /// As in `gcnArchName`.
    pub(crate) fn full_name(&self) -> String {
        let mut name = self.processor.clone();
        for (feature, on) in &self.features {
            name.push(':');
            name.push_str(feature);
            name.push(if *on { '+' } else { '-' });
        }
        name
    }

    /// Whether a device of this target runs a code object made for `code`.
    pub(crate) fn runs(&self, code: &Self) -> bool {
        let processor =
            code.processor == self.processor || generic_covers(&code.processor, &self.processor);
        processor && code.features.iter().all(|feature| self.features.contains(feature))
    }

    /// What a device of this target looks like.
    pub(crate) fn model(&self) -> &'static Model {
        MODELS
            .iter()
            .find(|model| model.processor == self.processor)
            .unwrap_or(if self.version().0 < 10 { &OTHER_WIDE } else { &OTHER_NARROW })
    }

    /// Major, minor: `gfx90a` is 9.0, `gfx1100` is 11.0.
    pub(crate) fn version(&self) -> (i32, i32) {
        let digits = &self.processor[3..];
        let split = |at: usize| -> Option<(i32, i32)> {
            let (major, rest) = digits.split_at_checked(at)?;
            Some((major.parse().ok()?, i32::from_str_radix(rest.get(..1)?, 16).ok()?))
        };
        split(digits.len().saturating_sub(2)).unwrap_or((9, 0))
    }
}

fn is_processor(text: &str) -> bool {
    text.strip_prefix("gfx").is_some_and(|rest| {
        rest.len() >= 3
            && rest.starts_with(|c: char| c.is_ascii_digit())
            && rest.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    })
}

fn usual_features(processor: &str) -> &'static [(&'static str, bool)] {
    match processor {
        "gfx906" | "gfx908" | "gfx90a" | "gfx940" | "gfx941" | "gfx942" | "gfx950" => {
            &[("sramecc", true), ("xnack", false)]
        }
        "gfx900" | "gfx902" | "gfx90c" | "gfx1010" | "gfx1011" | "gfx1012" => &[("xnack", false)],
        _ => &[],
    }
}

/// Generic targets and the processors that they cover, from LLVM's user guide for AMDGPU.
const GENERIC: &[(&str, &[&str])] = &[
    ("gfx9-generic", &["gfx900", "gfx902", "gfx904", "gfx906", "gfx909", "gfx90c"]),
    ("gfx9-4-generic", &["gfx942", "gfx950"]),
    ("gfx10-1-generic", &["gfx1010", "gfx1011", "gfx1012", "gfx1013"]),
    (
        "gfx10-3-generic",
        &["gfx1030", "gfx1031", "gfx1032", "gfx1033", "gfx1034", "gfx1035", "gfx1036"],
    ),
    (
        "gfx11-generic",
        &["gfx1100", "gfx1101", "gfx1102", "gfx1103", "gfx1150", "gfx1151", "gfx1152", "gfx1153"],
    ),
    ("gfx12-generic", &["gfx1200", "gfx1201"]),
];

fn generic_covers(generic: &str, processor: &str) -> bool {
    GENERIC.iter().any(|(name, covered)| *name == generic && covered.contains(&processor))
}

/// The figures of a device that programs ask for.
#[derive(Debug)]
pub(crate) struct Model {
    processor: &'static str,
    pub(crate) name: &'static str,
    /// Lanes of a wavefront.
    pub(crate) warp: i32,
    /// Compute units, or work group processors where the driver counts those.
    pub(crate) multiprocessors: i32,
    /// Threads that a multiprocessor holds.
    pub(crate) threads: i32,
    /// GiB of memory.
    pub(crate) memory: u64,
}

const fn model(
    processor: &'static str,
    name: &'static str,
    warp: i32,
    multiprocessors: i32,
    threads: i32,
    memory: u64,
) -> Model {
    Model { processor, name, warp, multiprocessors, threads, memory }
}

const MODELS: &[Model] = &[
    model("gfx900", "Radeon RX Vega", 64, 64, 2560, 8),
    model("gfx906", "AMD Instinct MI50", 64, 60, 2560, 16),
    model("gfx908", "AMD Instinct MI100", 64, 120, 2560, 32),
    model("gfx90a", "AMD Instinct MI210", 64, 104, 2048, 64),
    model("gfx942", "AMD Instinct MI300X", 64, 304, 2048, 192),
    model("gfx1010", "AMD Radeon RX 5700 XT", 32, 20, 2048, 8),
    model("gfx1030", "AMD Radeon RX 6800 XT", 32, 36, 2048, 16),
    model("gfx1100", "AMD Radeon RX 7900 XTX", 32, 48, 2048, 24),
    model("gfx1101", "AMD Radeon RX 7800 XT", 32, 30, 2048, 16),
    model("gfx1102", "AMD Radeon RX 7600", 32, 16, 2048, 8),
    model("gfx1151", "AMD Radeon 8060S", 32, 20, 2048, 64),
    model("gfx1200", "AMD Radeon RX 9060 XT", 32, 16, 2048, 16),
    model("gfx1201", "AMD Radeon RX 9070 XT", 32, 32, 2048, 16),
];
static OTHER_WIDE: Model = model("", "AMD Radeon Graphics", 64, 60, 2560, 16);
static OTHER_NARROW: Model = model("", "AMD Radeon Graphics", 32, 20, 2048, 16);

#[cfg(test)]
mod tests {
    use super::*;

    fn device(text: &str) -> Target {
        Target::parse(text).expect("a target")
    }

    fn code(text: &str) -> Target {
        Target::parse_exactly(text).expect("a target")
    }

    #[test]
    fn names_round_trip() {
        assert_eq!(device("gfx906").full_name(), "gfx906:sramecc+:xnack-");
        assert_eq!(device("gfx906:xnack+").full_name(), "gfx906:xnack+");
        assert_eq!(device("gfx1100").full_name(), "gfx1100");
        assert_eq!(code("gfx906").full_name(), "gfx906");
        for bad in ["", "gfx", "sm_80", "gfx906:", "gfx906:xnack", "gfx906:+", "gfx9 6"] {
            assert_eq!(Target::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn code_runs_where_processor_and_features_agree() {
        let mi50 = device("gfx906");
        for good in ["gfx906", "gfx906:xnack-", "gfx906:sramecc+:xnack-", "gfx9-generic"] {
            assert!(mi50.runs(&code(good)), "{good}");
        }
        for bad in ["gfx908", "gfx90a", "gfx906:xnack+", "gfx906:sramecc-", "gfx11-generic"] {
            assert!(!mi50.runs(&code(bad)), "{bad}");
        }
    }

    #[test]
    fn versions_are_read_from_the_name() {
        assert_eq!(device("gfx906").version(), (9, 0));
        assert_eq!(device("gfx90a").version(), (9, 0));
        assert_eq!(device("gfx942").version(), (9, 4));
        assert_eq!(device("gfx1030").version(), (10, 3));
        assert_eq!(device("gfx1201").version(), (12, 0));
    }

    #[test]
    fn an_unlisted_processor_has_figures_of_its_generation() {
        assert_eq!(device("gfx906").model().multiprocessors, 60);
        assert_eq!(device("gfx904").model().warp, 64);
        assert_eq!(device("gfx1036").model().warp, 32);
    }
}
