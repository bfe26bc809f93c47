//! Flame graphs of the recorded call stacks, and a table of callers.
//!
//! A box is a function. It is drawn below its caller, with a width proportional to its share of the calls or
//! of their time. The lowest boxes are rocBLAS functions, in their colours.

use super::{
    colours::{Colours, short},
    tables::Cell,
    text::{coordinate, grouped, percent, shortened, time},
};
use crate::trace::{
    stacks,
    summary::{Callers, Calls},
};
use serde::Serialize;
use std::collections::BTreeMap;

/// The height of a box.
const HEIGHT: usize = 18;

/// The most boxes of a picture: the widest are drawn.
const MOST_BOXES: usize = 1000;

/// The minimum width of a box, as a fraction of the picture's: narrower ones are invisible.
const NARROWEST: f64 = 0.0005;

/// The most rows of the table.
const MOST_ROWS: usize = 200;

/// The most callers listed in a row.
const MOST_CALLERS: usize = 3;

/// The most characters of a title.
const MOST_CHARACTERS: usize = 200;

/// The page's section on callers.
#[derive(Debug, Default, Serialize)]
pub(super) struct Flames {
    /// How the stacks were recorded.
    source: String,
    pictures: Vec<Picture>,
    rows: Vec<Line>,
    left_out: Option<String>,
    has_gpu: bool,
}

/// A flame graph.
#[derive(Debug, Serialize)]
struct Picture {
    /// What the width represents.
    of: &'static str,
    height: usize,
    boxes: Vec<Flame>,
}

/// A box.
#[derive(Debug, Serialize)]
struct Flame {
    x: String,
    y: usize,
    width: String,
    /// The colour of a rocBLAS function.
    colour: Option<usize>,
    name: String,
    title: String,
    #[serde(skip)]
    share: f64,
}

/// Calls of a function from the same place.
#[derive(Debug, Serialize)]
struct Line {
    colour: usize,
    function: String,
    callers: String,
    calls: Cell,
    /// Share of the function's calls.
    share: String,
    time: Cell,
    gpu: Option<Cell>,
}

/// A function in a stack, with those that it called. A caller's name includes its module. Callers are ordered
/// before rocBLAS functions.
#[derive(Debug, Default)]
struct Node {
    weight: f64,
    called: BTreeMap<(bool, String), Node>,
}

/// The pictures and the table; empty if no stack was recorded.
pub(super) fn flames(callers: &Callers, colours: &Colours) -> Flames {
    if callers.stacks.is_empty() {
        return Flames::default();
    }
    let has_gpu = callers.stacks.iter().any(|stack| stack.gpu.is_some());
    let calls: fn(&Calls) -> f64 = |stack| stack.calls as f64;
    let count: fn(f64) -> String = |calls| crate::output::count(calls as u64, "call");
    let mut pictures = vec![
        picture("calls", &callers.stacks, calls, count, colours),
        picture("time on the host", &callers.stacks, |stack| stack.time, time, colours),
    ];
    if has_gpu {
        let gpu: fn(&Calls) -> f64 = |stack| stack.gpu.unwrap_or(0.0);
        pictures.push(picture(
            "time on the GPU, where measured",
            &callers.stacks,
            gpu,
            time,
            colours,
        ));
    }
    let mut rows = callers.innermost(MOST_CALLERS);
    let mut of_function: BTreeMap<String, u64> = BTreeMap::new();
    for row in &rows {
        *of_function.entry(row.function.clone()).or_default() += row.calls;
    }
    let left_out = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    let line = |row: &Calls| Line {
        colour: colours.of_name(&row.function),
        function: short(&row.function),
        callers: stacks::line(&row.callers, MOST_CALLERS),
        calls: Cell::count(row.calls),
        share: percent(row.calls as f64, of_function[&row.function] as f64),
        time: Cell::time(row.time),
        gpu: row.gpu.map(Cell::time),
    };
    Flames {
        source: callers.source(),
        pictures,
        rows: rows.iter().map(line).collect(),
        left_out: (left_out > 0).then(|| grouped(left_out as u64)),
        has_gpu,
    }
}

