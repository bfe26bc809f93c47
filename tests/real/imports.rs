//! rocBLAS symbols that public binaries of other projects import: the shim exports all of them.

use tests::{artefacts, elf::face, real::rocblas_imports};

/// Packages of the Python package index, and at least how many names their libraries import.
const PACKAGES: [(&str, usize); 5] = [
    ("jax-rocm7-pjrt", 30),
    ("jax-rocm7-plugin", 1),
    ("jax-rocm10-pjrt", 30),
    ("jax-rocm10-plugin", 1),
    ("onnxruntime-rocm", 5),
];

#[test]
fn every_name_that_jax_and_onnx_runtime_import_is_exported() {
    let exports = face(artefacts::shim()).exports;
    for (package, fewest) in PACKAGES {
        let Some(imports) = rocblas_imports(package) else { continue };
        assert!(imports.len() >= fewest, "{package}: {imports:?}");
        let missing: Vec<_> = imports.difference(&exports).collect();
        assert!(missing.is_empty(), "{package} imports what the shim has not: {missing:?}");
    }
}
