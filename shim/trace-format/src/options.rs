//! The options of a trace: which calls to record, and how much to keep. The shim reads them from its settings,
//! tools from their command line.

use std::fmt;

/// The settings of a trace, including defaults.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Each thread keeps only its most recent calls in this many bytes; `None`: all calls.
    pub ring: Option<u64>,
    /// The maximum size of all threads' files together, in bytes.
    pub limit: u64,
    /// Patterns of function names; a pattern with the prefix `-` excludes functions.
    pub functions: Vec<String>,
    /// Shorter calls are not recorded; in nanoseconds.
    pub min: u64,
    /// The trace stops after that many calls.
    pub first: Option<u64>,
    /// HIP is queried at each call whether its stream is being captured.
    pub capture: bool,
    /// HIP's last error is read around each call of a function with a handle.
    pub errors: bool,
    /// Calls whose GPU time is measured; `None`: no call.
    pub gpu_time: Option<Sampling>,
    /// The call stack of every n-th call of each thread is recorded; `None`: of no call.
    pub stacks: Option<u64>,
    /// Each call is a rocTX range for profilers.
    pub roctx: bool,
    /// The computations on the outputs of calls.
    pub check: Check,
    /// Every n-th call of each thread is checked.
    pub every: u64,
    /// Only calls with these numbers in their thread are checked: the first, and the one after the last.
    pub window: Option<(u64, u64)>,
    /// What happens when a check finds something.
    pub on_bad: OnBad,
    /// Calls whose operands are saved.
    pub save: Save,
}

/// The computations on the outputs of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Check {
    /// Elements that are NaN are counted.
    pub nan: bool,
    /// Elements that are infinite are counted.
    pub inf: bool,
    /// A digest of the elements is recorded.
    pub digest: bool,
    /// A digest of the elements that the call reads is recorded too, before the call is made.
    pub inputs: bool,
}

impl Check {
    /// Whether anything is computed.
    #[must_use]
    pub fn is_on(self) -> bool {
        self.nan || self.inf || self.digest
    }
}

/// Which of each thread's calls are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// One of this many calls.
    pub every: u64,
    /// After a measured call none is measured for this long, in nanoseconds, so that the cost is limited however short
    /// the calls are.
    pub pause: u64,
}

impl Sampling {
    /// The default. A pair of events costs 4 to 12 us of the stream and the host together: less than 0.6 % of 2 ms.
    const DEFAULT: Self = Self { every: 16, pause: 2_000_000 };
}

/// What happens when a check finds something.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnBad {
    /// It is recorded.
    #[default]
    Report,
    /// The operands of the first such call are saved as well. This requires copying them at each checked call.
    Capture,
    /// The trace stops.
    Stop,
}

/// Where a trace goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Files in a directory.
    Directory,
    /// A line for each call to stderr.
    Stderr,
}

/// Calls whose operands are saved in files next to the trace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Save {
    /// One call: the number of its thread, and its number in the thread.
    pub call: Option<(u32, u64)>,
    /// The first call for each of these digests that has an output with it.
    pub digests: Vec<u64>,
    /// Calls of functions that match these patterns.
    pub functions: Vec<String>,
    /// How many calls of these functions; `None`: one.
    pub count: Option<u64>,
    /// Operands whose total size in bytes is larger are not saved.
    pub limit: u64,
    /// Only shapes are saved, not the elements.
    pub redact: bool,
}

impl Save {
    /// Whether any calls are to be saved.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.call.is_some() || !self.digests.is_empty() || !self.functions.is_empty()
    }
}

/// The default maximum size of a call's saved operands, in bytes.
const SAVE_LIMIT: u64 = 256 << 20;

/// More than a day of a language model's calls.
const LIMIT: u64 = 4 << 30;

/// Room for some hundred calls, and for two segments: a ring needs a complete segment in addition to the one
/// being written.
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
            errors: true,
            gpu_time: None,
            stacks: None,
            roctx: false,
            check: Check::default(),
            every: 1,
            window: None,
            on_bad: OnBad::default(),
            save: Save { limit: SAVE_LIMIT, ..Save::default() },
        }
    }
}