fn picture(
    of: &'static str,
    stacks: &[Calls],
    weight: fn(&Calls) -> f64,
    shown: fn(f64) -> String,
    colours: &Colours,
) -> Picture {
    let mut root = Node::default();
    for stack in stacks {
        let weight = weight(stack);
        root.weight += weight;
        let mut node = &mut root;
        let outer = stack.callers.iter().rev().map(|frame| (false, frame.to_string()));
        for key in outer.chain([(true, stack.function.clone())]) {
            node = node.called.entry(key).or_default();
            node.weight += weight;
        }
    }
    let mut boxes = Vec::new();
    let title = |(is_rocblas, name): &(bool, String), weight: f64| {
        let name = if *is_rocblas { short(name) } else { shortened(name, MOST_CHARACTERS) };
        format!("{name}: {}, {}", shown(weight), percent(weight, root.weight))
    };
    // Nodes still to be drawn, with their positions.
    let mut rest = vec![(&root, 0.0, 0)];
    while let Some((node, mut x, depth)) = rest.pop() {
        let mut called: Vec<_> = node.called.iter().collect();
        called.sort_by(|(_, a), (_, b)| b.weight.total_cmp(&a.weight));
        for (key, callee) in called {
            let share = callee.weight / root.weight;
            // False also for NaN, if there is no time at all.
            if share >= NARROWEST {
                let (is_rocblas, name) = key;
                let plain = name.rsplit_once(" (").map_or(name.as_str(), |(plain, _)| plain);
                boxes.push(Flame {
                    x: coordinate(x * 100.0),
                    y: depth * HEIGHT,
                    width: coordinate(share * 100.0),
                    colour: is_rocblas.then(|| colours.of_name(name)),
                    name: if *is_rocblas { short(name) } else { shortened(plain, MOST_CHARACTERS) },
                    title: title(key, callee.weight),
                    share,
                });
                rest.push((callee, x, depth + 1));
            }
            x += share;
        }
    }
    // A box comes after the one above it, which is at least as wide. A stable sort keeps that order.
    boxes.sort_by(|a, b| b.share.total_cmp(&a.share));
    boxes.truncate(MOST_BOXES);
    let height = boxes.iter().map(|flame| flame.y + HEIGHT).max().unwrap_or(0);
    Picture { of, height, boxes }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trace::stacks::Frame;
    use std::sync::Arc;

    fn calls(function: &str, callers: &[&str], calls: u64, time: f64) -> Calls {
        let frame = |name: &&str| {
            Arc::new(Frame { name: (*name).to_owned(), module: Some("client".to_owned()) })
        };
        let callers = callers.iter().map(frame).collect();
        Calls { function: format!("rocblas_{function}"), callers, calls, time, gpu: None }
    }

    fn flames_of(stacks: Vec<Calls>) -> Flames {
        let calls = stacks.iter().map(|stack| stack.calls).sum();
        let callers = Callers { every: Some(10), calls, stacks, left_out: 0 };
        flames(&callers, &Colours::of(&[]))
    }

    #[test]
    fn a_box_is_below_its_caller_and_as_wide_as_its_share() {
        let flames = flames_of(vec![
            calls("sgemm", &["solve", "main"], 6, 10.0),
            calls("strsm", &["solve", "main"], 3, 30.0),
            calls("sgemm", &["main"], 1, 0.0),
        ]);
        let boxes = |number: usize| -> Vec<String> {
            let boxes = flames.pictures[number].boxes.iter();
            boxes.map(|b| format!("{} {} {} {}", b.name, b.x, b.y, b.width)).collect()
        };
        let by_calls =
            ["main 0 0 100", "solve 0 18 90", "sgemm 0 36 60", "strsm 60 36 30", "sgemm 90 18 10"];
        assert_eq!(boxes(0), by_calls);
        // Functions that took no time are not drawn.
        assert_eq!(boxes(1), ["main 0 0 100", "solve 0 18 100", "strsm 0 36 75", "sgemm 75 36 25"]);
        assert_eq!((flames.pictures.len(), flames.pictures[0].height), (2, 54));
        let title = &flames.pictures[0].boxes[2].title;
        assert_eq!(title, "sgemm: 6 calls, 60.0%");
        assert_eq!(flames.source, "the stacks of one of 10 calls of a thread (10 in all)");
        let rows = flames.rows.iter();
        let rows = rows.map(|row| format!("{} {} {}", row.function, row.callers, row.share));
        assert_eq!(
            rows.collect::<Vec<_>>(),
            [
                "sgemm solve (client) < main (client) 85.7%",
                "strsm solve (client) < main (client) 100.0%",
                "sgemm main (client) 14.3%",
            ]
        );
    }

    #[test]
    fn the_page_stays_small_however_many_stacks_there_are() {
        let stacks = (0..2000).map(|n| {
            let names: Vec<String> = (0..64).map(|depth| format!("f{n}_{depth}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            calls("sgemm", &names, 1, 1.0)
        });
        let flames = flames_of(stacks.collect());
        assert!(flames.pictures.iter().all(|picture| picture.boxes.len() <= MOST_BOXES));
        assert_eq!((flames.rows.len(), flames.left_out.as_deref()), (MOST_ROWS, Some("1,800")));
        assert!(flames_of(Vec::new()).pictures.is_empty());
    }
}
