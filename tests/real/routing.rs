//! AMD's rocBLAS 6.4.4 and 7.2.4 in one process, behind one shim, each for its own device: rocSOLVER, hipBLAS
//! and rocBLAS make the same HIP calls as with each library alone.

use std::path::PathBuf;
use tests::{
    artefacts::workspace,
    compile::compile,
    real::{Rocm, Root, compared::Seen, log, root},
};

const DEVICES: [(&str, &str); 3] = [
    ("RECORDING_HIP_DEVICES", "2"),
    ("RECORDING_HIP_TARGET", "gfx906,gfx90a"),
    ("RECORDING_HIP_CHECK_TARGETS", "1"),
];

fn program(rocm: &Rocm) -> PathBuf {
    let source = workspace().join("tests/clients/real/two_devices.c");
    let names = ["libhipblas.so.3", "librocsolver.so.0", "librocblas.so.5", "libamdhip64.so.7"];
    let arguments = rocm.link_with(&names);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    compile(&source, &rocm.tree().root().join("two_devices"), &arguments)
}

/// The calls with one library alone, on one device.
fn alone(root: &'static Root, soname: &str, device: &str) -> Seen {
    let rocm = Rocm::shim_before(root, soname);
    Seen::of(&rocm, &program(&rocm), &[device], &DEVICES)
}

/// The HIP calls on a device, without the numbers of streams and the like.
fn on(seen: &Seen, device: &str) -> Vec<String> {
    let end = format!(" on {device}");
    let mut is_its = false;
    let its = seen.hip.iter().filter(|line| {
        if line.starts_with("call ") {
            is_its = line.ends_with(&end);
        }
        is_its
    });
    its.cloned().collect()
}

#[test]
fn two_releases_serve_two_devices_as_each_does_alone() {
    let Some(root) = root() else { return };
    let six = alone(root, "librocblas.so.4", "0");
    let seven = alone(root, "librocblas.so.5", "1");
    let rocm = Rocm::shim_before(root, "librocblas.so.4").and_backend("seven", "librocblas.so.5");
    for route in ["gfx906=real,gfx90a=seven", "gfx90a=seven,default=real"] {
        let environment = [&DEVICES[..], &[("ROCBLAS_SHIM_ROUTE", route)]].concat();
        let both = Seen::of(&rocm, &program(&rocm), &["0", "1"], &environment);
        assert_eq!(both.ended.stderr, "", "{route}");
        for (device, alone) in [("0", &six), ("1", &seven)] {
            let end = format!(" on {device}: ");
            let printed: Vec<String> =
                both.printed.iter().filter(|line| line.contains(&end)).cloned().collect();
            assert!(printed.iter().all(|line| line.ends_with(": 0")), "{route}: {printed:#?}");
            assert_eq!(printed, alone.printed, "{route}, device {device}");
            let difference = log::difference(&on(alone, device), &on(&both, device));
            assert!(difference.is_empty(), "{route}, device {device}: {difference:#?}");
            let launches = on(&both, device).iter().filter(|l| l.starts_with("launch ")).count();
            assert!(launches > 200, "{route}, device {device}: {launches} launches");
        }
    }
    // The kernels of the two libraries differ.
    let launched = |seen: &Seen, device| on(seen, device).join("\n").replace(" on 1", " on 0");
    assert_ne!(launched(&six, "0"), launched(&seven, "1"));
}
