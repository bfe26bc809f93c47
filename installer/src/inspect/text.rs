//! Prints an inspection, for a terminal or a log file.

use super::{
    Found, Inspection,
    coverage::Coverage,
    layout::Layout,
    library::{Library, Link},
    machine::{Device, Gpu, Machine},
    object::Object,
    tensile::{Files, Tensile},
};
use crate::{
    output::{self, HEADING, Line, Text, printable},
    which,
};
use anstyle::{AnsiColor, Style};
use comfy_table::{ContentArrangement, Table, presets};
use indicatif::HumanBytes;
use std::path::Path;

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();

/// The indentation of text below a heading.
const INDENT: &str = "  ";

/// The text of an inspection, in lines of at most `width` columns if words can be wrapped there. Colours
/// carry no information of their own.
#[must_use]
pub fn text(inspection: &Inspection, width: u16) -> Text {
    let mut page = Page { text: Text::new(), width: width.max(40) };
    page.machine(&inspection.machine);
    if inspection.trees.is_empty() && inspection.objects.is_empty() {
        page.line("");
        page.paragraph(
            "",
            "No ROCm tree with a rocBLAS in the usual places; pass the path of one.",
        );
    }
    for tree in &inspection.trees {
        page.line("");
        page.tree(tree);
    }
    for object in &inspection.objects {
        page.line("");
        page.object(object);
    }
    page.text
}

struct Page {
    text: Text,
    width: u16,
}

impl Page {
    fn line(&mut self, line: &str) {
        self.text.line(line);
    }

    fn styled(&mut self, style: Style, line: &str) {
        self.text.line(Line::new().styled(style, line));
    }

    /// Wraps words, indenting the second and later lines further.
    fn paragraph(&mut self, indent: &str, text: &str) {
        for line in self.wrapped(indent, text) {
            self.line(&line);
        }
    }

    fn wrapped(&self, indent: &str, text: &str) -> Vec<String> {
        // Escaped before its width is counted.
        let text = printable(text);
        let mut lines = Vec::new();
        let mut line = indent.to_owned();
        let mut is_empty = true;
        for word in text.split_whitespace() {
            let length = line.chars().count() + word.chars().count() + usize::from(!is_empty);
            if !is_empty && length > usize::from(self.width) {
                lines.push(std::mem::replace(&mut line, format!("{indent}{INDENT}")));
                is_empty = true;
            }
            if !is_empty {
                line.push(' ');
            }
            line.push_str(word);
            is_empty = false;
        }
        lines.push(line);
        lines
    }

    fn machine(&mut self, machine: &Machine) {
        self.styled(HEADING, "This machine");
        if machine.gpus.is_empty() {
            self.paragraph(INDENT, "no GPU that the amdgpu driver offers for compute");
        }
        for gpu in &machine.gpus {
            let memory = match gpu.memory {
                0 => "memory shared with the machine".to_owned(),
                bytes => HumanBytes(bytes).to_string(),
            };
            let Gpu { target, name, node, .. } = gpu;
            self.paragraph(INDENT, &format!("{target} {name}, {memory}, node {node}"));
        }
        for device in &machine.devices {
            self.device(device);
        }
        if !machine.groups_to_add.is_empty() {
            let groups = machine.groups_to_add.iter();
            let options: Vec<String> = groups.map(|gid| format!("--group-add {gid}")).collect();
            self.paragraph(INDENT, &format!("for a container: {}", options.join(" ")));
        }
    }

    fn device(&mut self, device: &Device) {
        let Device { path, mode, uid, gid, usable } = device;
        let line = format!("{} mode {mode:04o}, user {uid}, group {gid}", output::shown(path));
        if *usable {
            self.paragraph(INDENT, &line);
        } else {
            let line = format!("{line}: this process may not use it");
            self.styled(BAD, &format!("{INDENT}{line}"));
        }
    }

    fn tree(&mut self, found: &Found) {
        let tree = &found.tree;
        let release =
            tree.release.as_ref().map_or(String::new(), |release| format!("ROCm {release}, "));
        let heading = format!("{}: {release}{}", path(&tree.lib), words(tree.layout));
        self.styled(HEADING, &heading);
        if let Some(problem) = &found.problem {
            self.bad(problem);
        }
        self.libraries(&tree.lib, &found.libraries.files);
        for broken in &found.libraries.broken {
            let target = broken.target.as_ref();
            let target = target.map_or(String::new(), |target| format!(" -> {}", path(target)));
            self.bad(&format!("{}{target}: {}", within(&tree.lib, &broken.path), broken.problem));
        }
        self.tensile(found.tensile.as_ref());
        for backend in &found.backends {
            self.line("");
            self.line(&format!("{INDENT}backend {} in the shim's store", backend.name));
            self.libraries(&backend.lib, &backend.libraries.files);
            self.tensile(backend.tensile.as_ref());
        }
        self.coverage(&found.coverage);
        for engine in &found.engines {
            let targets = engine.targets.join(", ");
            self.line("");
            self.paragraph(
                INDENT,
                &format!("LM Studio uses it on {targets}, by {}", path(&engine.manifest)),
            );
            let refused = found.coverage.iter().filter_map(|of| engine.refusal(&of.target));
            refused.for_each(|(why, cure)| self.bad(&format!("{why} To use it there, {cure}")));
        }
    }

    fn coverage(&mut self, all: &[Coverage]) {
        if !all.is_empty() {
            self.line("");
        }
        for coverage in all {
            let style = if coverage.covered { GOOD } else { BAD };
            for line in self.wrapped(INDENT, &coverage.sentence) {
                self.styled(style, &line);
            }
        }
    }

