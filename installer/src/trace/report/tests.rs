//! The page for hand-made traces. Nothing in a trace is more than text in it.

use super::{
    lanes::{Lanes, MOST_LANES, Rest},
    testing::{ThreadFile, process, write},
    *,
};
use rocblas_trace::layout::State;
use std::fs;
use tempfile::TempDir;

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

/// The page of the traces at a path.
fn report(path: &Path) -> Result<String> {
    super::report(path).map(|(page, _)| page)
}

/// The page of a trace of one process.
fn page_of(threads: &[ThreadFile]) -> String {
    let directory = directory();
    write(directory.path(), &process("/usr/bin/llama-server", 4711), threads);
    report(directory.path()).expect("a page")
}

/// The lanes of the traces in a directory.
fn lanes_in(path: &Path) -> Lanes {
    let summary = summary::summary(path).expect("a summary");
    let colours = Colours::of(&summary.functions);
    lanes::lanes(Opened::all(path).expect("traces"), &colours, &summary.firsts)
}

/// The texts between two markers.
fn between<'a>(page: &'a str, start: &str, end: &str) -> Vec<&'a str> {
    page.split(start).skip(1).filter_map(|rest| rest.split(end).next()).collect()
}

/// A section of a page.
#[track_caller]
fn section<'a>(page: &'a str, name: &str) -> &'a str {
    let sections = between(page, &format!("<section id=\"{name}\""), "</section>");
    let [section] = sections[..] else { panic!("{} sections {name}", sections.len()) };
    section
}

/// The text of markup, with tags replaced by spaces.
fn text(markup: &str) -> String {
    let mut text = String::new();
    for part in markup.split('<') {
        text.push_str(part.split_once('>').map_or(part, |(_, text)| text));
        text.push(' ');
    }
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    text.replace("&lt;", "<").replace("&gt;", ">").replace("&quot;", "\"").replace("&#x2f;", "/")
}

/// The texts of the rows of a section's table.
#[track_caller]
fn rows(page: &str, name: &str) -> Vec<String> {
    let bodies = between(section(page, name), "<tbody>", "</tbody>");
    let [body] = bodies[..] else { panic!("{} tables in {name}", bodies.len()) };
    between(body, "<tr>", "</tr>").into_iter().map(text).collect()
}

#[test]
fn the_page_has_the_figures_of_the_summary() {
    let mut main = ThreadFile::new(1, "main");
    main.device(0, "AMD Instinct MI50", "gfx906:sramecc+:xnack-");
    for (begin, end) in [(1_000, 301_000), (400_000, 500_000)] {
        main.call("rocblas_sgemm", &[1, 111, 112, 1000, 1000, 500], (begin, end), 0);
    }
    main.call("rocblas_strsm", &[1, 141, 121, 111, 131, 4, 3], (600_000, 650_000), 6);
    main.call("rocblas_strsm", &[1, 141, 121, 111, 131, 4, 3], (700_000, 800_000), 6);
    let mut worker = ThreadFile::new(2, "worker");
    worker.call("rocblas_dgemm", &[1, 111, 111, 8, 8, 8], (900_000, 0), 0);
    let page = page_of(&[main, worker]);
    assert_eq!(
        rows(&page, "functions"),
        [
            "sgemm 2 300 us 100 us 50.0% 100 us 100 us 100 us 2.00 G 24.0 M",
            "strsm 2 50.0 us 100 us 50.0% 100 us 100 us 100 us 2",
            "dgemm 1",
        ]
    );
    assert_eq!(
        rows(&page, "shapes")[1],
        "strsm (left, upper, none, non_unit, m=4, n=3) 2 50.0 us 100 us 50.0% 100 us 100 us 100 us 2"
    );
    assert_eq!(
        rows(&page, "failed"),
        ["internal_error 2 rocblas_strsm(left, upper, none, non_unit, m=4, n=3, lda=0, ldb=0) \
          0.000600 s 1 main"]
    );
    assert_eq!(
        rows(&page, "in-flight"),
        ["rocblas_dgemm(none, none, m=8, n=8, k=8, lda=0, ldb=0, ldc=0) 0.000900 s 2 worker"]
    );
    assert_eq!(rows(&page, "environment"), ["0 AMD Instinct MI50 gfx906:sramecc+:xnack-"]);
    assert_eq!(
        figures_of(&page),
        "Calls 5 Failed 2 In flight 1 Time in rocBLAS, sum of threads 550 us From first to last 899 us \
         Functions 3 Threads 2"
    );
    assert!(!page.contains("id=\"missing\""));
    let title = between(&page, "<title>", "</title>")[0];
    assert_eq!(title, "rocBLAS trace: llama-server (process 4711)");
}

