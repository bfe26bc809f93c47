//! The page of a trace in a real browser: it runs without errors, makes no network requests, fits the window, follows
//! the reader's colour scheme, and can be used by keyboard and without its script.

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

/// Text that would be code if it were not escaped; a thread of `report.c` has a similar name.
const HOSTILE: &str = "</script><img src=x onerror=document.body.remove()>";

/// The directory for the page and screenshots of it, for inspection.
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

/// A browser with the page, if one is installed.
fn browser(what: &str) -> Option<Browser> {
    let chromium = program();
    if chromium.is_none() {
        skip(what, "no Chromium");
    }
    let mut browser = Browser::start(chromium?);
    browser.open(page(), 1280, "light");
    Some(browser)
}

/// Properties of a screenshot: the colour in its corner, the fraction of pixels with other colours, and its width.
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
    // Scrolling hides the tooltip, one frame later.
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

/// The visible range of time, in nanoseconds.
#[track_caller]
fn view(browser: &mut Browser) -> (f64, f64) {
    let frame = "new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)))";
    // The effect of the wheel is drawn with the next frame.
    browser.evaluate(frame);
    let ends =
        "(({from, to}) => [Number(from), Number(to)])(document.getElementById('time').dataset)";
    let ends = browser.evaluate(ends);
    let end = |n: usize| ends[n].as_f64().unwrap_or_else(|| panic!("{ends}"));
    (end(0), end(1))
}

/// A point in the first lane: at a fraction of its width from the left, vertically in the middle.
#[track_caller]
fn in_lane(browser: &mut Browser, part: f64) -> Json {
    let place = format!(
        "(() => {{ const lane = document.querySelector('.lane'); \
         lane.scrollIntoView({{block: 'center'}}); const box = lane.getBoundingClientRect(); \
         return {{x: box.x + box.width * {part}, y: box.y + box.height / 2}}; }})()"
    );
    browser.evaluate(&place)
}

fn mouse(browser: &mut Browser, kind: &str, mut place: Json, more: &Json) {
    place["type"] = json!(kind);
    for (name, value) in more.as_object().expect("members") {
        place[name] = value.clone();
    }
    browser.call("Input.dispatchMouseEvent", place);
}

#[track_caller]
fn assert_near(a: f64, b: f64, tolerance: f64) {
    assert!((a - b).abs() <= tolerance, "{a} is not {b}, to {tolerance}");
}

