//! `installer replay` and `installer trace show-capture`: the file of one call, replayed on backends that are correct,
//! wrong, broken or sometimes faulty, and read by Python.

use rocblas_abi::value::{datatype, diagonal, fill, geam_ex_operation, operation, side};
use rocblas_trace::capture::{Capture, Values};
use serde_json::Value as Json;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    artefacts::{self, standins},
    captures::{Call, noise},
    compile::library,
    run::{Ended, exists, run, run_within, with_default_signals},
    skip::skip,
};

/// A directory with captures and backends.
struct Scene {
    directory: TempDir,
}

impl Scene {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().expect("a directory") }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Writes a capture. Returns its file.
    fn file(&self, capture: &Capture<'_>, name: &str) -> PathBuf {
        capture.write(self.directory.path(), name).expect("written")
    }

    /// The reference backend, in a directory of that name.
    fn reference(&self, name: &str) -> PathBuf {
        fs::create_dir(self.path(name)).expect("make a directory");
        let place = self.path(name).join("librocblas.so.4");
        fs::copy(artefacts::reference(), &place).expect("copy");
        place
    }

    /// `replayed.c` with these traits.
    fn backend(&self, name: &str, traits: &[&str]) -> PathBuf {
        library(&standins().join("replayed.c"), &self.path(name), "librocblas.so.4", traits)
    }
}

fn installer(words: &[&str]) -> Command {
    let mut command = Command::new(artefacts::built_installer());
    command.args(words);
    for variable in ["REFERENCE_BACKEND_FAULT", "REFERENCE_BACKEND_ONLY", "REFERENCE_BACKEND_SUM"] {
        command.env_remove(variable);
    }
    command
}

/// The command on these backends.
fn command(file: &Path, backends: &[&Path], words: &[&str]) -> Command {
    let mut command = installer(&["replay"]);
    command.arg(file).args(words);
    for backend in backends {
        command.arg("--backend").arg(backend);
    }
    command
}

fn replay(file: &Path, backends: &[&Path], words: &[&str]) -> Ended {
    run(&mut command(file, backends, words))
}

#[track_caller]
fn document(ended: &Ended) -> Json {
    serde_json::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{e}: {ended:?}"))
}

/// The result of each backend.
#[track_caller]
fn outcomes(ended: &Ended) -> Vec<String> {
    let document = document(ended);
    let rows = document["backends"].as_array().unwrap_or_else(|| panic!("no rows: {ended:?}"));
    rows.iter().map(|row| row["outcome"].as_str().expect("a text").to_owned()).collect()
}

/// `C = 1.5 A B - 0.5 C` with more room in each column than is used.
fn product(m: i64, n: i64, k: i64) -> Capture<'static> {
    let none = i64::from(operation::NONE);
    let integers = [
        ("transA", none),
        ("transB", none),
        ("m", m),
        ("n", n),
        ("k", k),
        ("lda", m + 2),
        ("ldb", k + 1),
        ("ldc", m + 3),
    ];
    let scalars = [("alpha", 1.5), ("beta", -0.5)];
    Call { function: "rocblas_sgemm", integers: &integers, scalars: &scalars }.captured(noise)
}

/// `D = min(1.5 (A + B), -0.5 C)` in half precision, over the pairs that a product multiplies.
fn minima(m: i64, n: i64, k: i64) -> Capture<'static> {
    let mut integers = vec![
        ("transA", operation::TRANSPOSE.into()),
        ("transB", operation::NONE.into()),
        ("m", m),
        ("n", n),
        ("k", k),
        ("lda", k + 2),
        ("ldb", k + 1),
        ("ldc", m + 3),
        ("ldd", m + 4),
        ("geam_ex_op", geam_ex_operation::MIN_PLUS.into()),
    ];
    let types = ["a_type", "b_type", "c_type", "d_type", "compute_type"];
    integers.extend(types.map(|name| (name, datatype::F16_R.into())));
    let scalars = [("alpha", 1.5), ("beta", -0.5)];
    Call { function: "rocblas_geam_ex", integers: &integers, scalars: &scalars }.captured(noise)
}