/// The text of the figures.
fn figures_of(page: &str) -> String {
    text(&between(page, "<dl class=\"figures\">", "</dl>").concat())
}

#[test]
fn the_shapes_are_those_of_the_summary() {
    let mut thread = ThreadFile::new(1, "main");
    thread.call("rocblas_set_stream", &[1, 2], (1_000, 900_000), 0);
    let page = page_of(&[thread]);
    assert!(text(section(&page, "shapes")).contains("No calls with a shape"));

    let mut thread = ThreadFile::new(1, "main");
    thread.call("rocblas_set_stream", &[1, 2], (1_000, 900_000), 0);
    thread.sgemm(2, (901_000, 902_000), 0);
    let page = page_of(&[thread]);
    assert_eq!(rows(&page, "functions").len(), 2);
    let shapes = rows(&page, "shapes");
    assert!(shapes.len() == 1 && shapes[0].starts_with("sgemm (none, "), "{shapes:?}");
    assert!(figures_of(&page).contains("Time in rocBLAS 900 us"), "there is one thread");
}

#[test]
fn all_calls_in_flight_are_counted() {
    let thread = |number| {
        let mut thread = ThreadFile::new(number, "worker");
        for n in 0..200 {
            thread.sgemm(1, (1_000 + n, 0), 0);
        }
        thread
    };
    let page = page_of(&[thread(1), thread(2), thread(3)]);
    assert!(figures_of(&page).contains(" In flight 600 "), "{}", figures_of(&page));
    assert_eq!(rows(&page, "in-flight").len(), MOST_LISTED);
    assert!(text(section(&page, "in-flight")).ends_with("and 550 more calls"));
}

#[test]
fn a_page_that_was_made_while_the_program_called_says_so() {
    const SENTENCE: &str = "The program was being traced while this page was made";
    let directory = directory();
    let mut own = process("/bin/own", std::process::id());
    own.started = rocblas_trace::read::started(own.pid).expect("it runs");
    own.boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("a text");
    own.boot.truncate(own.boot.trim_end().len());
    let mut thread = ThreadFile::new(1, "main");
    thread.sgemm(1, (1_000, 2_000), 0);
    write(directory.path(), &own, &[thread]);
    assert!(report(directory.path()).expect("a page").contains(SENTENCE));
    // Another process with the same PID, and one from before the machine was rebooted.
    let mut other = own.clone();
    other.started += 1;
    own.boot = "before".to_owned();
    for gone in [other, own] {
        write(directory.path(), &gone, &[]);
        assert!(!report(directory.path()).expect("a page").contains(SENTENCE));
    }
}

#[test]
fn the_environment_says_what_ran_and_what_was_recorded() {
    let directory = directory();
    let mut of = process("/usr/bin/llama-server", 4711);
    of.environment.insert("HIP_VISIBLE_DEVICES".to_owned(), "1".to_owned());
    of.settings.min = 10_000;
    of.settings.functions = vec!["*gemm*".to_owned()];
    of.settings.ring = Some(1 << 20);
    write(directory.path(), &of, &[ThreadFile::new(1, "main")]);
    let page = report(directory.path()).expect("a page");
    let environment = text(section(&page, "environment"));
    for expected in [
        "Command /usr/bin/llama-server -m model.gguf Program",
        "Host workstation",
        "Start of the trace 2023-11-14 22:13:20 UTC",
        "State the process is over",
        "Shim 0.1.0",
        "Backend 6.3.0 (4.3.0) /opt/backends/6.3.0/librocblas.so.4",
        "Promises kept version",
        "Recorded only functions *gemm* only calls of at least 10.0 us only the last 1,048,576 bytes",
        "Clock tsc, 1.000 GHz",
        "HIP_VISIBLE_DEVICES 1",
    ] {
        assert!(environment.contains(expected), "no {expected:?} in {environment}");
    }
}