#[test]
fn the_time_line_is_enlarged_by_the_wheel_and_moved_by_dragging() {
    let Some(mut browser) = browser("the time line and a mouse") else { return };
    let whole = view(&mut browser);
    let length = whole.1 - whole.0;
    let box_of_drawing = "document.querySelector('.drawn').getAttribute('viewBox')";
    let drawing = browser.evaluate(box_of_drawing);

    // Not at the start of the page, where the wheel could also scroll the page.
    let place = in_lane(&mut browser, 0.25);
    view(&mut browser);
    for _ in 0..5 {
        mouse(&mut browser, "mouseWheel", place.clone(), &json!({"deltaX": 0, "deltaY": -200}));
    }
    let near = view(&mut browser);
    let enlarged = near.1 - near.0;
    assert!(enlarged < length / 4.0, "{enlarged} of {length}");
    assert_near(near.0 + enlarged / 4.0, whole.0 + length / 4.0, length / 500.0);
    let singles = browser.evaluate("document.querySelectorAll('.singles rect').length");
    assert!(singles.as_u64().is_some_and(|count| count > 3), "{singles}");

    // Dragging to the right shows earlier times.
    let to = in_lane(&mut browser, 0.5);
    let button = json!({"button": "left", "buttons": 1, "clickCount": 1});
    mouse(&mut browser, "mousePressed", place, &button);
    mouse(&mut browser, "mouseMoved", to.clone(), &button);
    mouse(&mut browser, "mouseReleased", to.clone(), &button);
    let moved = view(&mut browser);
    assert_near(moved.1 - moved.0, enlarged, 1.0);
    assert_near(moved.0, near.0 - enlarged / 4.0, enlarged / 100.0);

    for _ in 0..10 {
        mouse(&mut browser, "mouseWheel", to.clone(), &json!({"deltaX": 0, "deltaY": 200}));
    }
    assert_eq!(view(&mut browser), whole);
    assert_eq!(browser.evaluate(box_of_drawing), drawing, "the whole is drawn as before");
    assert_eq!(browser.evaluate("document.querySelectorAll('.singles rect').length"), 0);

    // In the overview, dragging selects a range.
    let [from, to] = [0.5, 0.75].map(|part| in_lane(&mut browser, part));
    mouse(&mut browser, "mousePressed", from, &button);
    mouse(&mut browser, "mouseMoved", to.clone(), &button);
    mouse(&mut browser, "mouseReleased", to, &button);
    let chosen = view(&mut browser);
    assert_near(chosen.0, whole.0 + length / 2.0, length / 200.0);
    assert_near(chosen.1, whole.0 + length * 0.75, length / 200.0);
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[test]
fn the_time_line_is_enlarged_and_moved_by_keys() {
    let Some(mut browser) = browser("the time line and a keyboard") else { return };
    let whole = view(&mut browser);
    let length = whole.1 - whole.0;
    browser.evaluate("document.querySelector('.lane').focus({preventScroll: true})");
    browser.press("+", 187);
    browser.press("+", 187);
    let quarter = view(&mut browser);
    assert_near(quarter.1 - quarter.0, length / 4.0, 1.0);
    assert_near(quarter.0, whole.0 + length * 3.0 / 8.0, 1.0);
    browser.press("-", 189);
    let half = view(&mut browser);
    assert_near(half.1 - half.0, length / 2.0, 1.0);

    browser.evaluate("document.querySelector('.axis').focus({preventScroll: true})");
    browser.press("ArrowRight", 39);
    assert_near(view(&mut browser).0, half.0 + length / 8.0, 1.0);
    browser.press("ArrowLeft", 37);
    assert_near(view(&mut browser).0, half.0, 1.0);
    browser.press("Home", 36);
    assert_eq!(view(&mut browser), whole);
    browser.press("Backspace", 8);
    let back = view(&mut browser);
    assert!(back.1 - back.0 < length * 0.6, "what was shown before: {back:?}");
    browser.press("0", 48);
    assert_eq!(view(&mut browser), whole);

    let message = browser.evaluate("document.querySelector('.tools output').textContent");
    assert!(message.as_str().is_some_and(|message| message.starts_with("all of ")), "{message}");
    browser.evaluate("document.querySelector('[data-do=in]').focus()");
    browser.press("Enter", 13);
    let message = browser.evaluate("document.querySelector('.tools output').textContent");
    assert!(message.as_str().is_some_and(|message| message.contains(" s to ")), "{message}");
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[test]
fn a_single_call_is_shown_with_its_arguments() {
    let Some(mut browser) = browser("a single call in a browser") else { return };
    let whole = view(&mut browser);
    let detail = "(() => { const detail = document.querySelector('.detail'); \
                  return detail.hidden ? '' : detail.innerText; })()";
    assert_eq!(browser.evaluate(detail), "");
    browser.evaluate("document.querySelector('.lane').focus({preventScroll: true})");
    browser.press("+", 187);
    browser.press("ArrowRight", 39);
    let first = browser.evaluate(detail);
    for _ in 0..8 {
        browser.press("ArrowRight", 39);
    }
    let shown = browser.evaluate(detail);
    let text = shown.as_str().expect("a text");
    assert_ne!(shown, first);
    for part in ["rocblas_s", "Outcome\n", "Host time\n", "Thread\n1 ", "Arguments\n", "n="] {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
    // Enter enlarges it: it then has a third of the width, and its own mark.
    let before = view(&mut browser);
    browser.press("Enter", 13);
    let near = view(&mut browser);
    assert!(near.1 - near.0 < (before.1 - before.0) / 10.0, "{near:?} of {before:?}");
    let part = browser.evaluate(
        "document.querySelector('.selected').getBoundingClientRect().width / \
         document.querySelector('.lane').getBoundingClientRect().width",
    );
    assert_near(part.as_f64().expect("a number"), 1.0 / 3.0, 0.02);

    // With the mouse: a click in the middle selects the call there.
    browser.press("Escape", 27);
    assert_eq!(browser.evaluate(detail), "");
    let place = in_lane(&mut browser, 0.5);
    let button = json!({"button": "left", "buttons": 1, "clickCount": 1});
    mouse(&mut browser, "mousePressed", place.clone(), &button);
    mouse(&mut browser, "mouseReleased", place, &button);
    assert_eq!(browser.evaluate(detail), shown);
    browser.evaluate("document.querySelector('[data-do=back]').click()");
    assert_eq!(view(&mut browser), before);
    browser.evaluate("document.querySelector('[data-do=whole]').click()");
    assert_eq!(view(&mut browser), whole);
    browser.evaluate("document.querySelector('.detail [data-do=close]').click()");
    assert_eq!(browser.evaluate(detail), "");
    assert!(browser.complaints().is_empty(), "{:?}", browser.complaints());
}

#[test]
fn first_calls_are_told_apart() {
    let Some(mut browser) = browser("first calls in a browser") else { return };
    browser.evaluate("document.querySelector('.lane').focus({preventScroll: true})");
    browser.press("+", 187);
    // The thread's first call, which the view follows.
    browser.press("Home", 36);
    let in_lanes = browser.evaluate("document.querySelectorAll('.singles .first').length");
    assert!(in_lanes.as_u64().is_some_and(|count| count > 0), "{in_lanes}");
    let in_histograms = browser.evaluate("document.querySelectorAll('.histogram .first').length");
    assert!(in_histograms.as_u64().is_some_and(|count| count > 3), "{in_histograms}");
    let points = browser.evaluate("document.querySelectorAll('.chart circle').length");
    assert!(points.as_u64().is_some_and(|count| count >= 8), "shapes of two charts: {points}");
}

#[test]
fn the_page_is_complete_without_its_script() {
    let Some(mut browser) = browser("the report without its script") else { return };
    browser.call("Emulation.setScriptExecutionDisabled", json!({"value": true}));
    browser.open(page(), 1280, "light");
    assert_eq!(browser.evaluate("document.documentElement.dataset.script ?? 'none'"), "none");
    // Controls that would have no effect are not shown.
    assert_eq!(browser.evaluate("document.querySelectorAll('button').length"), 0);
    assert_eq!(browser.evaluate("document.querySelector('.filter').offsetHeight"), 0);
    let rows = browser.evaluate("document.querySelectorAll('#shapes tbody tr').length");
    assert!(rows.as_u64().is_some_and(|rows| rows > 8), "{rows}");
    assert_eq!(browser.evaluate("document.querySelectorAll('.lane').length"), 3);
    let titles = browser.evaluate("document.querySelectorAll('.lane title').length");
    assert!(titles.as_u64().is_some_and(|titles| titles > 100), "{titles}");
}