/// A solve of SOLVE_TRI's form.
fn solve(m: i64, n: i64) -> Capture<'static> {
    let integers = [
        ("side", side::RIGHT.into()),
        ("uplo", fill::UPPER.into()),
        ("transA", operation::NONE.into()),
        ("diag", diagonal::NON_UNIT.into()),
        ("m", m),
        ("n", n),
        ("lda", n.max(1)),
        ("ldb", m.max(1)),
        ("batch_count", 2),
    ];
    let call =
        Call { function: "rocblas_strsm_batched", integers: &integers, scalars: &[("alpha", 1.0)] };
    let order = n as usize;
    call.captured(|parameter, place| {
        let is_diagonal = parameter == "A" && (place % (order * order)).is_multiple_of(order + 1);
        if is_diagonal { 2.0 } else { noise(parameter, place) / n as f64 }
    })
}

#[test]
fn a_backend_that_computes_is_right() {
    let scene = Scene::new();
    let reference = scene.reference("good");
    for (name, capture) in
        [("product", product(20, 30, 40)), ("solve", solve(33, 17)), ("minima", minima(20, 30, 40))]
    {
        let file = scene.file(&capture, name);
        let ended = replay(&file, &[&reference], &["--json"]).silent_success();
        assert_eq!(outcomes(&ended), ["right"], "{ended:?}");
        let row = &document(&ended)["backends"][0];
        let of_bound = row["operands"][0]["of_bound"].as_f64().expect("a number");
        assert!(of_bound > 0.0 && of_bound < 1.0, "{ended:?}");
        assert_eq!(row["version"], "4.3.0.stand-in");
        let text = replay(&file, &[&reference], &[]).silent_success().stdout;
        assert!(text.contains("right") && text.contains("success"), "{text}");
        assert!(text.contains("CPU in double precision"), "{text}");
    }
}

#[test]
fn planted_faults_are_wrong_on_their_backend_and_not_on_the_other() {
    let scene = Scene::new();
    let (good, bad) = (scene.reference("good"), scene.reference("bad"));
    for (fault, capture, first) in [
        ("large-n@64", product(9, 80, 7), Some((0, 64))),
        ("stale-beta", product(9, 8, 7), Some((0, 0))),
        ("nan@9x8x7", product(9, 8, 7), None),
        ("triangle", solve(33, 17), None),
        ("nan@1", solve(33, 17), None),
        ("nan@9x8x7", minima(9, 8, 7), None),
    ] {
        let file = scene.file(&capture, "call");
        let mut command = command(&file, &[&good, &bad], &["--json"]);
        command.env("REFERENCE_BACKEND_FAULT", fault).env("REFERENCE_BACKEND_ONLY", "bad");
        let ended = run(&mut command);
        assert_eq!(ended.status.code(), Some(1), "{fault}: {ended:?}");
        assert_eq!(outcomes(&ended), ["right", "wrong"], "{fault}: {ended:?}");
        if let Some((row, column)) = first {
            let first = &document(&ended)["backends"][1]["operands"][0]["first"];
            assert_eq!((&first["row"], &first["column"]), (&row.into(), &column.into()), "{fault}");
        }
    }
}

#[test]
fn the_order_of_sums_is_no_fault() {
    let scene = Scene::new();
    let (one, other) = (scene.reference("one"), scene.reference("other"));
    let file = scene.file(&product(20, 30, 400), "call");
    let mut command = command(&file, &[&one, &other], &["--json"]);
    command.env("REFERENCE_BACKEND_SUM", "reversed").env("REFERENCE_BACKEND_ONLY", "other");
    let ended = run(&mut command).silent_success();
    assert_eq!(outcomes(&ended), ["right", "right"]);
    assert!(document(&ended)["backends"][1]["same_as"].is_null(), "other bits: {ended:?}");
}