#[test]
fn long_texts_are_cut_off() {
    let directory = directory();
    let long = "x".repeat(1_000_000);
    let mut of = process(&long, 4711);
    of.arguments.push(long.clone());
    of.environment.insert(long.clone(), long.clone());
    (of.host, of.backend.name, of.shim) = (long.clone(), long.clone(), long.clone());
    let sgemm = usize::from(rocblas_abi::by_name("rocblas_sgemm").expect("there").index);
    of.functions = (0..rocblas_abi::C_EXPORTS).map(|n| n.to_string()).collect();
    of.functions[sgemm] = long.clone();
    of.table = 7;
    let mut thread = ThreadFile::new(1, "main");
    for n in 0..100 {
        thread.sgemm(2, (n * 1_000, n * 1_000 + 900), 0);
    }
    thread.sgemm(2, (200_000, 0), 0);
    write(directory.path(), &of, &[thread]);
    let page = report(directory.path()).expect("a page");
    assert!(page.len() < 120_000, "{}", page.len());
    assert!(rows(&page, "functions")[0].starts_with("xxxx"), "the function is shown");
    assert_eq!(rows(&page, "functions").len(), 1);
}

#[test]
fn names_paths_and_command_lines_are_only_text() {
    const SCRIPT: &str = "</script><script>alert(1)</script>";
    const IMAGE: &str = "\"'><img src=x onerror=alert(1)>";
    let directory = directory();
    let mut of = process(&format!("/bin/{IMAGE}{SCRIPT}"), 4711);
    let hostile = [SCRIPT, IMAGE].concat();
    of.arguments = vec![hostile.clone(), "{{ 7 * 7 }}{% raw %}".to_owned()];
    of.host = hostile.clone();
    of.shim = hostile.clone();
    of.backend.name = hostile.clone();
    of.backend.path = hostile.clone();
    of.promises = vec![hostile.clone()];
    of.clock.kind = hostile.clone();
    of.settings.functions = vec![hostile.clone()];
    of.environment.insert(hostile.clone(), hostile.clone());
    // A function that this program does not know is shown by its name in the trace.
    let sgemm = usize::from(rocblas_abi::by_name("rocblas_sgemm").expect("there").index);
    of.functions = (0..rocblas_abi::C_EXPORTS).map(|_| hostile.clone()).collect();
    of.functions[0] = "rocblas_sgemm".to_owned();
    of.table = 7;
    let mut thread = ThreadFile::new(1, "\"><img src=x>");
    thread.device(0, IMAGE, SCRIPT);
    thread.sgemm(2, (1_000, 2_000), 0).sgemm(2, (3_000, 0), 0);
    write(&directory.path().join("<img src=x onerror=alert(2)>"), &of, &[thread]);
    assert_ne!(sgemm, 0, "otherwise its name is a known one");
    let page = report(directory.path()).expect("a page");
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (1, 1));
    assert!(!page.contains("<img"));
    // Anything that looks like an event attribute is in text, after an escaped bracket.
    for before in page.split("onerror").take(page.matches("onerror").count()) {
        assert!(
            before.ends_with("&lt;img src=x "),
            "{}",
            &before[before.len().saturating_sub(80)..]
        );
    }
    assert!(page.matches("&lt;img src=x onerror=alert(1)&gt;").count() > 15, "they are shown");
    assert!(page.contains("title=\"thread 1, &quot;&gt;&lt;img src=x&gt;, tid"));
    assert!(page.contains("{{ 7 * 7 }}{% raw %}"), "what looks like a template is text");
    assert!(page.contains("onerror=alert(2)"), "the directory");
    assert!(rows(&page, "functions")[0].starts_with(SCRIPT), "the function");
}

