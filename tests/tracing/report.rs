//! The page of a trace in a real browser: it runs, complains of nothing, asks for nothing, fits the
//! window, is light or dark as the reader wants it, and can be used by keyboard and without its script.

use crate::{
    Program,
    browser::{Browser, program},
};
use serde_json::{Value as Json, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};
use tests::{
    artefacts::{self, workspace},
    run::run,
    skip::skip,
};

/// What would be code if it were not text; a thread of `report.c` has a name like this too.
const HOSTILE: &str = "</script><img src=x onerror=document.body.remove()>";

/// Where the page and pictures of it go, for someone to look at.
fn place() -> PathBuf {
    workspace().join("target/report")
}

/// The page of a traced run of `report.c`.
fn page() -> &'static Path {
    static PAGE: OnceLock<PathBuf> = OnceLock::new();
    PAGE.get_or_init(|| {
        let program = Program::new("report.c", artefacts::reference());
        run(program.command().env("HIP_VISIBLE_DEVICES", HOSTILE)).silent_success();
        fs::create_dir_all(place()).expect("make a directory");
        let file = place().join("report.html");
        let mut installer = Command::new(artefacts::installer());
        let command = ["--json", "trace", "report", "--output"];
        installer.args(command).arg(&file).arg(program.traces());
        let ended = run(&mut installer).silent_success();
        let answer: Json = serde_json::from_str(&ended.stdout).expect("JSON");
        let bytes = file.metadata().expect("a file").len();
        assert_eq!(answer, json!({"schema": 1, "file": file, "bytes": bytes}));
        file
    })
}

/// A browser with the page, if there is one.
fn browser(what: &str) -> Option<Browser> {
    let chromium = program();
    if chromium.is_none() {
        skip(what, "no Chromium");
    }
    let mut browser = Browser::start(chromium?);
    browser.open(page(), 1280, "light");
    Some(browser)
}

/// Of a picture: the colour in its corner, the part of pixels with another one, and its width.
fn seen(picture: &[u8]) -> ([u8; 3], f64, u32) {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(picture));
    decoder.set_transformations(png::Transformations::normalize_to_color8());
    let mut reader = decoder.read_info().expect("PNG");
    let mut bytes = vec![0; reader.output_buffer_size().expect("it fits")];
    let info = reader.next_frame(&mut bytes).expect("a picture");
    let pixels = bytes[..info.buffer_size()].chunks_exact(info.color_type.samples());
    let corner = [bytes[0], bytes[1], bytes[2]];
    let others = pixels.clone().filter(|pixel| pixel[..3] != corner).count();
    (corner, others as f64 / pixels.count() as f64, info.width)
}

#[test]
fn the_page_of_a_trace_is_seen_in_light_in_dark_and_in_a_narrow_window() {
    let Some(mut browser) = browser("the report in a browser") else { return };
    let windows = [("light", 1280, "light"), ("dark", 1280, "dark"), ("narrow", 400, "light")];
    for (name, width, scheme) in windows {
        browser.open(page(), width, scheme);
        assert_eq!(browser.evaluate("document.documentElement.dataset.script"), "ready");
        let wide = browser.evaluate("document.documentElement.scrollWidth");
        assert_eq!(wide, width, "the page is wider than a window of {width}");
        let picture = browser.picture();
        fs::write(place().join(name).with_extension("png"), &picture).expect("write a picture");
        let (corner, others, wide) = seen(&picture);
        match scheme {
            "dark" => assert!(corner.iter().all(|part| *part < 50), "{name}: {corner:?}"),
            _ => assert!(corner.iter().all(|part| *part > 240), "{name}: {corner:?}"),
        }
        assert!((0.02..0.5).contains(&others), "{name}: {others} of the pixels are no background");
        assert_eq!(wide, width);
        assert_eq!(browser.requests(), [format!("file://{}", page().display())]);
        assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
    }
}

#[test]
fn what_a_trace_says_is_text_in_a_browser() {
    let Some(mut browser) = browser("hostile names in a browser") else { return };
    assert_eq!(browser.evaluate("document.querySelectorAll('img, b').length"), 0);
    assert_eq!(browser.evaluate("document.scripts.length"), 1);
    let text = browser.evaluate("document.body.innerText");
    let text = text.as_str().expect("a text");
    assert!(text.contains(HOSTILE) && text.contains("<b>encoder</b>"), "{text}");
}