#[test]
fn a_fault_is_shown_with_smaller_sizes() {
    let scene = Scene::new();
    let (good, bad) = (scene.reference("good"), scene.reference("bad"));
    let file = scene.file(&product(20, 200, 24), "call");
    let faulty = |file: &Path, words: &[&str]| {
        let mut command = command(file, &[&good, &bad], words);
        command.env("REFERENCE_BACKEND_FAULT", "large-n@64").env("REFERENCE_BACKEND_ONLY", "bad");
        run(&mut command)
    };
    let ended = faulty(&file, &["--json", "--minimise"]);
    let minimised = document(&ended)["minimised"].clone();
    let call = minimised["call"].as_str().expect("a call");
    assert!(call.contains("m=1, n=100, k=1,"), "{call}");
    let smaller = scene.path("call-minimal.safetensors");
    assert_eq!(minimised["file"], smaller.to_str().expect("UTF-8"));
    assert_eq!(outcomes(&faulty(&smaller, &["--json"])), ["right", "wrong"]);
    assert!(ended.stderr.contains("still wrong: rocblas_sgemm("), "{ended:?}");
    // A fault that only occurs with these sizes.
    let mut command = command(&smaller, &[&bad], &["--minimise"]);
    command.env("REFERENCE_BACKEND_FAULT", "nan@1x100x1");
    let text = run(&mut command).stdout;
    assert!(text.contains("none of them fails like this one"), "{text}");
}

#[test]
fn a_fault_that_shows_now_and_then_is_found_by_repeating() {
    let scene = Scene::new();
    for traits in [&["-DWRONG_EVERY=50"][..], &["-DWRONG_EVERY=50", "-DHIP"]] {
        let backend = scene.backend("sometimes.so", traits);
        let file = scene.file(&product(5, 6, 7), "call");
        let once = replay(&file, &[&backend], &["--json"]).silent_success();
        assert_eq!(outcomes(&once), ["right"]);
        let ended = replay(&file, &[&backend], &["--json", "--repeat", "120"]);
        assert_eq!(outcomes(&ended), ["wrong"]);
        let row = &document(&ended)["backends"][0];
        assert_eq!(row["runs"], serde_json::json!([120, 2, 2]), "{ended:?}");
        let first = &row["operands"][0]["first"];
        assert_eq!((&first["row"], &first["column"]), (&1.into(), &2.into()), "{ended:?}");
        let text = replay(&file, &[&backend], &["--repeat", "120"]).stdout;
        assert!(text.contains("wrong in 2 of 120 runs, 2 different results"), "{text}");
    }
}

#[test]
fn every_different_result_is_judged() {
    let scene = Scene::new();
    let file = scene.file(&product(5, 6, 7), "call");
    let varying = scene.backend("varying.so", &["-DVARIES"]);
    let ended =
        replay(&file, &[&varying, &varying], &["--json", "--repeat", "64"]).silent_success();
    assert_eq!(outcomes(&ended), ["right", "right"], "{ended:?}");
    for row in document(&ended)["backends"].as_array().expect("rows") {
        assert_eq!(row["runs"], serde_json::json!([64, 0, 32]), "{ended:?}");
        assert!(row["same_as"].is_null(), "it differs from itself: {ended:?}");
    }
    let wrong = scene.backend("wrong.so", &["-DVARIES", "-DWRONG_EVERY=20"]);
    let ended = replay(&file, &[&wrong], &["--json", "--repeat", "40"]);
    assert_eq!(outcomes(&ended), ["wrong"], "{ended:?}");
    let row = &document(&ended)["backends"][0];
    assert_eq!(row["runs"], serde_json::json!([40, 2, 33]), "{ended:?}");
    assert_eq!(row["not_judged"], 0);
}