#[test]
fn nothing_is_fetched_and_nothing_but_the_pages_own_script_may_run() {
    let page = page_of(&[ThreadFile::new(1, "main")]);
    let policy = between(&page, "http-equiv=\"Content-Security-Policy\" content=\"", "\"")[0];
    let word = between(&page, "<script nonce=\"", "\"")[0];
    assert_eq!(word.len(), 64);
    assert!(policy.starts_with("default-src 'none'; "), "{policy}");
    assert!(policy.contains(&format!("script-src 'nonce-{word}'")), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    for address in ["http:", "https:", "src=\"", "@import"] {
        assert!(!page.contains(address), "{address}");
    }
    let fetched = between(&page, "url(", ")").into_iter().filter(|url| !url.starts_with('#'));
    assert_eq!(fetched.count(), 0);
    let mut other = ThreadFile::new(1, "main");
    other.sgemm(1, (1, 2), 0);
    let other = page_of(&[other]);
    assert_ne!(between(&other, "<script nonce=\"", "\"")[0], word, "it depends on the trace");
}

#[test]
fn gpu_times_have_columns_and_are_among_the_single_calls() {
    let mut thread = ThreadFile::new(1, "main");
    thread.sgemm(100, (1_000, 2_000), 0);
    thread.timed_sgemm(100, (3_000, 4_000), 7_000).timed_sgemm(100, (5_000, 6_000), 3_000);
    let page = page_of(&[thread]);
    // Each call has 2 * 100 * 5 * 7 operations, in 5 us of the GPU on average.
    assert_eq!(
        rows(&page, "shapes"),
        [
            "sgemm (none, transpose, m=100, n=5, k=7) 3 1.00 us 2.00 us 100.0% 1.00 us 1.00 us 1.00 us \
          21.0 k 20.8 k 5.00 us 15.0 us 1.40 G 1.39 G"
        ]
    );
    assert!(text(section(&page, "shapes")).contains("FLOP/s and bytes/s are of GPU time"));
    assert!(text(section(&page, "rates")).contains("by the mean GPU time"));
    let calls = between(section(&page, "time-line"), "<template>", "</template>");
    assert_eq!(calls, ["rs.rs.0.2.-1 1jk.rs.0.0.0.5eh 1jk.rs.0.0.1.2bd"]);
}

/// Threads whose calls are as many and as varied as possible.
fn busy_threads(count: u32, calls: u64) -> Vec<ThreadFile> {
    let busy = |number| {
        let mut thread = ThreadFile::new(number, "busy-thread-name");
        let functions = ["sscal", "dscal", "cscal", "zscal", "csscal", "zdscal", "scopy"];
        let mut clock = 1_000_000;
        for n in 0..calls {
            let name = format!("rocblas_{}", functions[n as usize % functions.len()]);
            // An occasional long call, so that there are bars as well.
            let time = if n % 97 == 0 { 3_000_000 } else { 200_000 };
            let size = n * u64::from(number) % 30_000;
            let status = if n % 11 == 0 { 6 } else { 0 };
            thread.call(&name, &[1, size], (clock, clock + time), status);
            clock += time + 50_000;
        }
        thread
    };
    (1..=count).map(busy).collect()
}

#[test]
fn a_page_has_a_size_that_does_not_depend_on_the_traces() {
    let one = page_of(&busy_threads(1, 60_000)).len();
    assert!(one < 1_500_000, "one thread: {one} bytes");
    let many = page_of(&busy_threads(MOST_LANES as u32 + 20, 2_000)).len();
    assert!(many < 2_500_000, "many threads: {many} bytes");
}

#[test]
fn lanes_of_several_threads_and_processes_share_a_time_line() {
    let directory = directory();
    let first = process("/bin/first", 10);
    let mut second = process("/bin/second", 20);
    second.clock.start.realtime += 2_000_000;
    let mut threads = [ThreadFile::new(1, "main"), ThreadFile::new(2, "worker")];
    threads[0].sgemm(1, (0, 1_000_000), 0);
    threads[1].sgemm(1, (500_000, 600_000), 0).sgemm(1, (900_000, 0), 0);
    write(&directory.path().join("a"), &first, &threads);
    let mut other = ThreadFile::new(1, "main");
    other.call("rocblas_sscal", &[1, 5], (100_000, 800_000), 6);
    write(&directory.path().join("b"), &second, &[other]);

    let lanes = lanes_in(directory.path());
    let found: Vec<_> = lanes
        .threads
        .iter()
        .map(|t| (t.process, t.number, t.name.as_str(), t.tid, t.lane.counts(), t.lane.time()))
        .collect();
    assert_eq!(
        found,
        [
            (0, 1, "main", 1001, (1, 0, 0), 1_000_000.0),
            (0, 2, "worker", 1002, (2, 0, 1), 100_000.0),
            (1, 1, "main", 1001, (1, 1, 0), 700_000.0),
        ]
    );
    // The second process started two milliseconds later.
    let begins = |n: usize| {
        let bars = lanes.threads[n].lane.bars().iter();
        bars.map(|bar| bar.span.begin).collect::<Vec<_>>()
    };
    assert_eq!([begins(0), begins(1), begins(2)], [vec![0.0], vec![500_000.0], vec![2_100_000.0]]);
    assert_eq!(lanes.threads[1].lane.in_flight()[0].span.begin, 900_000.0);
    assert!(lanes.threads.iter().all(|thread| thread.lane.width() == lanes.width));
    assert_eq!(lanes.range, (0, (2_800_000.0 / lanes.width).floor() as i64));
    assert_eq!(lanes.threads[2].lane.bars()[0].span.colour, 1, "sscal has less time than sgemm");

    let page = report(directory.path()).expect("a page");
    let names = between(section(&page, "time-line"), "<h3>", "</h3>");
    assert_eq!(names, ["first (process 10)", "second (process 20)"]);
    assert_eq!(
        rows(&page, "failed"),
        ["internal_error 1 rocblas_sscal(n=5, incx=0) 0.002100 s 1 main, second (process 20)"]
    );
    assert_eq!(
        rows(&page, "in-flight"),
        [
            "rocblas_sgemm(none, transpose, m=1, n=5, k=7, lda=0, ldb=0, ldc=0) 0.000900 s 2 worker, \
          first (process 10)"
        ]
    );
}

#[test]
fn threads_that_matter_least_are_only_counted() {
    let directory = directory();
    let count = MOST_LANES as u64 + 3;
    let thread = |n: u64| {
        let mut thread = ThreadFile::new(n as u32, "worker");
        // Later calls take longer; the first one failed.
        thread.sgemm(1, (1_000, 1_000 + n * 100), if n == 1 { 6 } else { 0 });
        thread
    };
    let threads: Vec<ThreadFile> = (1..=count).map(thread).collect();
    write(directory.path(), &process("/bin/many", 1), &threads);
    let lanes = lanes_in(directory.path());
    let numbers: Vec<u32> = lanes.threads.iter().map(|thread| thread.number).collect();
    assert_eq!(numbers.len(), MOST_LANES);
    assert_eq!(numbers[..3], [1, 5, 6]);
    assert_eq!(lanes.rest, Rest { threads: 3, calls: 3, time: 900.0 });
    let page = report(directory.path()).expect("a page");
    assert!(page.contains("3 more threads with 3 calls in 900 ns have no lane."));
}

#[test]
fn calls_within_others_and_calls_left_by_an_exception_have_a_place() {
    let directory = directory();
    let mut thread = ThreadFile::new(1, "main");
    thread.sgemm(1, (1_000, 9_000), 0);
    thread.call_at_depth(1, "rocblas_sscal", &[1, 5], (2_000, 4_000), 0);
    thread.leave("rocblas_saxpy", 9_500);
    write(directory.path(), &process("/bin/nests", 1), &[thread]);
    let lanes = lanes_in(directory.path());
    let lane = &lanes.threads[0].lane;
    assert_eq!((lane.counts(), lane.time()), ((3, 0, 0), 8_000.0));
    let depths: Vec<u8> = lane.bars().iter().map(|bar| bar.span.depth).collect();
    assert_eq!(depths, [0, 1]);
    let left = lane.columns().iter().find_map(|column| column.only.as_deref());
    assert_eq!(left, Some("rocblas_saxpy(n=0, incx=0, incy=0) = left by an exception"));
    let page = report(directory.path()).expect("a page");
    let missing = text(section(&page, "missing"));
    let expected = "Calls that have not an exit: they were left by an exception (1)";
    assert!(missing.contains(expected), "{missing}");
}

#[test]
fn what_is_damaged_or_missing_is_said() {
    let directory = directory();
    let mut full = ThreadFile::new(2, "full");
    (full.state, full.errno) = (State::Failed, 28);
    full.sgemm(1, (1_000, 2_000), 0);
    let mut first = ThreadFile::new(1, "first");
    first.sgemm(1, (1_000, 2_000), 0).sgemm(2, (3_000, 4_000), 0);
    write(directory.path(), &process("/bin/program", 9), &[first, full]);
    let file = directory.path().join("thread-0001.trace");
    let mut bytes = fs::read(&file).expect("readable");
    bytes[4096 + 48] ^= 1;
    fs::write(&file, bytes).expect("write");
    fs::write(directory.path().join("thread-0003.trace"), "no trace").expect("write");
    let page = report(directory.path()).expect("a page");
    let missing = text(section(&page, "missing"));
    for expected in [
        "Thread 2 of program (process 9) was recorded up to a point: its file could not grow: No \
         space left on device",
        "thread-0001.trace: 176 bytes at offset 0x1030 are damaged: 1 records are missing",
        "thread-0003.trace is no trace: it is shorter than a header",
    ] {
        assert!(missing.contains(expected), "no {expected:?} in {missing}");
    }
    fs::remove_file(directory.path().join("process.json")).expect("remove");
    let page = report(directory.path()).expect("a page");
    let missing = text(section(&page, "missing"));
    assert!(missing.contains("process.json: No such file"), "{missing}");
    assert_eq!(rows(&page, "functions").len(), 1);
}

#[test]
fn long_lists_are_cut_off_and_say_so() {
    let list = List::of(0..MOST_LISTED + 1200);
    assert_eq!((list.items.len(), list.more.as_deref()), (MOST_LISTED, Some("1,200")));
    assert_eq!(List::of(0..MOST_LISTED).more, None);
}

#[test]
fn a_trace_without_calls_has_a_page() {
    let page = page_of(&[]);
    assert!(text(section(&page, "time-line")).contains("No calls were recorded."));
    let shapes = text(section(&page, "shapes"));
    assert!(shapes.ends_with("No calls with a shape were recorded."), "{shapes}");
    assert!(report(&directory().path().join("nothing")).is_err());
    let empty = directory();
    let (page, nothing) = super::report(empty.path()).expect("a page");
    let nothing = nothing.expect("a sentence");
    assert!(between(&page, "<p class=\"note\">", "</p>")[0].contains("No rocBLAS call"), "{page}");
    assert!(nothing.starts_with("No rocBLAS call was recorded: "), "{nothing}");
}

/// The relative luminance of `#rrggbb`, as WCAG 2 defines it.
fn luminance(colour: &str) -> f64 {
    let part = |i: usize| {
        let part = u8::from_str_radix(&colour[i..i + 2], 16).expect("hexadecimal");
        let part = f64::from(part) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * part(1) + 0.7152 * part(3) + 0.0722 * part(5)
}

#[test]
fn texts_and_colours_of_every_scheme_have_enough_contrast() {
    let schemes = between(include_str!("style.css"), ":root {", "}");
    assert_eq!(schemes.len(), 3, "light, dark, print");
    for scheme in schemes {
        let colour = |name: &str| {
            let found = between(scheme, &format!("--{name}: "), ";");
            found.first().copied().unwrap_or_else(|| panic!("no {name} in {scheme}"))
        };
        let contrast = |a: &str, b: &str| {
            let (a, b) = (luminance(colour(a)), luminance(colour(b)));
            (a.max(b) + 0.05) / (a.min(b) + 0.05)
        };
        for ground in ["background", "raised"] {
            for name in ["text", "quiet", "accent", "bad"] {
                assert!(contrast(name, ground) >= 4.5, "{name} on {ground}: {scheme}");
            }
        }
        for n in 0..colours::COLOURS {
            let name = format!("f{n}");
            assert!(contrast(&name, "background") >= 3.0, "{name}: {scheme}");
        }
    }
}
