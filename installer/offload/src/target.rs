//! GPU targets, in LLVM's notation: `gfx906`, `gfx906:sramecc+:xnack-`, `gfx9-generic`.

use std::fmt;

/// A processor, and the features that code for it requires or that are enabled on a device.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Target {
    processor: String,
    features: Vec<(String, bool)>,
}

impl Target {
    /// Parses the target of a code object: if a feature is omitted, the code does not depend on it. `None` if
    /// it is not an AMD target.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split(':');
        let processor = parts.next().filter(|p| is_processor(p))?.to_owned();
        let features = parts
            .map(|part| {
                let name = part.strip_suffix(['+', '-'])?;
                let plain = !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric());
                plain.then(|| (name.to_owned(), part.ends_with('+')))
            })
            .collect::<Option<_>>()?;
        Some(Self { processor, features })
    }

    /// Parses the target of a device: if features are omitted, a known processor gets those that its driver
    /// usually enables. `None` if it is not an AMD target.
    #[must_use]
    pub fn device(text: &str) -> Option<Self> {
        let mut target = Self::parse(text)?;
        if target.features.is_empty() {
            target.features = usual_features(&target.processor)
                .iter()
                .map(|&(name, on)| (name.to_owned(), on))
                .collect();
        }
        Some(target)
    }

    /// The name without features: `gfx906`.
    #[must_use]
    pub fn processor(&self) -> &str {
        &self.processor
    }

    /// Whether a code object for `code` runs on some device of this name. A feature that the name omits may
    /// be on or off.
    #[must_use]
    pub fn may_run(&self, code: &Self) -> bool {
        let is_on = |name: &str| self.features.iter().find(|own| own.0 == name).map(|own| own.1);
        self.has_processor_of(code)
            && code.features.iter().all(|(name, on)| is_on(name).is_none_or(|own| own == *on))
    }

    /// Whether a device with this target, created by [`Target::device`], runs a code object for `code`.
    #[must_use]
    pub fn runs(&self, code: &Self) -> bool {
        self.has_processor_of(code)
            && code.features.iter().all(|feature| self.features.contains(feature))
    }

    fn has_processor_of(&self, code: &Self) -> bool {
        code.processor == self.processor || generic_covers(&code.processor, &self.processor)
    }
}

/// In the form of `gcnArchName`, which [`Target::parse`] accepts.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.processor)?;
        for (feature, on) in &self.features {
            write!(f, ":{feature}{}", if *on { '+' } else { '-' })?;
        }
        Ok(())
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
    ("gfx12-5-generic", &["gfx1250", "gfx1251"]),
];

fn generic_covers(generic: &str, processor: &str) -> bool {
    GENERIC.iter().any(|(name, covered)| *name == generic && covered.contains(&processor))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn device(text: &str) -> Target {
        Target::device(text).expect("a target")
    }

    fn code(text: &str) -> Target {
        Target::parse(text).expect("a target")
    }

    #[test]
    fn devices_get_their_usual_features_and_code_gets_none() {
        assert_eq!(device("gfx906").to_string(), "gfx906:sramecc+:xnack-");
        assert_eq!(device("gfx906:xnack+").to_string(), "gfx906:xnack+");
        assert_eq!(device("gfx1100").to_string(), "gfx1100");
        assert_eq!(code("gfx906").to_string(), "gfx906");
        assert_eq!(code("gfx9-4-generic:xnack-").processor(), "gfx9-4-generic");
    }

    #[test]
    fn what_is_no_target_is_none() {
        for bad in ["", "gfx", "sm_80", "gfx906:", "gfx906:xnack", "gfx906:+", "gfx9 6", "gfxabc"] {
            assert_eq!(Target::parse(bad), None, "{bad}");
            assert_eq!(Target::device(bad), None, "{bad}");
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
    fn code_may_run_where_no_named_feature_is_against_it() {
        for (named, made_for, expected) in [
            ("gfx906", "gfx906", true),
            ("gfx906", "gfx906:sramecc-:xnack+", true),
            ("gfx906", "gfx9-generic:xnack-", true),
            ("gfx90a:xnack-", "gfx90a", true),
            ("gfx90a:xnack-", "gfx90a:sramecc+:xnack-", true),
            ("gfx90a:xnack-", "gfx90a:xnack+", false),
            ("gfx906", "gfx908", false),
        ] {
            assert_eq!(code(named).may_run(&code(made_for)), expected, "{named}: {made_for}");
        }
    }

    proptest! {
        #[test]
        fn names_round_trip(
            text in "gfx[0-9][0-9a-f]{2,3}(-generic)?(:(sramecc|xnack)[+-]){0,2}"
        ) {
            prop_assert_eq!(code(&text).to_string(), text);
        }

        #[test]
        fn any_text_is_a_target_that_round_trips_or_none(text in "(gfx)?[0-9a-f:+ -]{0,12}") {
            if let Some(target) = Target::parse(&text) {
                prop_assert_eq!(target.to_string(), text);
            }
        }
    }
}
