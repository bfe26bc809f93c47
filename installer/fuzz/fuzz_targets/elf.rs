//! Arbitrary ELF files: a result or an error with its position, in bounded time and memory.

#![no_main]

use installer::elf::{summary::summary_of, symbols::symbols_of};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Err(malformed) = summary_of(bytes) {
        let _ = malformed.to_string();
    }
    if let Ok(symbols) = symbols_of(bytes) {
        for import in &symbols.imports {
            let version = import.version.as_ref().map(|version| version.name.as_str());
            let _ = symbols.provide(&import.name, version);
        }
    }
});
