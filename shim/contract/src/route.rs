//! The rules that choose the backend for a GPU's handles, in `[route]` of `shim.toml` and in
//! `ROCBLAS_SHIM_ROUTE`. The shim applies them; the installer writes them and predicts their effect.

use std::fmt::Display;

/// The GPUs that a rule applies to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gpus {
    /// The GPU at this PCI address, in HIP's notation: `0000:03:00.0`.
    Pci(String),
    /// The GPU with this HIP device number, which depends on `HIP_VISIBLE_DEVICES`.
    Device(u32),
    /// All GPUs of this target: `gfx906`.
    Target(String),
    /// All GPUs that no other rule applies to.
    Default,
}

/// The word for [`Gpus::Default`].
pub const DEFAULT: &str = "default";

/// In place of a backend's name: the newest backend in the store that serves the GPU; see [`crate::serves`].
pub const AUTO: &str = "auto";

impl Gpus {
    /// Parses a key; `None` if it is neither an address, a number, a target nor `default`.
    #[must_use]
    pub fn parse(key: &str) -> Option<Self> {
        let is_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_hexdigit());
        if key == DEFAULT {
            return Some(Self::Default);
        }
        if let Some(rest) = key.strip_prefix("gfx") {
            let is_target =
                !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_alphanumeric());
            return is_target.then(|| Self::Target(key.to_owned()));
        }
        if let Some((bus, function)) = key.rsplit_once('.') {
            let parts: Vec<&str> = bus.split(':').collect();
            let lengths: Vec<usize> = parts.iter().map(|part| part.len()).collect();
            let is_address = lengths == [4, 2, 2] && function.len() == 1;
            let is_address = is_address && is_hex(function) && parts.into_iter().all(is_hex);
            return is_address.then(|| Self::Pci(key.to_ascii_lowercase()));
        }
        key.parse().ok().map(Self::Device)
    }

    /// The precedence of a rule for these GPUs.
    fn rank(&self) -> u8 {
        match self {
            Self::Pci(_) => 0,
            Self::Device(_) => 1,
            Self::Target(_) => 2,
            Self::Default => 3,
        }
    }

    /// Whether this GPU is among them.
    #[must_use]
    pub fn contain(&self, gpu: &Gpu<'_>) -> bool {
        match self {
            Self::Pci(address) => gpu.pci.is_some_and(|pci| pci.eq_ignore_ascii_case(address)),
            Self::Device(number) => gpu.device == Some(*number),
            Self::Target(target) => gpu.target == target,
            Self::Default => true,
        }
    }
}

/// The properties of a GPU that rules refer to.
#[derive(Clone, Copy, Debug)]
pub struct Gpu<'a> {
    /// The target without features; empty if it is not known.
    pub target: &'a str,
    /// Its HIP device number.
    pub device: Option<u32>,
    /// Its PCI address.
    pub pci: Option<&'a str>,
}

/// The rule that applies to a GPU: the most specific one, and the last one of several equally specific ones.
pub fn rule_for<'a, Rule>(
    rules: &'a [Rule],
    gpus: impl Fn(&Rule) -> &Gpus,
    gpu: &Gpu<'_>,
) -> Option<&'a Rule> {
    let fitting = rules.iter().rev().filter(|rule| gpus(rule).contain(gpu));
    fitting.min_by_key(|rule| gpus(rule).rank())
}

/// Parses a list of rules: `gfx906=6.3.0,default=7.0.2`. An empty list and `off` have no rules. [`AUTO`] by
/// itself applies to all GPUs.
///
/// # Errors
/// The part that is not a rule.
pub fn parse_list(list: &str) -> Result<Vec<(Gpus, &str)>, String> {
    let parts = list.split(',').map(str::trim).filter(|part| !part.is_empty() && list != "off");
    parts
        .map(|part| {
            if part == AUTO {
                return Ok((Gpus::Default, AUTO));
            }
            let rule = part.split_once('=').filter(|(_, backend)| !backend.is_empty());
            let rule = rule.and_then(|(key, backend)| Some((Gpus::parse(key)?, backend)));
            rule.ok_or_else(|| no_rule(part))
        })
        .collect()
}

/// The message if [`AUTO`] finds no backend for a GPU.
#[must_use]
pub fn none_serves(stores: impl Display) -> String {
    format!(
        "no backend in {stores} is known to serve it: `installer backends list` says what each serves, and \
         `installer backends add` adds one"
    )
}

/// The message for a part that is not a rule.
#[must_use]
pub fn no_rule(part: &str) -> String {
    format!(
        "`{part}` is no rule for a GPU, such as gfx906=6.3.0, 0=6.3.0 (HIP's number), 0000:03:00.0=6.3.0 \
         (PCI address), default=7.0.2 or auto (for each the newest backend that serves it)"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_targets_numbers_addresses_and_the_rest() {
        assert_eq!(Gpus::parse("gfx90a"), Some(Gpus::Target("gfx90a".to_owned())));
        assert_eq!(Gpus::parse("1"), Some(Gpus::Device(1)));
        assert_eq!(Gpus::parse("0000:0C:00.0"), Some(Gpus::Pci("0000:0c:00.0".to_owned())));
        assert_eq!(Gpus::parse("default"), Some(Gpus::Default));
        for wrong in
            ["", "gfx", "gfx906:xnack-", "-1", "03:00.0", "0000:03:00", "0000:0g:00.0", "mi50"]
        {
            assert_eq!(Gpus::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_most_specific_rule_applies_and_of_several_the_last() {
        let list = "default=a,gfx906=b,1=c,0000:03:00.0=d,gfx906=e";
        let rules = parse_list(list).expect("rules");
        let chosen = |target, device, pci| {
            let gpu = Gpu { target, device, pci };
            rule_for(&rules, |rule| &rule.0, &gpu).map(|rule| rule.1)
        };
        assert_eq!(chosen("gfx1100", Some(0), None), Some("a"));
        assert_eq!(chosen("gfx906", Some(0), None), Some("e"));
        assert_eq!(chosen("gfx906", Some(1), Some("0000:04:00.0")), Some("c"));
        assert_eq!(chosen("gfx906", Some(1), Some("0000:03:00.0")), Some("d"));
        assert_eq!(parse_list("gfx906=x").expect("one").len(), 1);
        assert_eq!(parse_list("").map(|rules| rules.len()), Ok(0));
        assert_eq!(parse_list("gfx906=x, auto"), parse_list("gfx906=x,default=auto"));
        assert_eq!(parse_list("off").map(|rules| rules.len()), Ok(0));
        for wrong in ["gfx906", "gfx906=", "=x", "x=y", "gfx906=a,oops"] {
            assert!(parse_list(wrong).is_err(), "{wrong}");
        }
    }
}
