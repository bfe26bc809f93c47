//! Any bytes as the file of a captured call: it is rejected, or it is shown, and memory as long as the file's
//! operands suffices for its call. Memory use is bounded by the file's size.

#![no_main]

use installer::{replay, trace::show_capture};
use rocblas_trace::capture::Capture;
use std::fs;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("call.safetensors");
    fs::write(&path, bytes).expect("write");
    let read = Capture::read(&path);
    let shown = show_capture::show(&path);
    assert_eq!(read.is_ok(), shown.is_ok());
    let (Ok(read), Ok(shown)) = (read, shown) else {
        replay::check(&path).expect_err("what is not read is not replayed");
        return;
    };
    let data: usize = read.tensors.iter().map(|tensor| tensor.data.len()).sum();
    assert!(data < bytes.len());
    assert!(!show_capture::text(&shown).is_empty());
    // Messages, whatever is wrong.
    if let Err(error) = replay::check(&path) {
        assert!(!format!("{error:#}").is_empty());
    }
});