    fn object(&mut self, object: &Object) {
        let Object { program, file, coverage, uses, problems } = object;
        let what = if *program { "a program" } else { "a library" };
        self.styled(HEADING, &format!("{}: {what}", path(&file.path)));
        self.facts(Path::new("/"), file);
        self.line("");
        for line in which::rows(uses).lines() {
            self.line(line);
        }
        for problem in problems {
            self.bad(&format!("would not load: {problem}"));
        }
        for note in &uses.notes {
            self.paragraph(INDENT, &format!("note: {note}"));
        }
        self.coverage(coverage);
    }

    fn bad(&mut self, text: &str) {
        for line in self.wrapped(INDENT, text) {
            self.styled(BAD, &line);
        }
    }

    fn libraries(&mut self, lib: &Path, libraries: &[Library]) {
        for library in libraries {
            self.line("");
            self.paragraph(INDENT, &within(lib, &library.path));
            self.facts(lib, library);
        }
    }

    /// The properties of a library's file, in rows.
    fn facts(&mut self, lib: &Path, library: &Library) {
        let targets: Vec<&str> = library.targets.keys().map(String::as_str).collect();
        let owner = library.owner.as_ref().map(ToString::to_string).unwrap_or_default();
        let rows = [
            ("is", facts(library)),
            ("links", links(lib, &library.links)),
            ("needs", library.needed.join(", ")),
            ("code for", targets.join(", ")),
            ("in", archives(lib, library)),
            ("package", owner),
        ];
        let known = rows.into_iter().filter(|(_, value)| !value.is_empty());
        self.rows(known.map(|(name, value)| [name.to_owned(), value]));
        if let Some(problem) = &library.problem {
            self.bad(&format!("cannot be read completely: {problem}"));
        }
    }

    fn tensile(&mut self, tensile: Option<&Tensile>) {
        let Some(tensile) = tensile else { return };
        self.line("");
        self.paragraph(INDENT, &format!("Tensile files in {}", path(&tensile.directory)));
        let row = |(target, files): (&String, &Files)| {
            let Files { files, bytes, entry } = files;
            let plural = if *files == 1 { "" } else { "s" };
            let no_entry = entry.is_none() && !tensile.common_entry;
            let missing = if no_entry { ", no entry file" } else { "" };
            [target.clone(), format!("{files} file{plural}, {}{missing}", HumanBytes(*bytes))]
        };
        self.rows(tensile.targets.iter().map(row));
    }

    /// A table of names and values, indented twice.
    fn rows(&mut self, rows: impl Iterator<Item = [String; 2]>) {
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(self.width);
        // A cell with a line break occupies several lines.
        table.add_rows(rows.map(|row| row.map(|cell| printable(&cell).into_owned())));
        if let Some(names) = table.column_mut(0) {
            names.set_padding((2 * INDENT.len() as u16, 1));
        }
        for line in table.lines() {
            self.line(&line);
        }
    }
}

fn facts(library: &Library) -> String {
    let soname = library.soname.as_ref().map(|soname| format!("SONAME {soname}"));
    let version = library.version.as_ref().map(|version| format!("version {version}"));
    let shim = library.shim.as_ref().map(|version| format!("the shim {version}"));
    let size = HumanBytes(library.size).to_string();
    let slim = (!library.slim.is_empty()).then(|| format!("slim, for {}", library.slim.join(", ")));
    let facts = [shim, soname, version, slim, Some(size)];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    facts.join(", ")
}

/// The archives of a split library, each with its contents.
fn archives(lib: &Path, library: &Library) -> String {
    let Some(split) = &library.split else { return String::new() };
    let size = |archive: &super::split::Found| {
        let targets = archive.targets.iter().map(|(target, code)| {
            format!("{target} {} in {} code objects", HumanBytes(code.bytes), code.objects)
        });
        let targets = targets.collect::<Vec<_>>().join(", ");
        format!("{} ({})", within(lib, &archive.path), targets)
    };
    match split.archives.as_slice() {
        [] => format!("missing archives: {}", split.reference.search_paths.join(", ")),
        found => found.iter().map(size).collect::<Vec<_>>().join(", "),
    }
}

fn links(lib: &Path, links: &[Link]) -> String {
    let links: Vec<String> = links.iter().map(|link| within(lib, &link.path)).collect();
    links.join(", ")
}

/// A path relative to a library directory.
fn within(lib: &Path, whole: &Path) -> String {
    path(whole.strip_prefix(lib).unwrap_or(whole))
}

fn path(path: &Path) -> String {
    output::shown(path).to_string()
}

fn words(layout: Layout) -> &'static str {
    match layout {
        Layout::Amd => "AMD's packages",
        Layout::Debian => "Debian's or Ubuntu's packages",
        Layout::Fedora => "Fedora's packages",
        Layout::Arch => "Arch Linux's packages",
        Layout::PytorchWheel => "a PyTorch wheel",
        Layout::RocmWheel => "AMD's wheel",
        Layout::Ollama => "Ollama",
        Layout::SdkBuilder => "rocm_sdk_builder",
        Layout::LmStudio => "LM Studio",
        Layout::Nix => "the Nix store, which is read-only",
        Layout::Flatpak => "Flatpak, which replaces it at each update",
        Layout::Snap => "a snap, which is read-only",
        Layout::Other => "a directory of no known layout",
    }
}

#[cfg(test)]
mod tests;