/// The names of all options, for messages.
pub const KEYS: &str = "ring, limit, functions, min, first, capture, errors, gpu-time, stacks, roctx, check, every, window, \
                        on-bad, save-call, save-digest, save-functions, save-count, save-limit, save-values";

impl Options {
    /// Sets an option by name.
    ///
    /// # Errors
    /// A message with the expected values.
    pub fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "ring" => self.ring = Some(size(value)?),
            "limit" => self.limit = size(value)?,
            "functions" => self.functions = patterns(value),
            "min" => self.min = duration(value)?,
            "first" => self.first = Some(count(value)?),
            "capture" => {
                self.capture = match value.trim() {
                    "ask" => true,
                    "off" => false,
                    _ => return Err(format!("`{value}` is neither `ask` nor `off`")),
                };
            }
            "errors" => self.errors = switch(value)?,
            "gpu-time" => {
                self.gpu_time = match value.trim() {
                    "off" => None,
                    "on" => Some(Sampling::DEFAULT),
                    number => Some(Sampling { every: count(number)?, pause: 0 }),
                };
            }
            "stacks" => {
                self.stacks = match value.trim() {
                    "off" => None,
                    "on" => Some(STACKS_EVERY),
                    number => Some(count(number)?),
                };
            }
            "roctx" => self.roctx = switch(value)?,
            "check" => self.check = check(value)?,
            "every" => self.every = count(value)?,
            "window" => self.window = Some(window(value)?),
            "on-bad" => {
                self.on_bad = match value.trim() {
                    "report" => OnBad::Report,
                    "capture" => OnBad::Capture,
                    "stop" => OnBad::Stop,
                    _ => return Err(format!("`{value}` is not one of report, capture, stop")),
                };
            }
            "save-call" => self.save.call = Some(call_number(value)?),
            "save-digest" => self.save.digests = digests(value)?,
            "save-functions" => self.save.functions = patterns(value),
            "save-count" => self.save.count = Some(count(value)?),
            "save-limit" => self.save.limit = size(value)?,
            "save-values" => self.save.redact = !switch(value)?,
            unknown => return Err(format!("there is no `{unknown}` (there are: {KEYS})")),
        }
        Ok(())
    }

    /// Sets options of a list, `ring=64M,functions=*trsm*:*gemm*`.
    ///
    /// # Errors
    /// As for [`Self::set`], with the name of the option; or that an option is in the list twice.
    pub fn set_all(&mut self, list: &str) -> Result<(), String> {
        let mut words = list.split(',').map(str::trim).filter(|word| !word.is_empty()).peekable();
        let mut given: Vec<&str> = Vec::new();
        while let Some(word) = words.next() {
            let (key, value) = word
                .split_once('=')
                .ok_or_else(|| format!("`{word}` is not of the form name=value (names: {KEYS})"))?;
            let (key, mut value) = (key.trim(), value.to_owned());
            if given.contains(&key) {
                return Err(format!(
                    "`{key}` is given twice: give it once, with all that it is to have"
                ));
            }
            given.push(key);
            // `check` is a list itself: check=nan,inf
            while key == "check"
                && let Some(more) = words.next_if(|word| !word.contains('='))
            {
                value = format!("{value},{more}");
            }
            self.set(key, &value).map_err(|why| format!("{key}: {why}"))?;
        }
        Ok(())
    }

    /// Checks that each option that is set has an effect; one without effect is a mistake.
    ///
    /// # Errors
    /// A message that names the option without effect and what it needs.
    pub fn check(&self, place: Place) -> Result<(), String> {
        let finds = self.check.nan || self.check.inf;
        let without = |is_set: bool, option: &str, other: &str| {
            if is_set { Err(format!("{option} has no effect without {other}")) } else { Ok(()) }
        };
        without(self.on_bad != OnBad::Report && !finds, "on-bad", "check=nan or check=inf")?;
        let digests = self.check.digest;
        without(self.check.inputs && !digests, "check=inputs", "check=digest")?;
        without(!self.save.digests.is_empty() && !digests, "save-digest", "check=digest")?;
        without(self.every != 1 && !self.check.is_on(), "every", "check")?;
        without(self.window.is_some() && !self.check.is_on(), "window", "check")?;
        let saves_functions = !self.save.functions.is_empty();
        without(self.save.count.is_some() && !saves_functions, "save-count", "save-functions")?;
        if place == Place::Directory {
            return Ok(());
        }
        let in_files = [
            (self.gpu_time.is_some(), "gpu-time"),
            (self.stacks.is_some(), "stacks"),
            (self.check.digest && !finds, "check=digest"),
            (self.on_bad == OnBad::Capture, "on-bad=capture"),
            (self.save.call.is_some(), "save-call"),
            (!self.save.digests.is_empty(), "save-digest"),
            (saves_functions, "save-functions"),
        ];
        let option = in_files.iter().find(|(is_set, _)| *is_set).map(|(_, option)| option);
        option.map_or(Ok(()), |option| {
            Err(format!(
                "{option} has no effect on lines to stderr: trace into a directory instead"
            ))
        })
    }

    /// Resets the options that [`Self::check`] refuses for lines to stderr.
    pub fn leave_files_out(&mut self) {
        (self.gpu_time, self.stacks) = (None, None);
        (self.check.digest, self.check.inputs) = (false, false);
        self.save = Save::default();
        if self.on_bad == OnBad::Capture {
            self.on_bad = OnBad::Report;
        }
    }

    /// Whether operands are checked or saved, times measured or callers recorded, so that records take the slow path.
    #[must_use]
    pub fn looks_at_calls(&self) -> bool {
        let samples = self.gpu_time.is_some() || self.stacks.is_some();
        samples || self.roctx || self.check.is_on() || self.save.is_on()
    }

    /// Whether a function is to be traced.
    #[must_use]
    pub fn wants(&self, function: &str) -> bool {
        wants(&self.functions, function)
    }
}

