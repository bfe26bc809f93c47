//! The variables that plant a fault, and how to select one of several libraries.

use std::{
    env, fs, process,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{Fault, Planted, mixed};

/// What the environment requests of this library.
///
/// # Panics
/// If a value is unknown: a test that plants nothing must not pass.
pub(super) fn planted() -> Planted {
    if env::var("REFERENCE_BACKEND_ONLY").is_ok_and(|name| !is_in(&own_path(), &name)) {
        return Planted::default();
    }
    let [fault, sum] =
        ["REFERENCE_BACKEND_FAULT", "REFERENCE_BACKEND_SUM"].map(|name| env::var(name).ok());
    parsed(fault.as_deref(), sum.as_deref()).unwrap_or_else(|e| panic!("{e}"))
}

/// Whether a component of the path has that name.
fn is_in(path: &str, name: &str) -> bool {
    path.split('/').any(|part| part == name)
}

/// The file that this crate's code was loaded from; empty if it cannot be determined.
fn own_path() -> String {
    let address = own_path as *const () as usize;
    let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let line = maps.lines().find(|line| {
        let range = line.split(' ').next().and_then(|range| range.split_once('-'));
        let hex = |text: &str| usize::from_str_radix(text, 16).unwrap_or(0);
        range.is_some_and(|(start, end)| (hex(start)..hex(end)).contains(&address))
    });
    let path = line.and_then(|line| line.find('/').map(|at| line[at..].to_owned()));
    path.unwrap_or_default()
}

/// Parses the values of the two variables.
pub(super) fn parsed(fault: Option<&str>, sum: Option<&str>) -> Result<Planted, String> {
    let fault = match fault {
        Some(text) => {
            Some(of(text).ok_or_else(|| format!("REFERENCE_BACKEND_FAULT={text}: no such fault"))?)
        }
        None => None,
    };
    let is_reversed = match sum {
        None => false,
        Some("reversed") => true,
        Some(other) => return Err(format!("REFERENCE_BACKEND_SUM={other}: no such order")),
    };
    Ok(Planted { fault, is_reversed, ..Planted::default() })
}

fn of(text: &str) -> Option<Fault> {
    let (name, value) = match text.split_once('@') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let positive = |value: &str| value.parse::<u64>().ok().filter(|number| *number > 0);
    Some(match (name, value) {
        ("nan", Some(sizes)) if sizes.contains('x') => Fault::NanForSizes(
            sizes.split('x').map(|size| size.parse().ok()).collect::<Option<_>>()?,
        ),
        ("nan", Some(number)) => Fault::NanInCall(positive(number)?),
        ("triangle", from) => Fault::Triangle { from: from.map_or(Some(1), positive)? },
        ("stale-beta", None) => Fault::StaleBeta,
        ("large-n", Some(limit)) => Fault::LargeN(i64::try_from(positive(limit)?).ok()?),
        ("race", Some(value)) => match value.split_once(':') {
            Some((one_in, seed)) => {
                Fault::Race { one_in: positive(one_in)?, seed: seed.parse().ok()? }
            }
            None => Fault::Race { one_in: positive(value)?, seed: of_this_process() },
        },
        _ => return None,
    })
}

/// A number that differs from those of other processes.
fn of_this_process() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    mixed(since.subsec_nanos().into()) ^ u64::from(process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_known_by_its_name() {
        for (text, fault) in [
            ("nan@7041", Fault::NanInCall(7041)),
            ("nan@3x0x-2", Fault::NanForSizes(vec![3, 0, -2])),
            ("triangle", Fault::Triangle { from: 1 }),
            ("triangle@5", Fault::Triangle { from: 5 }),
            ("stale-beta", Fault::StaleBeta),
            ("large-n@64", Fault::LargeN(64)),
            ("race@200:7", Fault::Race { one_in: 200, seed: 7 }),
        ] {
            assert_eq!(parsed(Some(text), None).expect(text).fault, Some(fault), "{text}");
        }
        assert!(parsed(None, None).expect("nothing is asked for").fault.is_none());
    }

    #[test]
    fn an_unknown_value_is_refused() {
        for text in ["", "nan", "nan@0", "nan@x", "triangle@", "stale-beta@1", "race@0", "race@2:"]
        {
            let refused = parsed(Some(text), None).expect_err(text);
            assert_eq!(refused, format!("REFERENCE_BACKEND_FAULT={text}: no such fault"));
        }
        assert!(parsed(None, Some("pairwise")).is_err());
    }

    #[test]
    fn a_library_knows_the_directories_that_it_is_in() {
        assert!(is_in(&own_path(), "deps"), "{}", own_path());
        assert!(!is_in(&own_path(), "dep"), "{}", own_path());
    }
}