#[test]
fn times_of_many_runs_arrive() {
    let scene = Scene::new();
    let file = scene.file(&product(1, 1, 1), "call");
    let backend = scene.backend("good.so", &[]);
    let ended = replay(&file, &[&backend], &["--json", "--repeat", "300000"]).silent_success();
    assert_eq!(document(&ended)["backends"][0]["runs"], serde_json::json!([300_000, 0, 1]));
}

#[test]
fn a_changed_input_is_wrong() {
    let scene = Scene::new();
    let file = scene.file(&product(5, 6, 7), "call");
    for traits in [&["-DCHANGES_INPUT"][..], &["-DCHANGES_INPUT", "-DHIP"]] {
        let backend = scene.backend("bad.so", traits);
        let ended = replay(&file, &[&backend], &["--json", "--repeat", "3"]);
        assert_eq!(outcomes(&ended), ["wrong"], "{ended:?}");
        assert_eq!(document(&ended)["backends"][0]["runs"], serde_json::json!([3, 3, 1]));
        let text = replay(&file, &[&backend], &[]).stdout;
        assert!(text.contains("wrong, changed the input A"), "{text}");
    }
}

#[test]
fn an_empty_solve_is_right() {
    let scene = Scene::new();
    let reference = scene.reference("good");
    for (number, (m, n)) in [(0, 17), (33, 0), (0, 0)].into_iter().enumerate() {
        let file = scene.file(&solve(m, n), &format!("empty-{number}"));
        let ended = replay(&file, &[&reference], &["--json"]).silent_success();
        assert_eq!(outcomes(&ended), ["right"], "{ended:?}");
    }
}

#[test]
fn nan_hides_behind_no_small_figure() {
    let scene = Scene::new();
    let bad = scene.reference("bad");
    let file = scene.file(&product(9, 8, 7), "call");
    let mut command = command(&file, &[&bad], &[]);
    command.env("REFERENCE_BACKEND_FAULT", "nan@9x8x7");
    let text = run(&mut command).stdout;
    assert!(text.contains("NaN/inf"), "{text}");
}

#[test]
fn a_wrong_backend_is_minimised_before_one_that_crashes() {
    let scene = Scene::new();
    let file = scene.file(&product(5, 6, 7), "call");
    let crashing = scene.backend("crashing.so", &["-DCRASHES"]);
    let wrong = scene.backend("wrong.so", &["-DWRONG_EVERY=1"]);
    // The path of the smaller file is a directory.
    fs::create_dir(scene.path("call-minimal.safetensors")).expect("make a directory");
    let backends = [&*crashing, &*wrong];
    let ended = replay(&file, &backends, &["--minimise"]);
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let named = format!("tried on {}", wrong.display());
    assert!(ended.stdout.contains(&named) && ended.stdout.contains("verdict"), "{ended:?}");
    let first =
        document(&replay(&file, &[&*crashing], &["--json", "--minimise"]))["minimised"].clone();
    assert_eq!(first["backend"], crashing.to_str().expect("UTF-8"));
}

/// Whether a process that is not a child of this one is running.
fn is_running(pid: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.contains("State:") && !status.contains("State:\tZ")
}

