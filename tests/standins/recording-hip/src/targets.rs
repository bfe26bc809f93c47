//! GPU targets, and the properties of a device of each target.

use std::ops::Deref;

/// The target of the devices.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target(::offload::Target);

impl Deref for Target {
    type Target = ::offload::Target;

    fn deref(&self) -> &::offload::Target {
        &self.0
    }
}

impl Target {
    /// Parses `gfx906` or `gfx906:sramecc+:xnack-`. Without features, a known processor gets those with which
    /// its driver usually runs it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        ::offload::Target::device(text).map(Self)
    }

    /// As in `gcnArchName`.
    pub(crate) fn full_name(&self) -> String {
        self.to_string()
    }

    /// The properties of a device of this target.
    pub(crate) fn model(&self) -> &'static Model {
        MODELS
            .iter()
            .find(|model| model.processor == self.processor())
            .unwrap_or(if self.version().0 < 10 { &OTHER_WIDE } else { &OTHER_NARROW })
    }

    /// Major, minor: `gfx90a` is 9.0, `gfx1100` is 11.0.
    pub(crate) fn version(&self) -> (i32, i32) {
        let digits = &self.processor()[3..];
        let split = |at: usize| -> Option<(i32, i32)> {
            let (major, rest) = digits.split_at_checked(at)?;
            Some((major.parse().ok()?, i32::from_str_radix(rest.get(..1)?, 16).ok()?))
        };
        split(digits.len().saturating_sub(2)).unwrap_or((9, 0))
    }
}

/// The properties of a device that programs query.
#[derive(Debug)]
pub(crate) struct Model {
    processor: &'static str,
    pub(crate) name: &'static str,
    /// Lanes per wavefront.
    pub(crate) warp: i32,
    /// Compute units, or work group processors if the driver counts those.
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

    #[test]
    fn a_device_is_named_with_its_features() {
        assert_eq!(device("gfx906").full_name(), "gfx906:sramecc+:xnack-");
        assert_eq!(device("gfx1100").full_name(), "gfx1100");
        assert_eq!(Target::parse("sm_80"), None);
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
