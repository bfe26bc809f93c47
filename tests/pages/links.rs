//! Links to files and headings of the project.

use crate::markdown::Page;
use tests::artefacts::workspace;

/// The targets of the links in a line, other than addresses of servers.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    let after = line.split("](").skip(1);
    after.filter_map(|rest| rest.split(')').next()).filter(|target| !target.contains("://"))
}

/// What is wrong with a link of a page.
fn fault(page: &Page, target: &str) -> Option<String> {
    let (path, anchor) = target.split_once('#').map_or((target, None), |(p, a)| (p, Some(a)));
    let directory = page.path.parent().expect("a directory");
    let file = if path.is_empty() { page.path.clone() } else { directory.join(path) };
    let file = workspace().join(file);
    let Some(anchor) = anchor else {
        return (!file.exists()).then(|| format!("{target} does not exist"));
    };
    let Ok(file) = file.canonicalize() else { return Some(format!("{target} does not exist")) };
    let inside = file.strip_prefix(workspace().canonicalize().expect("the workspace"));
    let linked = Page::read(&inside.expect("a page of the project").to_string_lossy());
    let has = linked.anchors().iter().any(|heading| heading == anchor);
    (!has).then(|| format!("{target}: there is no such heading"))
}

#[test]
fn every_link_points_to_a_file_or_heading() {
    let mut count = 0;
    let mut faults = Vec::new();
    for page in Page::all() {
        for (number, line) in page.prose() {
            for target in targets(line) {
                count += 1;
                let fault = fault(&page, target);
                faults.extend(fault.map(|f| format!("{}:{number}: {f}", page.path.display())));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(count > 40, "{count} links");
}

#[test]
fn a_link_to_nothing_is_found() {
    let page = Page { path: "docker/README.md".into(), text: "# One heading\n".into() };
    assert_eq!(fault(&page, "../README.md#licence"), None);
    for target in ["READYOU.md", "../README.md#license", "../nothing/x.md#a"] {
        assert!(fault(&page, target).is_some(), "{target}");
    }
}
