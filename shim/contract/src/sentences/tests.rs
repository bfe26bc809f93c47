//! Every sentence is recognised as itself, and nothing else is taken for one.

use super::*;

/// A line with the sentence, as the shim prints it.
fn line(sentence: Sentence) -> String {
    let (position, text) = sentence.text();
    let parts = text.split(['{', '}']).enumerate();
    let filled: String =
        parts.map(|(i, part)| if i % 2 == 0 { part } else { "/x/y z: 7" }).collect();
    match position {
        Position::First | Position::Message => format!("{PREFIX}error: {filled}"),
        Position::Line => format!("  {filled}"),
        Position::Refusal => format!("  {}", tried_line("/x/librocblas.so.4", filled)),
    }
}

#[test]
fn every_sentence_is_recognised_whatever_its_arguments_are() {
    for &sentence in Sentence::ALL {
        let line = line(sentence);
        assert_eq!(Sentence::of(&line), Some(sentence), "{line}");
        // As Compose and journald print it.
        let line = format!("llama-1  | {line}\r\n");
        assert_eq!(Sentence::of(&line), Some(sentence), "{line}");
    }
}

#[test]
fn a_warning_is_recognised_and_a_message_for_the_curious_is_not() {
    let text = tensile_hidden("ROCBLAS_TENSILE_LIBPATH");
    for (level, found) in [
        ("error", Some(Sentence::TensileHidden)),
        ("warn", Some(Sentence::TensileHidden)),
        ("info", None),
        ("debug", None),
    ] {
        assert_eq!(Sentence::of(&format!("{PREFIX}{level}: {text}")), found, "{level}");
    }
}

#[test]
fn a_refusal_may_quote_another_one() {
    let quoting = not_loaded("libx.so: does not exist");
    let line = tried_line("/x: cannot be read: 7", quoting);
    assert_eq!(Sentence::of(&line), Some(Sentence::Unreadable), "the first one in it");
    let line = tried_line("/x", not_loaded("libx.so: is empty"));
    assert_eq!(Sentence::of(&line), Some(Sentence::NotLoaded));
}

#[test]
fn lines_of_other_programs_are_no_sentences() {
    for line in [
        "",
        "error: the file is empty",
        "/etc/motd: does not exist",
        "cannot write /tmp/x: No space left on device",
        "rocblas-shim: rocblas_sgemm(handle=0x1, transA=none)",
        "rocblas-shim: info: backend only (/x) lacks 3 of 2136 functions",
        "I tried it yesterday",
    ] {
        assert_eq!(Sentence::of(line), None, "{line}");
    }
}

#[test]
fn texts_are_made_with_their_arguments() {
    let text = missing_function("rocblas_dgemm", "6.3.0", "/x", "0");
    assert_eq!(text, "rocblas_dgemm is not in backend 6.3.0 (/x): it answers 0");
    assert!(no_kernels("gfx906", 0, "a.dat", "/x").ends_with("No handle is made for it"));
}