#[test]
fn rows_are_sorted_by_keyboard_and_filtered_by_typing() {
    let Some(mut browser) = browser("sorting and filtering in a browser") else { return };
    let visible = "[...document.querySelectorAll('#shapes tbody tr')].filter((row) => !row.hidden)\
                   .map((row) => row.cells[0].textContent)";
    let at_first = browser.evaluate(visible);
    let count = at_first.as_array().expect("rows").len();
    assert!(count > 8, "{at_first}");

    let head = "[...document.querySelectorAll('#shapes thead th')].find((head) => \
                head.textContent === 'Failed')";
    browser.evaluate(&format!("{head}.querySelector('button').focus()"));
    browser.press("Enter", 13);
    let by_failures = browser.evaluate(visible);
    assert_eq!(by_failures[0], "strsm(left, lower, none, non_unit, m=-1, n=32)");
    assert_eq!(by_failures[1], "sgemm(none, none, m=64, n=64, k=64)");
    assert_eq!(browser.evaluate(&format!("{head}.ariaSort")), "descending");
    assert_eq!(browser.evaluate("document.querySelectorAll('#shapes [aria-sort]').length"), 1);
    browser.press("Enter", 13);
    let ascending = browser.evaluate(visible);
    assert_eq!((&ascending[0], &ascending[1]), (&by_failures[1], &by_failures[0]));
    assert_eq!(browser.evaluate(&format!("{head}.ariaSort")), "ascending");

    browser.evaluate("document.querySelector('#shapes thead button').click()");
    let by_name = browser.evaluate(visible);
    let first = by_name[0].as_str();
    assert!(first.is_some_and(|name| name.starts_with("saxpy(")), "{by_name}");

    browser.evaluate("document.querySelector('#shapes input').focus()");
    browser.write("SGEMM n=64");
    let filtered = browser.evaluate(visible);
    let names = filtered.as_array().expect("rows");
    assert_eq!(names.len(), 3, "{filtered}");
    assert!(names.iter().all(|name| name.as_str().is_some_and(|n| n.contains("n=64"))));
    let output = browser.evaluate("document.querySelector('#shapes output').textContent");
    assert_eq!(output, format!("3 of {count} rows"));
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[test]
fn a_call_is_told_by_pointer_and_by_keyboard() {
    let Some(mut browser) = browser("tooltips in a browser") else { return };
    let tip = "document.getElementById('tip').textContent";
    assert_eq!(browser.evaluate(tip), "");
    let middle = browser.evaluate(
        "(() => { const mark = document.querySelector('.lane rect.f0'); \
         mark.scrollIntoView({block: 'center'}); const box = mark.getBoundingClientRect(); \
         return {x: box.x + box.width / 2, y: box.y + box.height / 2}; })()",
    );
    // Scrolling hides what is told, a frame later.
    browser.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))");
    let mut event = middle;
    event["type"] = json!("mouseMoved");
    browser.call("Input.dispatchMouseEvent", event);
    let told = browser.evaluate(tip);
    let call = "rocblas_sgemm(none, transpose, m=1536, n=1536, k=1536, alpha=1, lda=1536, ldb=1536, \
                beta=0, ldc=1536) = in flight, from ";
    assert!(told.as_str().is_some_and(|told| told.starts_with(call)), "{told}");

    browser.evaluate("document.querySelector('.lane').focus({preventScroll: true})");
    browser.press("ArrowRight", 39);
    let first = browser.evaluate(tip);
    assert!(first.as_str().is_some_and(|t| t.contains("create_handle")), "{first}");
    browser.press("ArrowRight", 39);
    assert_ne!(browser.evaluate(tip), first);
    browser.press("End", 35);
    let last = browser.evaluate(tip);
    assert!(last.as_str().is_some_and(|t| t.contains("destroy_handle")), "{last}");
    browser.press("Escape", 27);
    assert_eq!(browser.evaluate(tip), "");
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[test]
fn the_page_is_complete_without_its_script() {
    let Some(mut browser) = browser("the report without its script") else { return };
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(page(), 1280, "light");
    assert_eq!(browser.evaluate("document.documentElement.dataset.script ?? 'none'"), "none");
    // What would do nothing is not there.
    assert_eq!(browser.evaluate("document.querySelectorAll('button').length"), 0);
    assert_eq!(browser.evaluate("document.querySelector('.filter').offsetHeight"), 0);
    let rows = browser.evaluate("document.querySelectorAll('#shapes tbody tr').length");
    assert!(rows.as_u64().is_some_and(|rows| rows > 8), "{rows}");
    assert_eq!(browser.evaluate("document.querySelectorAll('.lane').length"), 3);
    let titles = browser.evaluate("document.querySelectorAll('.lane title').length");
    assert!(titles.as_u64().is_some_and(|titles| titles > 100), "{titles}");
}
