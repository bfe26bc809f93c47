//! The environment variables of the stand-in, read once. An invalid value ends the process, because a test
//! must not run with a configuration other than the requested one.

use crate::{devices, errors::HipError, targets::Target};
use std::{path::PathBuf, sync::OnceLock};

/// The settings in the environment.
pub(crate) struct Settings {
    /// `RECORDING_HIP_DEVICES`: the number of devices; default 1.
    pub(crate) devices: i32,
    /// `RECORDING_HIP_TARGET`: their target, as `gfx90a` or `gfx90a:sramecc+:xnack-`, or a list in the order of the
    /// devices, whose last entry applies to all further devices. Not empty.
    targets: Vec<Target>,
    /// `RECORDING_HIP_CHECK_TARGETS=1`: kernels without a code object for the target do not run.
    pub(crate) check_targets: bool,
    /// `RECORDING_HIP_LACKING=librocblas.so.5,...`: libraries, by a part of their path, whose kernels all
    /// lack code for the target, whatever their bundles contain.
    pub(crate) lacking: Vec<String>,
    /// `RECORDING_HIP_LOG`: the file to which launches, copies and errors are logged.
    pub(crate) log: Option<PathBuf>,
    /// `RECORDING_HIP_CAPTURING=1`: every stream reports that it is being captured.
    pub(crate) capturing: bool,
    /// `RECORDING_HIP_FAIL=FUNCTION=CODE,...`: functions that fail with a code.
    failures: Vec<(String, HipError)>,
}

/// The settings of this process.
pub(crate) fn settings() -> &'static Settings {
    static SETTINGS: OnceLock<Settings> = OnceLock::new();
    SETTINGS.get_or_init(|| {
        let variable = |name: &str| {
            std::env::var_os(name)
                .filter(|value| !value.is_empty())
                .map(|value| value.into_string().unwrap_or_else(|v| panic!("{name}={v:?}")))
        };
        Settings::read(variable).unwrap_or_else(|problem| panic!("{problem}"))
    })
}

impl Settings {
    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Self, String> {
        let devices = match variable("RECORDING_HIP_DEVICES") {
            None => 1,
            Some(text) => text
                .parse()
                .ok()
                .filter(|count| (0..=64).contains(count))
                .ok_or(format!("RECORDING_HIP_DEVICES={text}: not a number from 0 to 64"))?,
        };
        let target = variable("RECORDING_HIP_TARGET").unwrap_or("gfx906".to_owned());
        let targets: Option<Vec<Target>> = target.split(',').map(Target::parse).collect();
        let targets = targets.ok_or(format!("RECORDING_HIP_TARGET={target}: no target"))?;
        let switch = |name: &str| match variable(name).as_deref() {
            None | Some("0") => Ok(false),
            Some("1") => Ok(true),
            Some(other) => Err(format!("{name}={other}: neither 0 nor 1")),
        };
        let check_targets = switch("RECORDING_HIP_CHECK_TARGETS")?;
        let capturing = switch("RECORDING_HIP_CAPTURING")?;
        let failures = variable("RECORDING_HIP_FAIL")
            .iter()
            .flat_map(|list| list.split(','))
            .map(|entry| {
                let failure = entry.split_once('=').and_then(|(function, code)| {
                    Some((function.to_owned(), HipError::from_code(code.parse().ok()?)?))
                });
                failure.ok_or(format!("RECORDING_HIP_FAIL: {entry}: not FUNCTION=CODE"))
            })
            .collect::<Result<_, _>>()?;
        let lacking = variable("RECORDING_HIP_LACKING")
            .iter()
            .flat_map(|list| list.split(','))
            .map(str::to_owned)
            .collect();
        let log = variable("RECORDING_HIP_LOG").map(PathBuf::from);
        Ok(Self { devices, targets, check_targets, lacking, log, capturing, failures })
    }

    /// The target of a device.
    pub(crate) fn target_of(&self, device: i32) -> &Target {
        let last = self.targets.len() - 1;
        &self.targets[usize::try_from(device).unwrap_or(0).min(last)]
    }

    /// The target of the calling thread's device.
    pub(crate) fn target(&self) -> &Target {
        self.target_of(devices::current())
    }

    /// Whether the library at a path is treated as having no code.
    pub(crate) fn lacks_code(&self, library: &str) -> bool {
        self.lacking.iter().any(|part| !part.is_empty() && library.contains(part.as_str()))
    }

    /// The error with which a function must fail.
    pub(crate) fn failure_of(&self, function: &str) -> Option<HipError> {
        self.failures.iter().find(|(name, _)| name == function).map(|&(_, error)| error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Settings, String> {
        Settings::read(|name| {
            variables.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn an_empty_environment_is_one_gfx906_that_runs_everything() {
        let settings = read(&[]).expect("defaults are fine");
        assert_eq!(settings.devices, 1);
        assert_eq!(settings.target().full_name(), "gfx906:sramecc+:xnack-");
        assert!(!settings.check_targets && settings.log.is_none());
        assert_eq!(settings.failure_of("hipMalloc"), None);
    }

    #[test]
    fn failures_are_listed_by_function() {
        let settings =
            read(&[("RECORDING_HIP_FAIL", "hipMemcpy=17,hipMalloc=2")]).expect("well-formed");
        assert_eq!(settings.failure_of("hipMalloc"), Some(HipError::OUT_OF_MEMORY));
        assert_eq!(settings.failure_of("hipMemcpyAsync"), None);
    }

    #[test]
    fn libraries_lack_code_by_a_part_of_their_path() {
        let settings = read(&[("RECORDING_HIP_LACKING", "librocblas.so.5,,x/y")]).expect("a list");
        assert!(settings.lacks_code("/lib/librocblas.so.5.2"));
        assert!(!settings.lacks_code("/lib/librocblas.so.4.4"));
        assert!(!read(&[]).expect("defaults are fine").lacks_code("/lib/librocblas.so.5.2"));
    }

    #[test]
    fn nonsense_is_an_error() {
        for (name, value) in [
            ("RECORDING_HIP_DEVICES", "many"),
            ("RECORDING_HIP_DEVICES", "-1"),
            ("RECORDING_HIP_TARGET", "volta"),
            ("RECORDING_HIP_CHECK_TARGETS", "yes"),
            ("RECORDING_HIP_FAIL", "hipMalloc"),
            ("RECORDING_HIP_FAIL", "hipMalloc=0"),
        ] {
            assert!(read(&[(name, value)]).is_err(), "{name}={value}");
        }
    }
}