/// Whether a function matches the patterns: at least one of those without the prefix `-`, if there are any,
/// and none of those with it. `sgemm` means `rocblas_sgemm`, and a star matches any sequence of characters.
#[must_use]
pub fn wants(patterns: &[String], function: &str) -> bool {
    let short = function.strip_prefix("rocblas_").unwrap_or(function);
    let is_of = |pattern: &str| matches(pattern, function) || matches(pattern, short);
    let mut wanted = patterns.iter().filter(|pattern| !pattern.starts_with('-')).peekable();
    let in_the_list = wanted.peek().is_none() || wanted.any(|pattern| is_of(pattern));
    let mut unwanted = patterns.iter().filter_map(|pattern| pattern.strip_prefix('-'));
    in_the_list && !unwanted.any(is_of)
}

/// Whether a name matches a pattern in which a star matches any sequence of characters.
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

/// Recording a stack takes as long as a hundred records.
const STACKS_EVERY: u64 = 100;

fn patterns(text: &str) -> Vec<String> {
    text.split(':').map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect()
}

fn count(text: &str) -> Result<u64, String> {
    let number = text.trim().parse().ok().filter(|n| *n > 0);
    number.ok_or_else(|| format!("`{text}` is not a number of calls"))
}

fn switch(text: &str) -> Result<bool, String> {
    match text.trim() {
        "on" => Ok(true),
        "off" => Ok(false),
        _ => Err(format!("`{text}` is neither `on` nor `off`")),
    }
}

