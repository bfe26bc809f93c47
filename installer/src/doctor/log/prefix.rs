//! Removes what precedes the message in a line of a log: names of containers, pods and units, dates, levels,
//! HIP's own tags. A message is then recognised by its beginning; a text that merely quotes an error, such as
//! a prompt, does not begin like one.

/// The escape character of terminals.
const ESCAPE: char = '\u{1b}';

/// The maximum number of prefixes of a line: a container's, a date, a level, a thread, ...
const MOST: usize = 12;

/// The message of a line.
#[must_use]
pub(super) fn message(line: &str) -> &str {
    let mut rest = line.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    for _ in 0..MOST {
        let shorter = PREFIXES.iter().find_map(|prefix| prefix(rest));
        match shorter {
            Some(shorter) if shorter.len() < rest.len() => rest = shorter.trim_start(),
            _ => break,
        }
    }
    rest
}

/// What follows a prefix of each kind.
const PREFIXES: [fn(&str) -> Option<&str>; 13] = [
    container,
    bracketed,
    date,
    unit,
    level,
    exception,
    parenthesised,
    hip,
    runtime,
    quote,
    problem,
    logging,
    unfinished,
];

/// Whether a line begins with what test programs print before the name of a test: `[       OK ]`, `[PASS]`.
/// It shows that the rest is not a message, so it is kept. A failed test may be followed by its error, except
/// in GoogleTest's form, which has blanks.
pub(in crate::doctor) fn has_test_tag(line: &str) -> bool {
    const OUTCOMES: [&str; 8] =
        ["RUN", "OK", "ok", "PASS", "PASSED", "SKIP", "SKIPPED", "DISABLED"];
    let tag = line.strip_prefix('[').and_then(|rest| rest.split_once(']'));
    tag.is_some_and(|(tag, _)| {
        let is_rule = tag.len() > 2 && tag.bytes().all(|byte| matches!(byte, b'-' | b'='));
        OUTCOMES.contains(&tag.trim()) || tag == "  FAILED  " || is_rule
    })
}

/// Docker Compose's `NAME  | `.
fn container(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once('|')?;
    let name = name.trim_end();
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    (!name.is_empty() && name.chars().all(is_name)).then_some(rest)
}

/// `[pod/llama-0/server] `, `[2026-01-08 20:56:32]`, `[DEBUG]`, `[rank0]:`, glog's `[E1030 15:32:32.97 x.cpp:1]`.
fn bracketed(line: &str) -> Option<&str> {
    let (inner, rest) = line.strip_prefix('[')?.split_once(']')?;
    if has_test_tag(line) {
        return None;
    }
    // Not an array or one of our addresses.
    let is_tag = inner.len() < 100 && !inner.contains(['"', '[', '{']);
    is_tag.then(|| rest.strip_prefix(':').unwrap_or(rest))
}

/// vLLM's `(EngineCore_0 pid=123)`.
fn parenthesised(line: &str) -> Option<&str> {
    let (inner, rest) = line.strip_prefix('(')?.split_once(')')?;
    inner.contains("pid=").then_some(rest)
}

/// Dates and times: RFC 3339, `2026-01-08 20:56:32`, `11-29 09:35:54`, journald's `Nov 13 10:01:52`,
/// llama.cpp's `0.15.079.619`, Kubernetes' ` stderr F `.
fn date(line: &str) -> Option<&str> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (word, rest) = line.split_once(char::is_whitespace)?;
    if matches!(word, "stdout" | "stderr") {
        let rest = rest.trim_start();
        return rest.strip_prefix("F ").or_else(|| rest.strip_prefix("P ")).or(Some(rest));
    }
    let is_month = MONTHS.iter().any(|month| word.eq_ignore_ascii_case(month));
    if is_month {
        let (day, rest) = rest.trim_start().split_once(' ')?;
        return day.parse::<u8>().ok().map(|_| rest);
    }
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let is_of_a_date =
        |c: char| c.is_ascii_digit() || matches!(c, '-' | ':' | '.' | ',' | 'T' | 'Z' | '+' | '/');
    let separators = word.matches(['-', ':', '.', '/']).count();
    (digits >= 4 && separators > 0 && word.chars().all(is_of_a_date)).then_some(rest)
}

/// journald's and syslog's `HOST PROGRAM[123]: `.
fn unit(line: &str) -> Option<&str> {
    let (before, rest) = line.split_once("]: ")?;
    let (names, process) = before.rsplit_once('[')?;
    let is_process = !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit());
    let words = names.split_whitespace().count();
    (is_process && (1..=2).contains(&words)).then_some(rest)
}

const LEVELS: [&str; 14] = [
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "D", "I",
    "W", "E", "F",
];

