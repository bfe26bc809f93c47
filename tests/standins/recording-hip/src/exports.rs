//! Checks the version script against the sources. The linker checks only one direction: a function missing
//! from the script would silently be missing from the library.

use std::{collections::BTreeMap, fs, path::Path};

/// The HIP functions that rocBLAS 6.4.4 and 7.2.4, its test program and rocSOLVER 7.2.4 import (`readelf
/// --dyn-syms`); hipBLAS 7.2.4 imports none itself.
const IMPORTS: &[(&str, &[&str])] = &[
    (
        "hip_4.2",
        &[
            "__hipPopCallConfiguration",
            "__hipPushCallConfiguration",
            "__hipRegisterFatBinary",
            "__hipRegisterFunction",
            "__hipUnregisterFatBinary",
            "hipDeviceGetAttribute",
            "hipDeviceSynchronize",
            "hipEventCreate",
            "hipEventDestroy",
            "hipEventElapsedTime",
            "hipEventRecord",
            "hipExtModuleLaunchKernel",
            "hipFree",
            "hipGetDevice",
            "hipGetDeviceCount",
            "hipGetErrorName",
            "hipGetErrorString",
            "hipGetLastError",
            "hipGetStreamDeviceId",
            "hipHostFree",
            "hipHostMalloc",
            "hipLaunchKernel",
            "hipMalloc",
            "hipMemcpy",
            "hipMemcpy2D",
            "hipMemcpy2DAsync",
            "hipMemcpyAsync",
            "hipMemsetAsync",
            "hipModuleGetFunction",
            "hipModuleLoadData",
            "hipModuleOccupancyMaxActiveBlocksPerMultiprocessor",
            "hipModuleUnload",
            "hipPeekAtLastError",
            "hipPointerGetAttributes",
            "hipRuntimeGetVersion",
            "hipSetDevice",
            "hipStreamQuery",
            "hipStreamSynchronize",
        ],
    ),
    (
        "hip_4.3",
        &[
            "hipGraphDestroy",
            "hipGraphExecDestroy",
            "hipGraphInstantiate",
            "hipGraphLaunch",
            "hipStreamBeginCapture",
            "hipStreamEndCapture",
            "hipStreamIsCapturing",
        ],
    ),
    (
        "hip_5.1",
        &["hipDeviceGetDefaultMemPool", "hipFreeAsync", "hipMallocAsync", "hipMemPoolTrimTo"],
    ),
    ("hip_6.0", &["hipExtGetLastError", "hipGetDevicePropertiesR0600"]),
];

/// The script's functions and their versions.
fn script() -> BTreeMap<String, String> {
    let mut functions = BTreeMap::new();
    let mut version = "";
    for line in include_str!("../hip.map").lines().map(str::trim) {
        if let Some(node) = line.strip_suffix(" {") {
            version = node;
        } else if let Some(name) = line.strip_suffix(';')
            && name.contains("hip")
            && !name.starts_with('}')
        {
            let before = functions.insert(name.to_owned(), version.to_owned());
            assert_eq!(before, None, "{name} is there twice");
        }
    }
    functions
}

/// The names of the C functions in a folder's sources.
fn defined(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).expect("the sources") {
        let path = entry.expect("the sources").path();
        if path.is_dir() {
            defined(&path, names);
            continue;
        }
        let source = fs::read_to_string(&path).expect("a source file");
        for line in source.lines().map(str::trim_start) {
            let line = line.strip_prefix("unsafe ").unwrap_or(line);
            let line = line.strip_prefix("extern \"C\" ").unwrap_or(line);
            if let Some((name, _)) = line.strip_prefix("fn ").and_then(|rest| rest.split_once('('))
                && (name.starts_with("hip") || name.starts_with("__hip"))
            {
                names.push(name.to_owned());
            }
        }
    }
}

#[test]
fn the_script_lists_what_is_defined() {
    let mut names = Vec::new();
    defined(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut names);
    names.sort_unstable();
    assert_eq!(names, script().into_keys().collect::<Vec<_>>());
}

#[test]
fn every_import_of_the_real_libraries_has_its_version() {
    let script = script();
    for (version, names) in IMPORTS {
        for name in *names {
            assert_eq!(script.get(*name).map(String::as_str), Some(*version), "{name}");
        }
    }
}
