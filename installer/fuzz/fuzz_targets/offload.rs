//! Any bytes as a section of offload bundles, as a single image, and as code objects in bundles: the result
//! may be an error, but must be returned.
#![no_main]

use offload::{Target, bundles, has_code_for, kernels, kernels_of, targets};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let section = 0..data.len() as u64;
    let device = Target::device("gfx906").expect("a target");
    let _ = has_code_for(data, &device);
    let wrong = bundles(data, section.clone()).filter(Result::is_err).count();
    assert_eq!(targets(data, section.clone()).problems.len(), wrong);
    for bundle in bundles(data, section.clone()).filter_map(Result::ok) {
        assert!(bundle.size > 0 && bundle.offset + bundle.size <= section.end);
        // Both functions return the same.
        for (entry, together) in kernels_of(data, &bundle, |_| true).unwrap_or_default() {
            assert_eq!(kernels(data, &bundle, entry), Ok(together));
        }
    }
});