/// `ERROR: `, `W `, `INFO 11-29 ...`.
fn level(line: &str) -> Option<&str> {
    let end = line.find(|c: char| !c.is_ascii_alphabetic())?;
    let (word, rest) = line.split_at(end);
    let is_level = LEVELS.contains(&word);
    // In lower case it may be the first word of a sentence.
    let is_like_one = LEVELS[..9].contains(&word.to_ascii_uppercase().as_str());
    if let Some(rest) = rest.strip_prefix(": ") {
        return (is_level || is_like_one).then_some(rest);
    }
    let rest = rest.strip_prefix(' ')?;
    is_level.then_some(rest)
}

/// Python's `torch.AcceleratorError: `, C++'s `what():  `.
fn exception(line: &str) -> Option<&str> {
    if let Some(rest) = line.strip_prefix("what(): ") {
        return Some(rest);
    }
    let (name, rest) = line.split_once(": ")?;
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_');
    let is_exception =
        name.ends_with("Error") || name.ends_with("Exception") || name.ends_with("Warning");
    // "Error" alone is an ordinary word, not the name of a class.
    (is_exception && name != "Error" && name.chars().all(is_name)).then_some(rest)
}

/// HIP's `:1:hip_fatbin.cpp   :272 : 3169196830 us: `.
fn hip(line: &str) -> Option<&str> {
    let rest = line.strip_prefix(':')?;
    let (level, rest) = rest.split_once(':')?;
    let (file, rest) = rest.split_once(':')?;
    let (_, rest) = rest.split_once("us:")?;
    let is_file = file.trim_end().ends_with(".cpp") || file.trim_end().ends_with(".hpp");
    (level.parse::<u8>().is_ok() && is_file).then_some(rest)
}

/// llama.cpp's and HIP's `pid:588 tid:0x7f3c `.
fn runtime(line: &str) -> Option<&str> {
    let rest = line.strip_prefix("pid:")?;
    let (_, rest) = rest.split_once("tid:0x")?;
    Some(rest.split_once(' ')?.1)
}

/// A message printed in quotes.
fn quote(line: &str) -> Option<&str> {
    line.strip_prefix("\"hip").map(|_| &line[1..])
}

/// The hyphen before a problem that dnf and zypper list. Other lists are documentation.
fn problem(line: &str) -> Option<&str> {
    line.strip_prefix("- ").filter(|rest| rest.starts_with("nothing provides "))
}

/// Python's logging, in the format of its documentation: `- NAME - ERROR - `, after the time.
fn logging(line: &str) -> Option<&str> {
    let mut parts = line.strip_prefix("- ")?.splitn(3, " - ").skip(1);
    let is_level = |word: &str| LEVELS.contains(&word.trim());
    parts.next().filter(|level| is_level(level)).and_then(|_| parts.next())
}

/// What a program printed to standard output without ending the line, when an error on standard error
/// follows: `SOLVE_TRI(type=f32,ne_lhs=[10,10,4,3]): `, `Loading model... `.
fn unfinished(line: &str) -> Option<&str> {
    /// How errors printed in such a place begin.
    const LEADS: [&str; 11] = [
        "rocBLAS error",
        "rocBLAS warning",
        "rocblaslt error",
        "rocblaslt warning",
        "ROCm error: ",
        "CUDA error: ",
        "HIP error: ",
        "ggml_cuda_compute_forward: ",
        "Memory access fault by GPU",
        "HW Exception by GPU",
        "Queue at 0x",
    ];
    let start = LEADS.iter().filter_map(|lead| line.find(lead)).min().filter(|at| *at > 0)?;
    let (before, error) = line.split_at(start);
    let before = before.trim_end();
    (is_unfinished(before) || is_complete(error) && !is_sentence(before)).then_some(error)
}

/// Whether an error is a complete rocBLAS message, which hardly anybody writes in a sentence.
fn is_complete(error: &str) -> bool {
    let names_a_gpu = error.rfind(" for GPU arch : gfx").is_some_and(|at| {
        !error[at..].trim_start_matches(" for GPU arch : ").contains(char::is_whitespace)
    });
    let ends = |c: char| c == '\'' || c == ':' || c.is_ascii_digit();
    let is_of_hip =
        error.strip_prefix("rocBLAS error from hip error code: 'hip").is_some_and(|name| {
            name.trim_start_matches(|c: char| c.is_ascii_alphabetic()).chars().all(ends)
        });
    error.starts_with("rocBLAS error: Cannot read ") && names_a_gpu || is_of_hip
}

/// Whether the text before an error may be a sentence, or name a speaker.
fn is_sentence(text: &str) -> bool {
    const SPEAKERS: [&str; 6] = ["user:", "assistant:", "prompt:", "said:", "says:", "message:"];
    let end = text.to_ascii_lowercase();
    let is_of_a_word = |c: char| c.is_alphabetic() || matches!(c, ',' | '\u{201c}');
    // The first of two marks opens a quotation, and the second closes it.
    let opens = |mark: &char| text.ends_with(*mark) && text.matches(*mark).count() % 2 == 1;
    text.ends_with(is_of_a_word)
        || ['"', '\'', '`'].iter().any(opens)
        || SPEAKERS.iter().any(|speaker| end.ends_with(speaker))
}

