//! Every sentence is recognised as itself, and nothing else is taken for one.

use super::*;

/// A line with that text of the sentence, as the shim prints it.
fn line(sentence: Sentence, text: &str) -> String {
    let parts = text.split(['{', '}']).enumerate();
    let filled: String =
        parts.map(|(i, part)| if i % 2 == 0 { part } else { "/x/y z: 7" }).collect();
    match sentence.position() {
        Position::First | Position::Message => format!("{PREFIX}error: {filled}"),
        Position::Line => format!("  {filled}"),
        Position::Refusal => format!("  {}", tried_line("/x/librocblas.so.4", filled)),
    }
}

#[test]
fn every_sentence_is_recognised_whatever_its_arguments_are() {
    for &sentence in Sentence::ALL {
        for text in sentence.texts() {
            let line = line(sentence, text);
            assert_eq!(Sentence::of(&line), Some(sentence), "{line}");
            // As Compose and journald print it.
            let line = format!("llama-1  | {line}\r\n");
            assert_eq!(Sentence::of(&line), Some(sentence), "{line}");
        }
    }
}

#[test]
fn the_wording_of_earlier_versions_is_recognised() {
    let lines = [
        (
            "rocblas-shim: error: the backend takes one alpha and one beta for a whole batch: a \
             stride between them is refused with rocblas_status_not_implemented",
            Sentence::BatchStride,
        ),
        (
            "rocblas-shim: error: a function that the backend lacks needs alpha and beta on the \
             host, and they cannot be read from device memory while a stream captures: the call \
             returns rocblas_status_not_implemented",
            Sentence::ScalarsCaptured,
        ),
        (
            "rocblas-shim: error: the backend does not take the handle back to device pointer \
             mode",
            Sentence::PointerModeLost,
        ),
        (
            "rocblas-shim: error: no usable rocBLAS backend: every rocBLAS call answers \
             rocblas_status_internal_error",
            Sentence::NoBackend,
        ),
        (
            "rocblas-shim: error: no usable rocBLAS backend: this process was forked while another \
             thread of its parent had been opening one for 10 s, and has half of it",
            Sentence::Forked,
        ),
        (
            "  nothing was tried: the setting that was ignored may name the backend",
            Sentence::NothingTriedForSettings,
        ),
        (
            "  nothing was tried: the shim cannot tell what directory it is in",
            Sentence::NothingTriedForDirectory,
        ),
        (
            "  this process has more rights than its caller (setuid or the like), so its \
             environment is ignored",
            Sentence::Privileged,
        ),
        (
            "rocblas-shim: error: another backend cannot be opened, because the first one could \
             not: see the message about it",
            Sentence::NoFirstBackend,
        ),
        (
            "rocblas-shim: error: the backend cannot be opened: ROCBLAS_SHIM_BACKEND=6.4: does not \
             exist; everything stays as it was",
            Sentence::NotOpened,
        ),
        (
            "  tried /x/librocblas.so.4: was replaced since backend 6.3.0 was opened from it, and \
             the loader takes it for that one: start the program again, or give the new file \
             another name",
            Sentence::ReplacedFile,
        ),
        (
            "  tried /x/librocblas.so.4: defines data as STB_GNU_UNIQUE, as backend 6.3.0 does: \
             the loader would make both share it. Use them in separate processes",
            Sentence::JoinedSymbol,
        ),
        (
            "rocblas-shim: error: this process has 8 backends open, and there is room for no more: \
             none is closed before the process ends",
            Sentence::TooManyBackends,
        ),
        ("rocblas-shim: error: no handle for device 0 (gfx906): does not exist", Sentence::NoRoute),
        (
            "rocblas-shim: error: handle 0x55d0 was not made by a call that went through the shim: \
             it is taken for one of backend 6.3.0, and so are others",
            Sentence::UnknownHandle,
        ),
        ("  tried /x/librocblas.so.4: may not be read by this user", Sentence::Forbidden),
        (
            "  tried /x/librocblas.so.4: names no backend in /opt/rocm/lib/rocblas-shim/backends \
             (a path needs a `/` in it)",
            Sentence::NotInStore,
        ),
        ("  tried /x/librocblas.so.4: holds no backend", Sentence::NoBackends),
        (
            "  tried /x/librocblas.so.4: holds several backends (6.3.0, 7.0.2) and none is chosen",
            Sentence::SeveralBackends,
        ),
        ("  tried /x/librocblas.so.4: holds no librocblas.so.*", Sentence::NoLibrary),
        (
            "  tried /x/librocblas.so.4: is this shim, or another one: a shim cannot forward to a \
             shim",
            Sentence::IsShim,
        ),
        (
            "  tried /x/librocblas.so.4: is truncated: its program headers should be at 0x40, 448 \
             bytes long, and the file has 64",
            Sentence::TruncatedPart,
        ),
        (
            "  tried /x/librocblas.so.4: is truncated: its section headers end at byte 448, and \
             the file has 64",
            Sentence::TruncatedEnd,
        ),
        (
            "  tried /x/librocblas.so.4: is a 32-bit ELF file, this process is 64-bit",
            Sentence::Elf32,
        ),
        (
            "  tried /x/librocblas.so.4: is a big-endian ELF file, this machine is little-endian",
            Sentence::BigEndian,
        ),
        (
            "  tried /x/librocblas.so.4: is an ELF file for 183, this machine is x86-64",
            Sentence::OtherMachine,
        ),
        ("  tried /x/librocblas.so.4: claims 65535 program headers", Sentence::Implausible),
        (
            "  tried /x/librocblas.so.4: has no dynamic section: it is not a library that can be \
             loaded",
            Sentence::Lacks,
        ),
        (
            "  tried /x/librocblas.so.4: has its dynamic strings outside of every segment",
            Sentence::StringsOutside,
        ),
        ("  tried /x/librocblas.so.4: is not among the loader's objects", Sentence::NotListed),
        (
            "  tried /x/librocblas.so.4: brings a second HIP runtime into the process: it uses \
             /a/libamdhip64.so.6, the program uses /b/libamdhip64.so.7. Let its libamdhip64.so.* \
             lead to the program's, by a link of that name",
            Sentence::SecondHip,
        ),
        (
            "  tried /x/librocblas.so.4: leads back to the shim: its rocblas_dgemm is the shim's \
             own",
            Sentence::LeadsBack,
        ),
        (
            "rocblas-shim: error: rocblas_dgemm is not in backend 6.3.0 (/x/librocblas.so.4): it \
             answers rocblas_status_not_implemented",
            Sentence::MissingFunction,
        ),
        ("rocblas-shim: error: aborting, as ROCBLAS_SHIM_ON_ERROR=abort asks", Sentence::Aborting),
        (
            "rocblas-shim: error: the backend has no Tensile kernels for gfx906, device 0: there \
             is no TensileLibrary.dat in /x/library. Add the gfx906 files of its own release, or \
             hide that GPU with HIP_VISIBLE_DEVICES. No handle is made for it",
            Sentence::NoKernels,
        ),
        (
            "rocblas-shim: error: ROCBLAS_USE_HIPBLASLT is hidden from the backend, which gets 0: \
             it would call hipBLASLt 0.10 under the names of hipBLASLt 1.0, whose classes are \
             others",
            Sentence::HipblasltHidden,
        ),
        (
            "rocblas-shim: error: ROCBLAS_TENSILE_LIBPATH is hidden from the backend: it is meant \
             for the kernels of another rocBLAS",
            Sentence::TensileHidden,
        ),
        (
            "rocblas-shim: error: the backend does not say which version of rocBLAS it is, neither \
             by its SONAME (librocblas.so) nor by rocblas_get_version_string: every promise is \
             kept for it",
            Sentence::UnknownGeneration,
        ),
        (
            "rocblas-shim: error: the backend cannot be prepared: calls of itself may come back to \
             the shim",
            Sentence::BindingsLost,
        ),
        (
            "rocblas-shim: error: the backend's rocblas_set_atomics_mode answered 1: atomics stay \
             allowed",
            Sentence::AtomicsStay,
        ),
        (
            "rocblas-shim: error: HIP does not tell the properties of device 0",
            Sentence::NoProperties,
        ),
        (
            "rocblas-shim: error: the trace has reached its limit; calls from here on are not in \
             /tmp/traces/thread-1. A larger one: limit=SIZE; the last calls only: ring=SIZE",
            Sentence::TraceLimit,
        ),
        (
            "rocblas-shim: error: the trace stops: does not exist; calls from here on are not in \
             it",
            Sentence::TraceReplaced,
        ),
        (
            "rocblas-shim: error: the trace cannot go on: /tmp/traces/thread-1: No space left on \
             device (os error 28); calls from here on are not in it",
            Sentence::TraceStopped,
        ),
    ];
    for (line, sentence) in lines {
        assert_eq!(Sentence::of(line), Some(sentence), "{line}");
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
    assert_eq!(text, "rocblas_dgemm is missing from backend 6.3.0 (/x): the call returns 0");
    assert!(no_kernels("gfx906", 0, "a.dat", "/x").contains("there is no a.dat in /x. Add"));
}