/// `nan,inf`
fn check(text: &str) -> Result<Check, String> {
    let mut check = Check::default();
    for word in text.split([',', ':']).map(str::trim).filter(|word| !word.is_empty()) {
        match word {
            "nan" => check.nan = true,
            "inf" => check.inf = true,
            "digest" => check.digest = true,
            "inputs" => check.inputs = true,
            "off" => check = Check::default(),
            _ => return Err(format!("`{word}` is not one of nan, inf, digest, inputs, off")),
        }
    }
    Ok(check)
}

/// `9e3779b97f4a7c15:94d049bb133111eb`: hashes of digests.
fn digests(text: &str) -> Result<Vec<u64>, String> {
    let words = text.split(':').map(str::trim).filter(|word| !word.is_empty());
    let number = |word| u64::from_str_radix(word, 16);
    words
        .map(|word| number(word).map_err(|_| format!("`{word}` is not the hash of a digest")))
        .collect()
}

/// `1000-2000`: the numbers of the first and the last call.
fn window(text: &str) -> Result<(u64, u64), String> {
    let expected = || format!("`{text}` is not a range of calls (1000-2000)");
    let (first, last) = text.split_once('-').ok_or_else(expected)?;
    let [first, last] = [first, last].map(|number| number.trim().parse::<u64>().ok());
    match (first, last) {
        (Some(first), Some(last)) if first <= last && last < u64::MAX => Ok((first, last + 1)),
        _ => Err(expected()),
    }
}

/// The number of a call: `2:7041`, or `7041` for the first thread.
///
/// # Errors
/// A message with the expected form.
pub fn call_number(text: &str) -> Result<(u32, u64), String> {
    let expected = || format!("`{text}` is not the number of a call (7041, or 2:7041 in thread 2)");
    let (thread, call) = text.trim().split_once(':').unwrap_or(("1", text.trim()));
    match (thread.trim().parse(), call.trim().parse()) {
        (Ok(thread), Ok(call)) => Ok((thread, call)),
        _ => Err(expected()),
    }
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
/// A message with the expected form.
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
    /// In the form that [`Self::set_all`] parses.
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
        if self.capture {
            f.write_str(",capture=ask")?;
        }
        if !self.errors {
            f.write_str(",errors=off")?;
        }
        match self.gpu_time {
            None => {}
            Some(Sampling::DEFAULT) => f.write_str(",gpu-time=on")?,
            Some(Sampling { every, .. }) => write!(f, ",gpu-time={every}")?,
        }
        if let Some(every) = self.stacks {
            write!(f, ",stacks={every}")?;
        }
        if self.roctx {
            f.write_str(",roctx=on")?;
        }
        if self.check.is_on() {
            let Check { nan, inf, digest, inputs } = self.check;
            let words = [(nan, "nan"), (inf, "inf"), (digest, "digest"), (inputs, "inputs")];
            let words: Vec<&str> =
                words.iter().filter(|(is_on, _)| *is_on).map(|(_, w)| *w).collect();
            write!(f, ",check={}", words.join(","))?;
        }
        if self.every != 1 {
            write!(f, ",every={}", self.every)?;
        }
        if let Some((first, end)) = self.window {
            write!(f, ",window={first}-{}", end - 1)?;
        }
        match self.on_bad {
            OnBad::Report => {}
            OnBad::Capture => f.write_str(",on-bad=capture")?,
            OnBad::Stop => f.write_str(",on-bad=stop")?,
        }
        let Save { call, digests, functions, count, limit, redact } = &self.save;
        if let Some((thread, call)) = call {
            write!(f, ",save-call={thread}:{call}")?;
        }
        if !digests.is_empty() {
            let digests: Vec<String> = digests.iter().map(|hash| format!("{hash:016x}")).collect();
            write!(f, ",save-digest={}", digests.join(":"))?;
        }
        if !functions.is_empty() {
            write!(f, ",save-functions={}", functions.join(":"))?;
        }
        if let Some(count) = count {
            write!(f, ",save-count={count}")?;
        }
        if *limit != SAVE_LIMIT {
            write!(f, ",save-limit={limit}")?;
        }
        if *redact { f.write_str(",save-values=off") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests;