#[test]
fn a_replay_that_is_stopped_leaves_nothing_behind() {
    let scene = Scene::new();
    let file = scene.file(&product(5, 6, 7), "call");
    let hanging = scene.backend("hanging.so", &["-DHANGS"]);
    for (signal, number) in [
        ("INT", libc::SIGINT),
        ("TERM", libc::SIGTERM),
        ("HUP", libc::SIGHUP),
        ("KILL", libc::SIGKILL),
    ] {
        let temporary = scene.path(signal);
        fs::create_dir(&temporary).expect("make a directory");
        let mut command = command(&file, &[&*hanging], &[]);
        with_default_signals(&mut command);
        let mut parent = command.env("TMPDIR", &temporary).spawn().expect("start");
        let children = format!("/proc/{0}/task/{0}/children", parent.id());
        let start = Instant::now();
        let child = loop {
            let child = fs::read_to_string(&children).unwrap_or_default().trim().to_owned();
            let program = fs::read(format!("/proc/{child}/cmdline")).unwrap_or_default();
            if String::from_utf8_lossy(&program).contains("call-for-replay") {
                break child;
            }
            assert!(start.elapsed() < Duration::from_secs(30), "no child");
            thread::sleep(Duration::from_millis(5));
        };
        let directory = fs::read_dir(&temporary).expect("a directory").next().expect("an entry");
        let mode = directory.expect("an entry").metadata().expect("metadata").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        // SAFETY: no memory is involved, and the child has not been waited for.
        assert_eq!(unsafe { libc::kill(parent.id() as i32, number) }, 0);
        parent.wait().expect("ended");
        let start = Instant::now();
        while is_running(&child) {
            assert!(start.elapsed() < Duration::from_secs(10), "{signal}: {child} still runs");
            thread::sleep(Duration::from_millis(5));
        }
        let left = fs::read_dir(&temporary).expect("a directory").count();
        assert!(signal == "KILL" || left == 0, "{signal}: {left} left");
    }
}

#[test]
fn a_gpu_computes_in_its_own_memory() {
    let scene = Scene::new();
    let backend = scene.backend("gpu.so", &["-DHIP"]);
    let file = scene.file(&product(5, 6, 7), "call");
    let ended = replay(&file, &[&backend], &["--json"]).silent_success();
    assert_eq!(outcomes(&ended), ["right"], "{ended:?}");
    let row = &document(&ended)["backends"][0];
    assert_eq!(row["device"], serde_json::json!(["Stand-in", "gfx906:sramecc+:xnack-"]));
    let other = replay(&file, &[&backend], &["--json", "--device", "3"]);
    assert_eq!(outcomes(&other), ["unusable"]);
    let error = document(&other)["backends"][0]["error"].clone();
    assert_eq!(error, "hipSetDevice returned hipErrorInvalidDevice");
}

#[test]
fn each_way_to_fail_is_a_row() {
    let scene = Scene::new();
    let file = scene.file(&product(5, 6, 7), "call");
    let good = scene.backend("good.so", &[]);
    for (traits, outcome, words) in [
        (&["-DCRASHES"][..], "crashed", "crashed with SIGABRT"),
        (&["-DHANGS"], "timed_out", "hung: it was killed after 2 s"),
        (&["-DLACKS"], "missing", "the library does not have the function"),
        (&["-DOUTSIDE"], "wrong", "C was changed outside of its elements, first 5 elements from"),
        (&["-DHIP", "-DLEAVES_ERROR"], "failed", "hipErrorInvalidDeviceFunction"),
    ] {
        let bad = scene.backend("bad.so", traits);
        let ended = replay(&file, &[&bad, &good], &["--json", "--limit", "2"]);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert_eq!(outcomes(&ended), [outcome, "right"], "{ended:?}");
        let text = replay(&file, &[&bad, &good], &["--limit", "2"]).stdout;
        assert!(text.contains(words), "{words}: {text}");
    }
    let none = scene.path("none.so");
    let absent = replay(&file, &[&none], &[]);
    assert_eq!(absent.status.code(), Some(1), "{absent:?}");
    assert!(absent.stderr.contains("none.so"), "{absent:?}");
    for option in ["--repeat", "--limit"] {
        let usage = replay(&file, &[&good], &[option, "0"]);
        assert_eq!(usage.status.code(), Some(2), "{usage:?}");
    }
}

