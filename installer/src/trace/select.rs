//! Selects calls by function, status, duration, thread and number.

use anyhow::{Context, Result};
use clap::Args;
use rocblas_abi::{EnumId, enumeration};
use rocblas_trace::{call::Call, options, read::Timeline};

/// Options that select calls.
#[derive(Clone, Debug, Default, Args)]
pub struct Select {
    /// Only functions matching PATTERN; prefix a pattern with `-` to exclude it
    #[arg(long, value_name = "PATTERN", value_delimiter = ',', allow_hyphen_values = true)]
    pub functions: Vec<String>,
    /// Only calls that took at least this long (500ns, 10us, 2ms)
    #[arg(long, value_name = "TIME", value_parser = options::duration)]
    pub min: Option<u64>,
    /// Only calls with this status (internal_error), or `error` for all that failed or raised a HIP error
    #[arg(long, value_name = "STATUS", value_parser = status)]
    pub status: Option<Status>,
    /// Only calls of the thread with this number
    #[arg(long, value_name = "NUMBER")]
    pub thread: Option<u32>,
    /// Only the call with this number in thread 1, or in another one (2:7041)
    #[arg(long, value_name = "[THREAD:]N", value_parser = options::call_number)]
    pub call: Option<(u32, u64)>,
}

/// A requested status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Any failure.
    Error,
    /// Exactly this status.
    Is(i32),
    /// No status: the call has not returned.
    InFlight,
}

impl Select {
    /// Whether a call is selected. `thread` is the number of its thread in the trace.
    #[must_use]
    pub fn wants(&self, call: &Call<'_>, thread: u32, timeline: &Timeline) -> bool {
        let long_enough = || {
            self.min.is_none_or(|min| {
                call.ticks().is_some_and(|ticks| timeline.nanoseconds(ticks) >= min as f64)
            })
        };
        let has_status = || match self.status {
            None => true,
            Some(Status::Error) => {
                call.status().is_some_and(is_error) || call.raised_hip_error().is_some()
            }
            Some(Status::Is(status)) => call.status() == Some(status),
            Some(Status::InFlight) => call.end().is_none() && !call.was_left(),
        };
        self.thread.is_none_or(|wanted| wanted == thread)
            && self.call.is_none_or(|wanted| wanted == (thread, call.sequence()))
            && options::wants(&self.functions, call.name())
            && has_status()
            && long_enough()
    }
}

/// Whether a status means failure: some are only informational.
#[must_use]
pub fn is_error(status: i32) -> bool {
    let name = enumeration(EnumId::Status).short_name_of(status);
    !matches!(
        name,
        Some(
            "success"
                | "perf_degraded"
                | "size_query_mismatch"
                | "size_increased"
                | "size_unchanged"
                | "continue"
        )
    )
}

fn status(text: &str) -> Result<Status> {
    match text {
        "error" => return Ok(Status::Error),
        "in_flight" => return Ok(Status::InFlight),
        _ => {}
    }
    let statuses = enumeration(EnumId::Status);
    let full = format!("{}_{text}", statuses.name);
    let value = statuses.value_of(&full).or_else(|| statuses.value_of(text));
    value.map(Status::Is).with_context(|| {
        let short = |value: i32| statuses.short_name_of(value).unwrap_or_default();
        let names: Vec<&str> = statuses.values.iter().map(|value| short(value.value)).collect();
        format!("{text:?} is not a status; expected error, in_flight, {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read() {
        assert_eq!(status("internal_error").expect("one"), Status::Is(6));
        assert_eq!(status("rocblas_status_invalid_size").expect("one"), Status::Is(4));
        assert_eq!(status("error").expect("a word"), Status::Error);
        assert!(status("bad").expect_err("none").to_string().contains("not_implemented"));
    }

    #[test]
    fn some_statuses_are_informational() {
        assert!(!is_error(0) && !is_error(9) && is_error(6) && is_error(2) && is_error(99));
    }
}
