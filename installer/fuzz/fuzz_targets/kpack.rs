//! Any bytes as an archive of split GPU code, as a library's marker, and as its records: each is parsed or
//! returns an error with its position, in bounded time and memory.
#![no_main]

use offload::kpack::{Archive, Reference, segments};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let _ = segments(data, 0);
    if let Ok(reference) = Reference::parse(data, 0) {
        assert!(!reference.search_paths.is_empty());
    }
    if let Ok(archive) = Archive::read(data, data.len() as u64) {
        let objects: Vec<_> = archive.objects("a").map(|(_, object)| object).collect();
        if let Ok(kernels) = archive.kernels(data, &objects) {
            assert_eq!(kernels.len(), objects.len());
        }
    }
});
