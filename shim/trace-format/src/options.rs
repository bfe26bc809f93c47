//! What a trace is to have: how much of it to keep, and which calls. The shim reads it of its settings,
//! tools of their command line.

use std::fmt;

/// Settings of a trace, defaults filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Each thread keeps its last calls in this many bytes; `None`: all.
    pub ring: Option<u64>,
    /// The most bytes that all threads' files together take.
    pub limit: u64,
    /// Patterns of function names; those with a `-` before them leave out.
    pub functions: Vec<String>,
    /// Shorter calls are left out; in nanoseconds.
    pub min: u64,
    /// The trace stops after that many calls.
    pub first: Option<u64>,
    /// HIP is asked at each call whether its stream captures.
    pub capture: bool,
}

/// More than a day of a language model's calls.
const LIMIT: u64 = 4 << 30;

/// Room for some hundred calls, and for two segments: a ring has a whole one behind the one that is being
/// written.
const LEAST: u64 = 64 << 10;

const _: () = assert!(LEAST as usize >= 2 * crate::layout::SEGMENT_SIZE);

impl Default for Options {
    fn default() -> Self {
        Self {
            ring: None,
            limit: LIMIT,
            functions: Vec::new(),
            min: 0,
            first: None,
            capture: false,
        }
    }
}

/// The names, for messages.
pub const KEYS: &str = "ring, limit, functions, min, first, capture";

impl Options {
    /// Sets an option by its name.
    ///
    /// # Errors
    /// A clause that says what is expected.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "ring" => self.ring = Some(size(value)?),
            "limit" => self.limit = size(value)?,
            "functions" => {
                let patterns = value.split(':').map(str::trim).filter(|p| !p.is_empty());
                self.functions = patterns.map(str::to_owned).collect();
            }
            "min" => self.min = duration(value)?,
            "first" => {
                let number = value.trim().parse().ok().filter(|n| *n > 0);
                let expected = || format!("`{value}` is no number of calls");
                self.first = Some(number.ok_or_else(expected)?);
            }
            "capture" => {
                self.capture = match value.trim() {
                    "ask" => true,
                    "off" => false,
                    _ => return Err(format!("`{value}` is neither `ask` nor `off`")),
                };
            }
            unknown => return Err(format!("there is no `{unknown}` (there are: {KEYS})")),
        }
        Ok(())
    }

    /// Sets options of a list, `ring=64M,functions=*trsm*:*gemm*`.
    ///
    /// # Errors
    /// As [`Self::set`], with the name of the option.
    pub fn set_all(&mut self, list: &str) -> Result<(), String> {
        for word in list.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("`{word}` is not of the form name=value (names: {KEYS})"))?;
            self.set(key.trim(), value).map_err(|why| format!("{}: {why}", key.trim()))?;
        }
        Ok(())
    }

    /// Whether a function is to be traced.
    #[must_use]
    pub fn wants(&self, function: &str) -> bool {
        wants(&self.functions, function)
    }
}

/// Whether a function is among those of some patterns: of one at least, if there are any but those with
/// a `-` before them, and of none of these. `sgemm` stands for `rocblas_sgemm`, a star for any run of
/// characters.
#[must_use]
pub fn wants(patterns: &[String], function: &str) -> bool {
    let short = function.strip_prefix("rocblas_").unwrap_or(function);
    let is_of = |pattern: &str| matches(pattern, function) || matches(pattern, short);
    let mut wanted = patterns.iter().filter(|pattern| !pattern.starts_with('-')).peekable();
    let in_the_list = wanted.peek().is_none() || wanted.any(|pattern| is_of(pattern));
    let mut unwanted = patterns.iter().filter_map(|pattern| pattern.strip_prefix('-'));
    in_the_list && !unwanted.any(is_of)
}

/// Whether a name is of a pattern in which a star is any run of characters.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(start) else { return false };
    let mut parts = rest.split('*');
    let end = parts.next_back().unwrap_or_default();
    for part in parts {
        match name.find(part) {
            Some(at) => name = &name[at + part.len()..],
            None => return false,
        }
    }
    name.ends_with(end)
}

