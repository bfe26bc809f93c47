//! The running image: as an unprivileged user on a read-only root file system, with its libraries, traces and
//! shutdown.

use crate::images::{Images, LLAMA_IMAGE, build_llama, llama};
use std::{fs, os::unix::fs::PermissionsExt, path::Path, time::Duration};
use tests::docker::Container;

/// Options that a careful administrator gives a server.
const HARDENED: [&str; 6] = [
    "--read-only",
    "--tmpfs=/tmp",
    "--cap-drop=ALL",
    "--security-opt=no-new-privileges",
    "--memory=2g",
    "--pids-limit=64",
];

/// A directory of this machine that the container's user can write to.
fn shared() -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().expect("a directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o1777)).expect("chmod");
    let option = format!("--volume={}:/traces", directory.path().display());
    (directory, option)
}

fn start(images: Images, tag: &str, more: &[&str]) -> Container {
    let log = ["--env=RECORDING_HIP_LOG=/traces/hip.log"];
    let container = images.engine.start(tag, &[&HARDENED[..], &log, more].concat());
    container.wait_until("listening", |container| container.logs().contains("listening"));
    container
}

/// The kernels that were launched, by name.
fn launches(directory: &Path) -> Vec<String> {
    let log = fs::read_to_string(directory.join("hip.log")).expect("a log of HIP calls");
    log.lines().filter(|line| line.starts_with("launch ")).map(str::to_owned).collect()
}

#[test]
fn the_server_computes_through_the_shim_as_nobody_on_a_read_only_root() {
    let Some(images) = llama() else { return };
    let (traces, volume) = shared();
    let container = start(images, LLAMA_IMAGE, &[&volume, "--env=ROCBLAS_SHIM_TRACE=/traces"]);

    let logs = container.logs();
    assert!(logs.contains("rocBLAS 5.0.2.shim-"), "{logs}");
    assert_eq!(container.exec(&["id", "-u"]).success().stdout.trim(), "10001");
    let written = container.exec(&["touch", "/app/mine"]);
    assert!(written.stderr.contains("Read-only file system"), "{written:?}");
    // The libraries that the loader mapped into the server, which has PID 1.
    let maps = container.exec(&["cat", "/proc/1/maps"]).success().stdout;
    for library in [
        "/opt/rocm-7.0.2/lib/librocblas.so.5.99.0",
        "/rocblas-shim/backends/6.3.0/lib/librocblas.so.4.3.60300",
        "/opt/rocm-7.0.2/lib/libhipblas.so.3",
        "/opt/rocm-7.0.2/lib/libamdhip64.so.7",
    ] {
        assert!(maps.contains(library), "{library}:\n{maps}");
    }

    let at_start = launches(traces.path());
    assert!(at_start.iter().any(|launch| launch.contains("trsm")), "{at_start:?}");
    let url = "http://127.0.0.1:8080/v1/chat/completions";
    let answer = container.exec(&["curl", "--silent", "--fail", "--data", "{}", url]).success();
    assert!(answer.stdout.contains("tool_calls"), "{answer:?}");
    assert!(launches(traces.path()).len() > at_start.len());
    container.wait_until("healthy", |container| {
        container.inspect("{{.State.Health.Status}}") == "healthy"
    });

    for command in ["status", "verify"] {
        container.exec(&["installer", command]).success();
    }
    // There is no GPU here, which doctor has to find.
    let doctor = container.exec(&["installer", "doctor"]);
    assert!(doctor.stdout.contains("/dev/kfd"), "{doctor:?}");

    let (code, time) = container.stop();
    assert_eq!(code, "0", "{}", container.logs());
    assert!(time < Duration::from_secs(8), "SIGTERM was not heeded: {time:?}");
    assert!(container.logs().contains("stopped"));

    let summary = ["installer", "trace", "summary", "--json", "/traces"];
    let summary = images.engine.run(LLAMA_IMAGE, &[&volume], &summary).success().stdout;
    let summary: serde_json::Value = serde_json::from_str(&summary).expect("JSON");
    assert!(summary["calls"].as_u64() > Some(3), "{summary}");
    let report = ["installer", "trace", "report", "/traces", "--output", "/traces/report.html"];
    images.engine.run(LLAMA_IMAGE, &[&volume], &report).success();
    let page = fs::read_to_string(traces.path().join("report.html")).expect("a page");
    assert!(page.contains("strsm_batched"));
}

#[test]
fn the_server_ends_when_its_port_is_taken_and_says_so() {
    let Some(images) = llama() else { return };
    let refused = images.engine.run(
        LLAMA_IMAGE,
        &[
            "--env=LLAMA_ARG_PORT=80",
            "--cap-drop=ALL",
            "--sysctl=net.ipv4.ip_unprivileged_port_start=1024",
        ],
        &["llama-server"],
    );
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("Permission denied"), "{refused:?}");
}

#[test]
fn the_table_and_the_tool_call_come_out_of_the_image() {
    let Some(images) = llama() else { return };
    let (_traces, volume) = shared();
    let container = start(images, LLAMA_IMAGE, &[&volume]);
    let table = container
        .exec(&["llama-bench-table", "--model", "/etc/os-release", "--depths", "0,2048"])
        .success();
    assert!(table.stdout.contains("|    2048 |"), "{table:?}");
    assert!(table.stdout.contains("250.50"), "{table:?}");
    assert!(table.stdout.contains("tool call: ok get_weather({\"city\":\"Paris\"})"), "{table:?}");
}

#[test]
fn stock_is_a_variable_away_where_it_was_kept() {
    const KEPT: &str = "rocblas-shim-tests/llama-kept";
    let Some(images) = llama() else { return };
    build_llama(images, KEPT, None, &[("ORIGINAL", "keep")]);
    let version = |options: &[&str]| {
        let program = ["/app/llama-cli"];
        images.engine.run(KEPT, options, &program).success().stdout
    };
    assert!(version(&[]).contains("shim-0.1.0-4."), "{}", version(&[]));
    let stock = version(&["--env=ROCBLAS_SHIM_BACKEND=7.0.2"]);
    // The stock library keeps the promises itself, so the version string is its own.
    assert!(stock.contains("rocBLAS 5.") && !stock.contains("shim"), "{stock}");
    images.engine.docker(&["image", "rm", KEPT]).success();
}
