//! The shim's messages: each sentence with an identifier, the function that formats it, and the pattern
//! by which it is recognised in a log. `installer doctor --log` explains every one of them,
//! also in the wording of earlier versions, which stays in the table after `was`.
//!
//! A message begins with [`PREFIX`] and its level. The message about a missing backend has several
//! lines: the first is [`Sentence::NoBackend`], indented lines follow, such as `tried PLACE: REFUSAL`.

use core::{cmp::Reverse, fmt::Display};

/// What every message of the shim begins with.
pub const PREFIX: &str = "rocblas-shim: ";

/// The levels of messages that report a problem, as they follow the prefix.
const LEVELS: [&str; 2] = ["error: ", "warn: "];

/// The text before a place and the reason why the backend there is refused.
const TRIED: &str = "tried ";

/// Where in the shim's output a sentence is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Position {
    /// After prefix and level; `rocblas_shim_error()` returns it without them.
    First,
    /// After prefix and level.
    Message,
    /// On an indented line below the first, or after prefix and level.
    Line,
    /// On an indented line, after the place that was tried.
    Refusal,
}

/// Defines the sentences: a position, the identifier, the function with its arguments, the text, and
/// the texts that earlier versions printed.
macro_rules! sentences {
    ($($(#[doc = $doc:literal])* $position:ident $sentence:ident
        $function:ident($($argument:ident),*) $text:literal $(was $earlier:literal)*;)*) => {
        /// A sentence of the shim.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sentence {
            $($(#[doc = $doc])* $sentence,)*
        }

        impl Sentence {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$sentence),*];

            /// Where it is in the shim's output.
            const fn position(self) -> Position {
                match self {
                    $(Self::$sentence => Position::$position,)*
                }
            }

            /// Its text with the arguments' names in braces, then those of earlier versions.
            const fn texts(self) -> &'static [&'static str] {
                match self {
                    $(Self::$sentence => &[$text $(, $earlier)*],)*
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
        "the backend supports only one alpha and one beta for a whole batch: a call with a stride \
         between them returns rocblas_status_not_implemented"
        was "the backend takes one alpha and one beta for a whole batch: a stride between them is \
             refused with rocblas_status_not_implemented";
    /// Scalars cannot be read back from device memory.
    Message ScalarsCaptured scalars_captured()
        "the shim computes a function that the backend lacks and needs alpha and beta on the host \
         for it, but they cannot be read from device memory while a stream is being captured: the \
         call returns rocblas_status_not_implemented"
        was "a function that the backend lacks needs alpha and beta on the host, and they cannot \
             be read from device memory while a stream captures: the call returns \
             rocblas_status_not_implemented";
    /// A handle could not be set back to the pointer mode that the program chose.
    Message PointerModeLost pointer_mode_lost()
        "cannot restore the handle's device pointer mode: the backend refuses it"
        was "the backend does not take the handle back to device pointer mode";
    /// There is no backend; lines with the reasons follow.
    First NoBackend no_backend()
        "no usable rocBLAS backend: every rocBLAS call returns rocblas_status_internal_error"
        was "no usable rocBLAS backend: every rocBLAS call answers rocblas_status_internal_error";
    /// A child was forked from a process that was opening a backend.
    First Forked forked(seconds)
        "no usable rocBLAS backend: when the parent forked this process, another thread had been \
         opening one for {seconds} s, and this process has only part of it"
        was "no usable rocBLAS backend: this process was forked while another thread of its parent \
             had been opening one for {seconds} s, and has half of it";
    /// A setting cannot be understood.
    Line SettingIgnored setting_ignored(why) "setting ignored: {why}";
    /// No place was searched, because a setting that cannot be read may name the backend.
    Line NothingTriedForSettings nothing_tried_for_settings()
        "no backend was tried, because the ignored setting may name one"
        was "nothing was tried: the setting that was ignored may name the backend";
    /// No place was searched, because the shim's own directory is not known.
    Line NothingTriedForDirectory nothing_tried_for_directory()
        "no backend was tried, because the shim cannot determine which directory it is in"
        was "nothing was tried: the shim cannot tell what directory it is in";
    /// How to choose a backend.
    Line HowToChoose how_to_choose(variable, example, store, file)
        "to choose a backend, set {variable}={example} (a path with a `/`, or the name of a directory \
         in {store}), or write backend = \"...\" into {file}";
    /// The environment is ignored in a process with more privileges than its caller.
    Line Privileged privileged()
        "this process runs with elevated privileges (set-user-ID, set-group-ID or file \
         capabilities), so its environment is ignored"
        was "this process has more rights than its caller (setuid or the like), so its environment \
             is ignored";

    /// Another backend was requested in a process that has none.
    Message NoFirstBackend no_first_backend()
        "cannot open another backend, because the first one failed to open: see the earlier \
         message"
        was "another backend cannot be opened, because the first one could not: see the message \
             about it";
    /// Another backend could not be opened.
    Message NotOpened not_opened(place, why)
        "cannot open a backend: {place}: {why}; nothing was changed"
        was "the backend cannot be opened: {place}: {why}; everything stays as it was";
    /// Another file has the name of an open backend's file.
    Refusal ReplacedFile replaced_file(backend)
        "was replaced after backend {backend} was opened from it, and the loader would return the \
         old library: restart the program, or give the new file another name"
        was "was replaced since backend {backend} was opened from it, and the loader takes it for \
             that one: start the program again, or give the new file another name";
    /// The loader would make two backends share data.
    Refusal JoinedSymbol joined_symbol(symbol, backend)
        "defines {symbol} as STB_GNU_UNIQUE, as backend {backend} does, so the loader would make \
         both share one copy: use them in separate processes"
        was "defines {symbol} as STB_GNU_UNIQUE, as backend {backend} does: the loader would make \
             both share it. Use them in separate processes";
    /// Another thread has been opening a backend for a long time.
    Message OpeningTakesLong opening_takes_long(seconds)
        "another thread has been opening a backend for {seconds} s; try again";
    /// All slots are taken.
    Message TooManyBackends too_many_backends(most)
        "this process has {most} backends open, which is the maximum: a backend stays open until \
         the process ends"
        was "this process has {most} backends open, and there is room for no more: none is closed \
             before the process ends";
    /// The backend for a GPU could not be opened.
    Message NoRoute no_route(device, target, why)
        "cannot create a handle for device {device} ({target}): {why}"
        was "no handle for device {device} ({target}): {why}";
    /// A backend's library is not the one that the installer inspected.
    Message StaleFacts stale_facts(backend, target)
        "the library of backend {backend} has changed since the installer inspected it: it is used for {target} \
         anyway; `installer apply` inspects it again";
    /// A handle whose creation the shim has not seen.
    Message UnknownHandle unknown_handle(handle, backend)
        "handle {handle} was not created through the shim: calls with it, and with other such \
         handles, go to backend {backend}"
        was "handle {handle} was not made by a call that went through the shim: it is taken for \
             one of backend {backend}, and so are others";

    /// A place does not exist.
    Refusal Absent absent() "does not exist";
    /// The user has no permission to read a place.
    Refusal Forbidden forbidden()
        "is not readable by this user"
        was "may not be read by this user";
    /// A place cannot be read.
    Refusal Unreadable unreadable(error) "cannot be read: {error}";
    /// The setting exists, but is empty.
    Refusal EmptySetting empty_setting() "is empty: it must be a path or the name of a backend";
    /// A name that is not in the store.
    Refusal NotInStore not_in_store(stores)
        "is not the name of a backend in {stores} (a path must contain a `/`)"
        was "names no backend in {stores} (a path needs a `/` in it)";
    /// A store without a backend.
    Refusal NoBackends no_backends()
        "contains no backend"
        was "holds no backend";
    /// Several backends in the store, and no setting that chooses one.
    Refusal SeveralBackends several_backends(names)
        "contains several backends ({names}), and no setting chooses one"
        was "holds several backends ({names}) and none is chosen";
    /// A backend's directory without a rocBLAS.
    Refusal NoLibrary no_library()
        "contains no librocblas.so.*"
        was "holds no librocblas.so.*";
    /// A directory instead of a file.
    Refusal Directory directory(example)
        "is a directory: name the library in it, such as {example}";
    /// Neither a file nor a directory.
    Refusal Special special() "is not a regular file";
    /// A shim.
    Refusal IsShim is_shim()
        "is a shim, this one or another: a shim cannot forward to a shim"
        was "is this shim, or another one: a shim cannot forward to a shim";
    /// A library of another name.
    Refusal OtherSoname other_soname(soname) "is not rocBLAS: its SONAME is {soname}";
    /// A file without a SONAME.
    Refusal NoSoname no_soname() "is not rocBLAS: it has no SONAME";
    /// A part lies beyond the end of the file.
    Refusal TruncatedPart truncated_part(what, offset, size, length)
        "is truncated: {what} should be at {offset}, {size} bytes long, but the file has {length} \
         bytes"
        was "is truncated: {what} should be at {offset}, {size} bytes long, and the file has \
             {length}";
    /// Section headers or a segment end beyond the end of the file.
    Refusal TruncatedEnd truncated_end(what, end, length)
        "is truncated: {what} at byte {end}, but the file has {length} bytes"
        was "is truncated: {what} at byte {end}, and the file has {length}";
    /// A file of no bytes.
    Refusal EmptyFile empty_file() "is empty";
    /// A text file.
    Refusal TextFile text_file() "is a text file, not a library";
    /// A file that is not an ELF file.
    Refusal NotElf not_elf() "is not an ELF file";
    /// A library for a 32-bit process.
    Refusal Elf32 elf32()
        "is a 32-bit ELF file, but this process is 64-bit"
        was "is a 32-bit ELF file, this process is 64-bit";
    /// A library for big-endian machines.
    Refusal BigEndian big_endian()
        "is a big-endian ELF file, but this machine is little-endian"
        was "is a big-endian ELF file, this machine is little-endian";
    /// A library for another machine.
    Refusal OtherMachine other_machine(machine)
        "is an ELF file for {machine}, but this machine is x86-64"
        was "is an ELF file for {machine}, this machine is x86-64";
    /// A program or an object file.
    Refusal NotShared not_shared() "is an ELF file, but not a shared library";
    /// Headers that cannot be read.
    Refusal BadHeaders bad_headers(which, error) "has bad {which}: {error}";
    /// A number that is larger than in any real file.
    Refusal Implausible implausible(number, what)
        "has an implausible header: {number} {what}"
        was "claims {number} {what}";
    /// A part of a library is missing.
    Refusal Lacks lacks(what)
        "has no {what}, so it cannot be loaded"
        was "has no {what}: it is not a library that can be loaded";
    /// The strings of the library are not in the part of the file that is loaded.
    Refusal StringsOutside strings_outside()
        "has a dynamic string table that lies outside its segments"
        was "has its dynamic strings outside of every segment";
    /// The loader refuses the library.
    Refusal NotLoaded not_loaded(error) "cannot be loaded: {error}";
    /// The loader does not list the library.
    Refusal NotListed not_listed()
        "is not in the loader's list of loaded objects"
        was "is not among the loader's objects";
    /// A relocation in memory that the library must not write.
    Refusal OddRelocation odd_relocation(offset)
        "has a relocation in read-only or unaligned memory, at {offset}";
    /// The system refuses to make memory writable.
    Refusal Protected protected(error) "mprotect of its RELRO pages failed: {error}";
    /// The backend uses a different HIP runtime than the program.
    Refusal SecondHip second_hip(own, other)
        "would load a second HIP runtime into the process: it uses {own}, but the program uses \
         {other}. Make its libamdhip64.so.* a symlink to the program's"
        was "brings a second HIP runtime into the process: it uses {own}, the program uses \
             {other}. Let its libamdhip64.so.* lead to the program's, by a link of that name";
    /// A function of the backend is one of the shim's.
    Refusal LeadsBack leads_back(function)
        "would call the shim back: its {function} is the shim's own"
        was "leads back to the shim: its {function} is the shim's own";
    /// A place that is refused for any other reason.
    Refusal Tried tried(why) "{why}";

    /// A function that the backend lacks was called.
    Message MissingFunction missing_function(function, backend, path, returned)
        "{function} is missing from backend {backend} ({path}): the call returns {returned}"
        was "{function} is not in backend {backend} ({path}): it answers {answer}";
    /// The process aborts, because a setting requires it.
    Message Aborting aborting(variable)
        "aborting, because {variable}=abort is set"
        was "aborting, as {variable}=abort asks";
    /// The backend has no kernels for a GPU.
    Message NoKernels no_kernels(target, device, file, directory)
        "the backend has no Tensile kernels for {target} (device {device}), so no handle is \
         created for that GPU: there is no {file} in {directory}. Add the {target} files of the \
         backend's own release, or hide the GPU with HIP_VISIBLE_DEVICES"
        was "the backend has no Tensile kernels for {target}, device {device}: there is no {file} \
             in {directory}. Add the {target} files of its own release, or hide that GPU with \
             HIP_VISIBLE_DEVICES. No handle is made for it";
    /// A variable that would make the backend call hipBLASLt.
    Message HipblasltHidden hipblaslt_hidden(variable)
        "{variable} is hidden from the backend, which reads 0 instead: it would call hipBLASLt 1.0 \
         through the interface of 0.10, whose classes have another layout"
        was "{variable} is hidden from the backend, which gets 0: it would call hipBLASLt 0.10 \
             under the names of hipBLASLt 1.0, whose classes are others";
    /// A variable that is for the kernels of another rocBLAS.
    Message TensileHidden tensile_hidden(variable)
        "{variable} is hidden from the backend, because it names the kernels of another rocBLAS"
        was "{variable} is hidden from the backend: it is meant for the kernels of another \
             rocBLAS";
    /// The backend's version is in neither its SONAME nor its version string.
    Message UnknownGeneration unknown_generation(soname)
        "cannot tell which version of rocBLAS the backend is, neither from its SONAME ({soname}) \
         nor from rocblas_get_version_string: the shim keeps every promise for it"
        was "the backend does not say which version of rocBLAS it is, neither by its SONAME \
             ({soname}) nor by rocblas_get_version_string: every promise is kept for it";
    /// The backend's references to itself were overwritten and cannot be restored.
    Message BindingsLost bindings_lost(why)
        "the backend {why}: its calls to its own functions may reach the shim"
        was "the backend {why}: calls of itself may come back to the shim";
    /// The backend does not change a handle's atomics mode.
    Message AtomicsStay atomics_stay(status)
        "the backend's rocblas_set_atomics_mode returned {status}, so atomics stay allowed"
        was "the backend's rocblas_set_atomics_mode answered {status}: atomics stay allowed";
    /// HIP fails to return a device's properties.
    Message NoProperties no_properties(device)
        "HIP returns no properties for device {device}"
        was "HIP does not tell the properties of device {device}";

    /// A trace's directory cannot be made.
    Message TraceNotMade trace_not_made(directory, error)
        "cannot make a trace in {directory}: {error}";
    /// A thread's file cannot be made.
    Message ThreadNotTraced thread_not_traced(directory, error)
        "cannot trace a thread in {directory}: {error}";
    /// The file that records how a trace ended, or which backend calls go to, cannot be written.
    Message TraceFileNotWritten trace_file_not_written(path, error)
        "cannot write {path}: {error}";
    /// A trace has reached its maximum size.
    Message TraceLimit trace_limit(path)
        "the trace has reached its size limit, so later calls are not in {path}. Raise the limit \
         with limit=SIZE, or keep only the most recent calls with ring=SIZE"
        was "the trace has reached its limit; calls from here on are not in {path}. A larger one: \
             limit=SIZE; the last calls only: ring=SIZE";
    /// A trace's file or directory was replaced by another one.
    Message TraceReplaced trace_replaced(why)
        "the trace was stopped: {why}; later calls are not in it"
        was "the trace stops: {why}; calls from here on are not in it";
    /// A checked output has NaN or infinite elements.
    Message BadOutput bad_output(parameter, function, call, nan, inf)
        "{parameter} of {function} has {nan} NaN and {inf} infinite elements after call {call}";
    /// A trace's file cannot grow.
    Message TraceStopped trace_stopped(path, error)
        "the trace cannot be continued: {path}: {error}; later calls are not in it"
        was "the trace cannot go on: {path}: {error}; calls from here on are not in it";
}

/// The line that reports why the backend at a place is refused.
#[must_use]
pub fn tried_line(place: impl Display, why: impl Display) -> String {
    format!("{TRIED}{place}: {why}")
}

impl Sentence {
    /// The sentence in a line of a log: the first one in it, which may quote others.
    #[must_use]
    pub fn of(line: &str) -> Option<Self> {
        let line = line.trim_end();
        let texts = Self::ALL
            .iter()
            .flat_map(|sentence| sentence.texts().iter().map(move |text| (sentence, *text)));
        let found = texts.filter_map(|(sentence, text)| {
            let length = fixed(text).map(str::len).sum::<usize>();
            let start = start(sentence.position(), text, line)?;
            Some((*sentence == Self::Tried, start, Reverse(length), sentence))
        });
        let first =
            found.min_by_key(|(is_general, start, length, _)| (*is_general, *start, *length));
        first.map(|(.., sentence)| *sentence)
    }

    /// Whether it quotes another library's error, which may be more specific than the sentence.
    #[must_use]
    pub fn is_quotation(self) -> bool {
        matches!(self, Self::NotLoaded | Self::Tried)
    }

    /// For its text and each earlier one, the parts that are not arguments.
    pub fn fixed(self) -> impl Iterator<Item = impl Iterator<Item = &'static str>> {
        self.texts().iter().map(|text| fixed(text))
    }
}

/// The parts of a text that are not arguments.
fn fixed(text: &str) -> impl Iterator<Item = &str> {
    text.split(['{', '}']).step_by(2).filter(|part| !part.is_empty())
}

/// Where a text at that position begins in a line that has it.
fn start(position: Position, text: &str, line: &str) -> Option<usize> {
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
    let mut parts = fixed(text);
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

#[cfg(test)]
mod tests;