/// `64M`: bytes, with K, M or G for powers of 1,024.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let expected = || format!("`{text}` is no size (64M, 2G, or a number of bytes)");
    let (number, shift) = match text.char_indices().next_back().ok_or_else(expected)? {
        (at, 'k' | 'K') => (&text[..at], 10),
        (at, 'm' | 'M') => (&text[..at], 20),
        (at, 'g' | 'G') => (&text[..at], 30),
        _ => (text, 0),
    };
    let number: u64 = number.trim().parse().map_err(|_| expected())?;
    let bytes = number.checked_mul(1 << shift).ok_or_else(expected)?;
    if bytes < LEAST {
        return Err(format!("`{text}` is too little: {}K at least", LEAST >> 10));
    }
    Ok(bytes)
}

/// `10us`: nanoseconds, with the units ns, us, ms and s.
///
/// # Errors
/// A clause that says what is expected.
pub fn duration(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let expected = || format!("`{text}` is no time (500ns, 10us, 2ms, 1s)");
    let unit = text.find(|c: char| !c.is_ascii_digit()).ok_or_else(expected)?;
    let (number, unit) = text.split_at(unit);
    let scale: u64 = match unit.trim() {
        "ns" => 1,
        "us" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        _ => return Err(expected()),
    };
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(scale)).ok_or_else(expected)
}

impl fmt::Display for Options {
    /// As [`Self::set_all`] takes it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "limit={}", self.limit)?;
        if let Some(ring) = self.ring {
            write!(f, ",ring={ring}")?;
        }
        if !self.functions.is_empty() {
            write!(f, ",functions={}", self.functions.join(":"))?;
        }
        if self.min > 0 {
            write!(f, ",min={}ns", self.min)?;
        }
        if let Some(first) = self.first {
            write!(f, ",first={first}")?;
        }
        if self.capture { f.write_str(",capture=ask") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(list: &str) -> Result<Options, String> {
        let mut options = Options::default();
        options.set_all(list).map(|()| options)
    }

    #[test]
    fn a_list_sets_what_it_names() {
        let read =
            options("ring=64M, limit=2G,functions=*trsm*:-*_64,min=10us,first=1000,capture=ask");
        let read = read.expect("a list");
        assert_eq!((read.ring, read.limit), (Some(64 << 20), 2 << 30));
        assert_eq!(read.functions, ["*trsm*", "-*_64"]);
        assert_eq!((read.min, read.first, read.capture), (10_000, Some(1000), true));
        assert_eq!(options(&read.to_string()), Ok(read));
        assert_eq!(options(""), Ok(Options::default()));
    }

    #[test]
    fn what_is_wrong_is_said_with_what_is_expected() {
        for (list, why) in [
            (
                "rings=1M",
                "there is no `rings` (there are: ring, limit, functions, min, first, capture)",
            ),
            ("ring", "`ring` is not of the form name=value"),
            ("ring=big", "ring: `big` is no size (64M, 2G, or a number of bytes)"),
            ("limit=99999999999G", "is no size"),
            ("ring=1K", "`1K` is too little: 64K at least"),
            ("min=10", "min: `10` is no time (500ns, 10us, 2ms, 1s)"),
            ("min=10h", "is no time"),
            ("capture=yes", "capture: `yes` is neither `ask` nor `off`"),
            ("first=0", "first: `0` is no number of calls"),
        ] {
            let said = options(list).expect_err(list);
            assert!(said.contains(why), "{list}: {said}");
        }
    }

    #[test]
    fn functions_are_chosen_by_patterns() {
        for (list, wanted, unwanted) in [
            ("", "rocblas_sgemm", None),
            ("functions=*trsm*", "rocblas_strsm_batched", Some("rocblas_sgemm")),
            ("functions=sgemm", "rocblas_sgemm", Some("rocblas_sgemm_batched")),
            ("functions=rocblas_sgemm", "rocblas_sgemm", Some("rocblas_dgemm")),
            ("functions=sge*ex:dgemm", "rocblas_dgemm", Some("rocblas_sgemm")),
            ("functions=*gemm*:-*batched*", "rocblas_gemm_ex", Some("rocblas_sgemm_batched")),
            ("functions=-set_*", "rocblas_sgemm", Some("rocblas_set_stream")),
            ("functions=*g*m*_64", "rocblas_sgemm_64", Some("rocblas_sgemm")),
        ] {
            let options = options(list).expect("a list");
            assert!(options.wants(wanted), "{list}");
            assert!(unwanted.is_none_or(|name| !options.wants(name)), "{list}");
        }
    }
}