#[test]
fn a_small_file_of_a_call_that_takes_for_ever_is_replayed_in_bounded_time() {
    let scene = Scene::new();
    let none = i64::from(operation::NONE);
    let integers = [
        ("transA", none),
        ("transB", none),
        ("m", 1),
        ("n", 1),
        ("k", 1),
        ("lda", 1),
        ("stride_a", 0),
        ("ldb", 1),
        ("stride_b", 0),
        ("ldc", 1),
        ("stride_c", 0),
        ("batch_count", 50_000_000_000),
    ];
    let function = "rocblas_sgemm_strided_batched_64";
    let call = Call { function, integers: &integers, scalars: &[("alpha", 1.0), ("beta", 0.0)] };
    let file = scene.file(&call.captured(noise), "long");
    let bad = scene.backend("bad.so", &["-DHANGS"]);
    let start = Instant::now();
    let ended = replay(&file, &[&bad], &["--json", "--limit", "1", "--minimise"]);
    assert!(start.elapsed() < Duration::from_secs(50), "{ended:?}");
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let why = &document(&ended)["cpu"]["error"];
    let is_said = why
        .as_str()
        .is_some_and(|why| why.contains(" s, and --limit allows 1 s: a larger one lifts this"));
    assert!(is_said, "{why}: {ended:?}");
}

#[test]
fn without_a_double_form_the_backends_are_compared_with_each_other() {
    let scene = Scene::new();
    let (one, other) = (scene.reference("one"), scene.reference("other"));
    let file = scene.file(&product(5, 6, 7), "call");
    let same = replay(&file, &[&one, &other], &["--json"]).silent_success();
    let name = one.to_str().expect("UTF-8");
    assert_eq!(document(&same)["backends"][1]["same_as"], name, "{same:?}");
}

