//! Caches that ldconfig did not write.

#![no_main]

use installer::loader::cache::Cache;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Ok(cache) = Cache::parse(bytes.to_vec()) {
        let _ = cache.find("libc.so.6", &["x86-64-v3", "x86-64-v2"]);
    }
});