/// Whether a text is one that programs print before an operation. A sentence is not: it may be about the
/// error that follows.
fn is_unfinished(text: &str) -> bool {
    // test-backend-ops of llama.cpp: the operation with its arguments.
    let operation = text.strip_suffix("):").and_then(|text| text.split_once('('));
    let is_of_a_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_operation =
        operation.is_some_and(|(name, _)| !name.is_empty() && name.chars().all(is_of_a_name));
    // tqdm's, followed by numbers.
    let is_bar = text.contains("%|");
    // Names of tests, as printed by pytest and ctest.
    let is_test = text.contains("::") && !text.contains(char::is_whitespace);
    let number = text.strip_suffix(':').unwrap_or_default();
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    text.ends_with("...") || is_operation || is_bar || is_test || is_number
}

/// Without a terminal's colours and other control sequences.
#[must_use]
pub(super) fn without_escapes(text: &str) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(ESCAPE) {
        kept.push_str(&rest[..at]);
        rest = after_sequence(&rest[at + ESCAPE.len_utf8()..]);
    }
    kept.push_str(rest);
    kept
}

/// The text after the control sequence that follows an escape: `[31m`, `]8;;...BEL`, or one character.
fn after_sequence(rest: &str) -> &str {
    if let Some(parameters) = rest.strip_prefix('[') {
        let end = parameters.find(|c: char| ('@'..='~').contains(&c) || c == '\n');
        return end.map_or("", |end| {
            let is_line = parameters[end..].starts_with('\n');
            &parameters[end + usize::from(!is_line)..]
        });
    }
    if let Some(command) = rest.strip_prefix(']') {
        let end = command.find(['\u{7}', ESCAPE, '\n']);
        return end.map_or("", |end| {
            let after = &command[end..];
            after.strip_prefix('\u{7}').or_else(|| after.strip_prefix("\u{1b}\\")).unwrap_or(after)
        });
    }
    let mut characters = rest.chars();
    match characters.next() {
        Some('\n') | None => rest,
        Some(_) => characters.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_comes_before_a_message_is_removed() {
        const MESSAGE: &str = "rocBLAS error: Could not initialize Tensile";
        for prefix in [
            "",
            "llama-server-1  | ",
            "[ollama-ollama-1] 2026-02-07T15:23:47.296940000Z ",
            "[pod/llama-0/server] ",
            "2026-02-07T15:23:47.296940000Z stderr F ",
            "Nov 13 10:01:52 desktop ollama[1067]: ",
            "Aug  2 20:05:50 ubuntu-2 ollama[447]: ",
            "2025-11-13T10:01:52+0800 desktop ollama[1067]: ",
            "[2026-01-08 20:56:32][DEBUG] ",
            "2026-01-21 16:56:58 [DEBUG]\t",
            "0.15.079.619 E ",
            "(EngineCore_0 pid=123) ERROR 11-29 09:35:54 [core.py:30] ",
            "[rank0]:[E1030 15:32:32.970893361 ProcessGroupNCCL.cpp:2055] ",
            "RuntimeError: ",
            "torch.AcceleratorError: ",
            "  what():  ",
            ":1:hip_fatbin.cpp           :276 : 8803012584 us: [pid:19349 tid:0x14dec9d33080] ",
            "ERROR: ",
            "2026-01-08 20:56:32,123 - vllm.worker - ERROR - ",
            "  SOLVE_TRI(type=f32,ne_lhs=[10,10,4,3],ne_rhs=[3,10,4,3]): ",
            "Loading model... ",
        ] {
            assert_eq!(message(&format!("{prefix}{MESSAGE}\r")), MESSAGE, "{prefix}");
        }
    }

    #[test]
    fn messages_keep_what_belongs_to_them() {
        for line in [
            "error while loading shared libraries: librocblas.so.5: cannot open",
            "/usr/bin/ld: /opt/rocm/lib/librocsolver.so.0: undefined reference to `x@GLIBC_2.38'",
            "user asks: rocBLAS error: what is that",
            "[\"a\", \"b\"] rocBLAS error",
            "a | b | rocBLAS",
        ] {
            let kept = message(line);
            assert!(kept == line || line.starts_with("a |"), "{line}: {kept}");
        }
        assert_eq!(message(""), "");
        assert_eq!(message(" \0\r\n"), "");
    }

    #[test]
    fn escapes_are_removed_within_a_line_and_none_reaches_the_next() {
        for (text, plain) in [
            ("\u{1b}[31mrocBLAS\u{1b}[0m error\r\n", "rocBLAS error\r\n"),
            ("\u{1b}]8;;http://x\u{7}link\u{1b}]8;;\u{7}", "link"),
            ("a\u{1b}[31\nb", "a\nb"),
            ("a\u{1b}\nb\u{1b}", "a\nb"),
            ("\u{1b}(Bx", "Bx"),
        ] {
            assert_eq!(without_escapes(text), plain, "{text:?}");
        }
    }
}
