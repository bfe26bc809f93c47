//! Arbitrary ELF files, reduced to the kernels of one GPU: an error, or a file that can be read again and
//! that reducing does not change.
#![no_main]

use offload::slim::{Form, Note, note, slim};
use std::io::Cursor;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let wanted = Note {
        version: "0.0.0".to_owned(),
        source: "blake3:00".to_owned(),
        gpus: vec!["gfx906".to_owned()],
    };
    let _ = note(bytes, bytes.len() as u64);
    for form in [Form::AsBefore, Form::Compressed] {
        let mut output = Cursor::new(Vec::new());
        let Ok(slimmed) = slim(bytes, bytes.len() as u64, &wanted, form, &mut output) else {
            continue;
        };
        if slimmed.changed {
            let small = output.into_inner();
            let size = small.len() as u64;
            assert_eq!(slimmed.size.after, size);
            assert_eq!(note(&small[..], size).expect("a file that is read"), Some(wanted.clone()));
            let mut output = Cursor::new(Vec::new());
            let again = slim(&small[..], size, &wanted, form, &mut output).expect("nothing to do");
            assert!(!again.changed);
        }
    }
});