#[test]
fn files_that_are_no_capture_or_want_more_are_refused() {
    let scene = Scene::new();
    let good = scene.backend("good.so", &[]);
    let refused = |file: &Path, code: &str, words: &str| {
        let ended = replay(file, &[&good], &["--json"]);
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        let error = &document(&ended)["error"];
        assert_eq!(error["code"], code, "{ended:?}");
        assert!(ended.stderr.contains(words), "{words}: {ended:?}");
    };
    let other = scene.path("other.safetensors");
    fs::write(&other, "text").expect("write");
    refused(&other, "unreadable", "is not a capture of a call");
    refused(Path::new("/dev/zero"), "unreadable", "not a regular file");
    let mut redacted = product(5, 6, 7);
    redacted.tensors.clear();
    redacted.meta.values = Values::Redacted;
    refused(&scene.file(&redacted, "redacted"), "failed", "was captured with --redact-values");
    for (number, (function, words)) in [
        ("system", "`system` is not a function of rocBLAS that can be replayed"),
        ("rocblas_create_handle", "the arguments are not those of rocblas_create_handle"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut capture = product(5, 6, 7);
        capture.meta.function = function.to_owned();
        refused(&scene.file(&capture, &format!("function-{number}")), "failed", words);
    }
    // Arguments that need more memory than there is: n, and m, for which the leading dimensions are too
    // small.
    for (position, words) in [
        (4, "the file's operand B is not what the arguments make it"),
        (3, "its operand A has no such shape in memory"),
    ] {
        let mut capture = product(5, 6, 7);
        capture.meta.arguments[position].word = 500;
        refused(&scene.file(&capture, &format!("size-{position}")), "failed", words);
    }
    // The values of C are missing.
    let mut capture = product(5, 6, 7);
    capture.tensors.pop();
    let file = scene.file(&capture, "without-c");
    let ended = replay(&file, &[&good], &["--json"]);
    assert_eq!(outcomes(&ended), ["unusable"], "{ended:?}");
    assert!(
        ended.stdout.contains("the values of C before the call are not in the file"),
        "{ended:?}"
    );
}

#[test]
fn a_capture_is_shown() {
    let scene = Scene::new();
    let mut capture = product(5, 6, 7);
    capture.meta.status = Some(0);
    capture.meta.origin.why = "NaN in C".to_owned();
    let values = capture.tensors[0].data.to_mut();
    values[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    // Between columns, so it is not counted.
    values[20..24].copy_from_slice(&f32::NAN.to_le_bytes());
    values[8..12].copy_from_slice(&f32::INFINITY.to_le_bytes());
    let file = scene.file(&capture, "call");
    let show = |words: &[&str]| {
        run(installer(&["trace", "show-capture"]).arg(&file).args(words)).silent_success().stdout
    };
    let text = show(&[]);
    for line in [
        "rocblas_sgemm(none, none, m=5, n=6, k=7, alpha=1.5, lda=7, ldb=8, beta=-0.5, ldc=8)",
        "captured because: NaN in C",
        "returned success",
        "5 x 7, ld 7",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let document: Json = serde_json::from_str(&show(&["--json"])).expect("JSON");
    let a = &document["tensors"][0];
    assert_eq!((&a["operand"], &a["time"]), (&"A".into(), &"before".into()));
    let counts = [&a["elements"], &a["nan"], &a["infinite"]].map(Json::as_u64);
    assert_eq!(counts, [Some(35), Some(1), Some(1)]);
    assert!(a["min"].as_f64().expect("a number") >= -1.0, "{a}");
    assert_eq!(document["meta"]["operands"][2]["parameter"], "C");
}

#[test]
fn operands_that_are_null_are_said_to_be() {
    let scene = Scene::new();
    let mut capture = product(5, 6, 7);
    let a = capture.meta.arguments.iter_mut().find(|argument| argument.name == "A");
    a.expect("an argument").word = 0;
    capture.meta.operands.remove(0);
    capture.meta.promises = vec![String::new()];
    capture.tensors.retain(|tensor| tensor.operand != 0);
    capture.tensors.iter_mut().for_each(|tensor| tensor.operand -= 1);
    let file = scene.file(&capture, "call");
    let text = run(installer(&["trace", "show-capture"]).arg(&file)).silent_success().stdout;
    let is_null = |line: &&str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        words.first() == Some(&"A") && words.last() == Some(&"null")
    };
    assert_eq!(text.lines().filter(is_null).count(), 1, "{text}");
    assert_eq!(text.matches("null").count(), 1, "{text}");
    assert!(!text.contains("promises kept"), "{text}");
}

/// Installs packages of the Python package index into a directory. If they are not available, prints a
/// message and returns `None`.
fn python(directory: &Path) -> Option<PathBuf> {
    let why = if exists("python3") {
        let packages = directory.join("packages");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--only-binary=:all:", "--target"]);
        let ended =
            run_within(pip.arg(&packages).args(["numpy", "safetensors"]), Duration::from_secs(300));
        if ended.status.success() {
            return Some(packages);
        }
        format!("pip failed: {}", ended.stderr.lines().last().unwrap_or_default())
    } else {
        "there is no python3".to_owned()
    };
    skip("reading captures in Python", &why);
    None
}

#[test]
fn python_reads_a_capture() {
    let scene = Scene::new();
    let Some(packages) = python(scene.directory.path()) else { return };
    let file = scene.file(&product(5, 6, 7), "call");
    let script = r#"
import json, sys
import numpy
from safetensors import safe_open
with safe_open(sys.argv[1], framework="numpy") as file:
    meta = file.metadata()
    operands = {operand["parameter"]: operand for operand in json.loads(meta["operands"])}
    layout = operands["A"]["layout"]
    a = file.get_tensor("A.before")
    padded = numpy.zeros(layout["ld"] * layout["columns"], a.dtype)
    padded[:a.size] = a
    a = padded.reshape(layout["columns"], layout["ld"]).T[:layout["rows"]]
    print(meta["format"], meta["function"], sorted(file.keys()))
    print(a.dtype, a.shape, "%.6f" % a[4, 6])
"#;
    let mut command = Command::new("python3");
    command.args(["-c", script]).arg(&file).env("PYTHONPATH", packages);
    let ended = run(&mut command).success();
    let last = noise("A", 4 + 6 * 7) as f32;
    let expected = format!(
        "rocblas-call 1 rocblas_sgemm ['A.before', 'B.before', 'C.before']\nfloat32 (5, 7) {last:.6}\n"
    );
    assert_eq!(ended.stdout, expected);
}
