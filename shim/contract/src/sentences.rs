//! What the shim prints: each sentence with an identifier, the function that makes its text, and the
//! pattern by which it is recognised in a log. `installer doctor --log` explains every one of them,
//! and cannot miss one that was reworded.
//!
//! A message begins with [`PREFIX`] and its level. That there is no backend takes several lines: the
//! first is [`Sentence::NoBackend`], then come lines of their own, among them `tried PLACE: REFUSAL`.

use core::{cmp::Reverse, fmt::Display};

/// What every message of the shim begins with.
pub const PREFIX: &str = "rocblas-shim: ";

/// The levels of messages that say what is wrong, as they follow the prefix.
const LEVELS: [&str; 2] = ["error: ", "warn: "];

/// What precedes a place and why there is no backend in it.
const TRIED: &str = "tried ";

/// Where in the shim's output a sentence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// After prefix and level; as `rocblas_shim_error()` returns it, it has neither.
    First,
    /// After prefix and level.
    Message,
    /// On a line of its own below the first, indented, or a message.
    Line,
    /// On such a line, after a place that was tried.
    Refusal,
}

/// Defines the sentences: a position, the identifier, the function with its arguments, and the text.
macro_rules! sentences {
    ($($(#[doc = $doc:literal])* $position:ident $sentence:ident
        $function:ident($($argument:ident),*) $text:literal;)*) => {
        /// A sentence of the shim.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sentence {
            $($(#[doc = $doc])* $sentence,)*
        }

        impl Sentence {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$sentence),*];

            /// Its position, and its text with the arguments' names in braces.
            const fn text(self) -> (Position, &'static str) {
                match self {
                    $(Self::$sentence => (Position::$position, $text),)*
                }
            }
        }

        $(
            $(#[doc = $doc])*
            #[must_use]
            pub fn $function($($argument: impl Display),*) -> String {
                format!($text, $($argument = $argument),*)
            }
        )*
    };
}

sentences! {
    /// A stride between the scalars of a batch is refused.
    Message BatchStride batch_stride()
        "the backend takes one alpha and one beta for a whole batch: a stride between them is refused \
         with rocblas_status_not_implemented";
    /// Scalars cannot be read back from device memory.
    Message ScalarsCaptured scalars_captured()
        "a function that the backend lacks needs alpha and beta on the host, and they cannot be read from \
         device memory while a stream captures: the call returns rocblas_status_not_implemented";
    /// A handle could not be set back to the pointer mode that the program chose.
    Message PointerModeLost pointer_mode_lost()
        "the backend does not take the handle back to device pointer mode";
    /// There is no backend; lines with the reasons follow.
    First NoBackend no_backend()
        "no usable rocBLAS backend: every rocBLAS call answers rocblas_status_internal_error";
    /// A child was forked from a process that was opening a backend.
    First Forked forked(seconds)
        "no usable rocBLAS backend: this process was forked while another thread of its parent had \
         been opening one for {seconds} s, and has half of it";
    /// A setting cannot be understood.
    Line SettingIgnored setting_ignored(why) "setting ignored: {why}";
    /// No place was looked into, because a setting that cannot be read may name the backend.
    Line NothingTriedForSettings nothing_tried_for_settings()
        "nothing was tried: the setting that was ignored may name the backend";
    /// No place was looked into, because the shim's own directory is not known.
    Line NothingTriedForDirectory nothing_tried_for_directory()
        "nothing was tried: the shim cannot tell what directory it is in";
    /// How to choose a backend.
    Line HowToChoose how_to_choose(variable, example, store, file)
        "to choose a backend, set {variable}={example} (a path with a `/`, or the name of a directory \
         in {store}), or write backend = \"...\" into {file}";
    /// The environment is ignored in a process with more rights than its caller.
    Line Privileged privileged()
        "this process has more rights than its caller (setuid or the like), so its environment is \
         ignored";

    /// Another backend was asked for in a process that has none.
    Message NoFirstBackend no_first_backend()
        "another backend cannot be opened, because the first one could not: see the message about it";
    /// Another backend could not be opened.
    Message NotOpened not_opened(place, why)
        "the backend cannot be opened: {place}: {why}; everything stays as it was";
    /// A file has the name of a backend that is open.
    Refusal ReplacedFile replaced_file(backend)
        "was replaced since backend {backend} was opened from it, and the loader takes it for that one: start \
         the program again, or give the new file another name";
    /// The loader would join data of two backends.
    Refusal JoinedSymbol joined_symbol(symbol, backend)
        "defines {symbol} as STB_GNU_UNIQUE, as backend {backend} does: the loader would make both share it. Use \
         them in separate processes";
    /// Another thread has been opening a backend for long.
    Message OpeningTakesLong opening_takes_long(seconds)
        "another thread has been opening a backend for {seconds} s; try again";
    /// All slots are taken.
    Message TooManyBackends too_many_backends(most)
        "this process has {most} backends open, and there is room for no more: none is closed before the \
         process ends";
    /// The backend for a GPU could not be opened.
    Message NoRoute no_route(device, target, why)
        "no handle for device {device} ({target}): {why}";
    /// A backend's library is not the one that was looked at.
    Message StaleFacts stale_facts(backend, target)
        "the library of backend {backend} has changed since the installer inspected it: it is used for {target} \
         anyway; `installer apply` inspects it again";
    /// A handle that the shim has not seen made.
    Message UnknownHandle unknown_handle(handle, backend)
        "handle {handle} was not made by a call that went through the shim: it is taken for one of backend \
         {backend}, and so are others";

    /// A place does not exist.
    Refusal Absent absent() "does not exist";
    /// The user has no permission to read a place.
    Refusal Forbidden forbidden() "may not be read by this user";
    /// A place cannot be read.
    Refusal Unreadable unreadable(error) "cannot be read: {error}";
    /// The setting is there and names nothing.
    Refusal EmptySetting empty_setting() "is empty: it must be a path or the name of a backend";
    /// A name that is not in the store.
    Refusal NotInStore not_in_store(stores)
        "names no backend in {stores} (a path needs a `/` in it)";
    /// A store without a backend.
    Refusal NoBackends no_backends() "holds no backend";
    /// Several backends in the store, and no setting that chooses one.
    Refusal SeveralBackends several_backends(names)
        "holds several backends ({names}) and none is chosen";
    /// A backend's directory without a rocBLAS.
    Refusal NoLibrary no_library() "holds no librocblas.so.*";
    /// A directory where a file must be.
    Refusal Directory directory(example)
        "is a directory: name the library in it, such as {example}";
    /// Neither a file nor a directory.
    Refusal Special special() "is not a regular file";
    /// A shim.
    Refusal IsShim is_shim() "is this shim, or another one: a shim cannot forward to a shim";
    /// A library of another name.
    Refusal OtherSoname other_soname(soname) "is not rocBLAS: its SONAME is {soname}";
    /// A file without a SONAME.
    Refusal NoSoname no_soname() "is not rocBLAS: it has no SONAME";
    /// A part lies beyond the end of the file.
    Refusal TruncatedPart truncated_part(what, offset, size, length)
        "is truncated: {what} should be at {offset}, {size} bytes long, and the file has {length}";
    /// Section headers or a segment end beyond the end of the file.
    Refusal TruncatedEnd truncated_end(what, end, length)
        "is truncated: {what} at byte {end}, and the file has {length}";
    /// A file of no bytes.
    Refusal EmptyFile empty_file() "is empty";
    /// A text file.
    Refusal TextFile text_file() "is a text file, not a library";
    /// A file that is not an ELF file.
    Refusal NotElf not_elf() "is not an ELF file";
    /// A library for a 32-bit process.
    Refusal Elf32 elf32() "is a 32-bit ELF file, this process is 64-bit";
    /// A library for big-endian machines.
    Refusal BigEndian big_endian() "is a big-endian ELF file, this machine is little-endian";
    /// A library for another machine.
    Refusal OtherMachine other_machine(machine)
        "is an ELF file for {machine}, this machine is x86-64";
    /// A program or an object file.
    Refusal NotShared not_shared() "is an ELF file, but not a shared library";
    /// Headers that cannot be read.
    Refusal BadHeaders bad_headers(which, error) "has bad {which}: {error}";
    /// A number that no real file has.
    Refusal Implausible implausible(number, what) "claims {number} {what}";
    /// A part of a library is not there.
    Refusal Lacks lacks(what) "has no {what}: it is not a library that can be loaded";
    /// The names of the library are not in the part of the file that is loaded.
    Refusal StringsOutside strings_outside()
        "has its dynamic strings outside of every segment";
    /// The loader refuses the library.
    Refusal NotLoaded not_loaded(error) "cannot be loaded: {error}";
    /// The loader does not list the library.
    Refusal NotListed not_listed() "is not among the loader's objects";
    /// A relocation in memory that is not the library's to write.
    Refusal OddRelocation odd_relocation(offset)
        "has a relocation in read-only or unaligned memory, at {offset}";
    /// The system refuses to make memory writable.
    Refusal Protected protected(error) "mprotect of its RELRO pages failed: {error}";
    /// The backend uses another HIP runtime than the program.
    Refusal SecondHip second_hip(own, other)
        "brings a second HIP runtime into the process: it uses {own}, the program uses {other}. Let \
         its libamdhip64.so.* lead to the program's, by a link of that name";
    /// A function of the backend is one of the shim's.
    Refusal LeadsBack leads_back(function)
        "leads back to the shim: its {function} is the shim's own";
    /// A place with a reason that is none of these.
    Refusal Tried tried(why) "{why}";

    /// A function that the backend lacks was called.
    Message MissingFunction missing_function(function, backend, path, answer)
        "{function} is not in backend {backend} ({path}): it answers {answer}";
    /// The process aborts, as a setting demands.
    Message Aborting aborting(variable) "aborting, as {variable}=abort asks";
    /// The backend has no kernels for a GPU.
    Message NoKernels no_kernels(target, device, file, directory)
        "the backend has no Tensile kernels for {target}, device {device}: there is no {file} in \
         {directory}. Add the {target} files of its own release, or hide that GPU with \
         HIP_VISIBLE_DEVICES. No handle is made for it";
    /// A variable that would make the backend call hipBLASLt.
    Message HipblasltHidden hipblaslt_hidden(variable)
        "{variable} is hidden from the backend, which gets 0: it would call hipBLASLt 0.10 under the \
         names of hipBLASLt 1.0, whose classes are others";
    /// A variable that is for the kernels of another rocBLAS.
    Message TensileHidden tensile_hidden(variable)
        "{variable} is hidden from the backend: it is meant for the kernels of another rocBLAS";
    /// The backend's version is in neither its SONAME nor its version string.
    Message UnknownGeneration unknown_generation(soname)
        "the backend does not say which version of rocBLAS it is, neither by its SONAME ({soname}) nor \
         by rocblas_get_version_string: every promise is kept for it";
    /// References of the backend to itself, overwritten by others, cannot be bound again.
    Message BindingsLost bindings_lost(why)
        "the backend {why}: calls of itself may come back to the shim";
    /// The backend does not change a handle's atomics mode.
    Message AtomicsStay atomics_stay(status)
        "the backend's rocblas_set_atomics_mode answered {status}: atomics stay allowed";
    /// HIP fails to return a device's properties.
    Message NoProperties no_properties(device)
        "HIP does not tell the properties of device {device}";

    /// A trace's directory cannot be made.
    Message TraceNotMade trace_not_made(directory, error)
        "cannot make a trace in {directory}: {error}";
    /// A thread's file cannot be made.
    Message ThreadNotTraced thread_not_traced(directory, error)
        "cannot trace a thread in {directory}: {error}";
    /// A file that says how a trace ended, or which backend calls go to, cannot be written.
    Message TraceFileNotWritten trace_file_not_written(path, error)
        "cannot write {path}: {error}";
    /// A trace has as many bytes as it may have.
    Message TraceLimit trace_limit(path)
        "the trace has reached its limit; calls from here on are not in {path}. A larger one: \
         limit=SIZE; the last calls only: ring=SIZE";
    /// A trace's file or directory was replaced by another one.
    Message TraceReplaced trace_replaced(why)
        "the trace stops: {why}; calls from here on are not in it";
    /// A trace's file cannot grow.
    Message TraceStopped trace_stopped(path, error)
        "the trace cannot go on: {path}: {error}; calls from here on are not in it";
}

/// What a place was tried for, as a line below the first.
#[must_use]
pub fn tried_line(place: impl Display, why: impl Display) -> String {
    format!("{TRIED}{place}: {why}")
}

impl Sentence {
    /// The sentence in a line of a log: the first one in it, which may quote others.
    #[must_use]
    pub fn of(line: &str) -> Option<Self> {
        let line = line.trim_end();
        let found = Self::ALL.iter().filter_map(|sentence| {
            let length = sentence.fixed().map(str::len).sum::<usize>();
            Some((*sentence == Self::Tried, sentence.start(line)?, Reverse(length), sentence))
        });
        let first =
            found.min_by_key(|(is_general, start, length, _)| (*is_general, *start, *length));
        first.map(|(.., sentence)| *sentence)
    }

    /// Whether it quotes somebody else's error, which may say more than the sentence does.
    #[must_use]
    pub fn is_quotation(self) -> bool {
        matches!(self, Self::NotLoaded | Self::Tried)
    }

    /// Where it begins in a line that has it.
    fn start(self, line: &str) -> Option<usize> {
        let (position, text) = self.text();
        let after = |lead: &str| Some(line.find(lead)? + lead.len());
        let (from, lead) = match position {
            Position::First | Position::Line => (0, ""),
            Position::Message => {
                let level = after(PREFIX)?;
                let level_of = |level_text: &&&str| line[level..].starts_with(**level_text);
                (level + LEVELS.iter().find(level_of)?.len(), "")
            }
            Position::Refusal => (after(TRIED)?, ": "),
        };
        let mut parts = self.fixed();
        let mut last = format!("{lead}{}", parts.next().unwrap_or_default());
        let start = from + line[from..].find(&last)?;
        let mut end = start + last.len();
        for part in parts {
            part.clone_into(&mut last);
            end += line[end..].find(part)? + part.len();
        }
        let is_whole = text.ends_with('}') || end == line.len() || line.ends_with(&last);
        is_whole.then_some(start)
    }

    /// The parts of the text that are not arguments.
    pub fn fixed(self) -> impl Iterator<Item = &'static str> {
        let (_, text) = self.text();
        text.split(['{', '}']).step_by(2).filter(|part| !part.is_empty())
    }
}

#[cfg(test)]
mod tests;
