//! The user's settings, from environment variables or from `shim.toml` next to the shim. The
//! environment takes precedence; in a process with `AT_SECURE` (set-user-ID and the like) it is not read.

use crate::{
    compat::{ALL, Promises},
    own,
    trace::{Options, Sink},
};
use core::ffi::CStr;
use rocblas_contract::{
    route::{self, AUTO, Gpus},
    store,
    variables::{BACKEND, COMPAT, LISTEN, LOG, ON_ERROR, PRESENTS, ROUTE, TRACE, TRACE_OPTIONS},
};
use rocblas_trace::options::Place;
use std::{
    ffi::{CString, OsStr, OsString},
    fmt, fs, io,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};
use tracing::level_filters::LevelFilter;

/// A backend that the user chose, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Choice {
    /// A name in the store, or a path.
    pub(crate) value: OsString,
    /// `ROCBLAS_SHIM_BACKEND`, or the path of a `shim.toml`.
    pub(crate) source: String,
    /// The base of a relative path; `None`: the current directory.
    pub(crate) directory: Option<PathBuf>,
}

/// A backend, and the GPUs that it is chosen for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) gpus: Gpus,
    pub(crate) choice: Choice,
}

/// The maximum length of a version, so that the whole version string fits a caller's buffer.
const MOST_VERSION: usize = 16;

/// What to do when there is no function to call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum OnError {
    /// Return a `rocblas_status` that reports it.
    #[default]
    Status,
    /// `abort()`, for a core dump at the call.
    Abort,
}

/// All settings, defaults filled in.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `None`: search the default places.
    pub(crate) backend: Option<Choice>,
    /// Rules for the backend of each GPU's handles; if empty, all get the first backend.
    pub(crate) route: Vec<Rule>,
    /// Whether a backend may be chosen without a setting: not if a `shim.toml` that cannot be parsed may name one.
    pub(crate) guess: bool,
    pub(crate) on_error: OnError,
    pub(crate) log: LevelFilter,
    /// The promises to keep if the backend needs them.
    pub(crate) promises: Promises,
    /// The version of rocBLAS that programs see; `None`: that of the ABI table.
    pub(crate) presents: Option<String>,
    /// The destination of a trace from process start, if any.
    pub(crate) trace: Option<Sink>,
    /// The options of a trace from process start.
    pub(crate) trace_options: Options,
    /// Whether another process of the user may start and stop a trace.
    pub(crate) listens: bool,
    /// Messages about settings that could not be read.
    pub(crate) problems: Vec<Problem>,
    /// The paths where `shim.toml` was searched for, whether it exists or not.
    pub(crate) files: Vec<PathBuf>,
}

/// A setting that is ignored, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) text: String,
    /// Whether it comes from this process's environment, not from a file that all programs read.
    pub(crate) own: bool,
}

/// Whether the process has more privileges than its caller, so that the caller's environment must
/// not decide what code it loads.
pub(crate) fn is_secure() -> bool {
    // SAFETY: getauxval reads the auxiliary vector, which the loader has set up.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// The current value of an environment variable.
///
/// Before libc is initialised (in a `preinit_array` of the client) `environ` is null and getenv finds
/// nothing; then the kernel's copy is read.
pub(crate) fn environment(name: &str) -> Option<OsString> {
    if is_secure() {
        return None;
    }
    let c_name = CString::new(name).ok()?;
    if environ_is_up() {
        // SAFETY: a valid C string. As with any library, the client must not call setenv in another
        // thread at the same time.
        let value = unsafe { libc::getenv(c_name.as_ptr()) };
        if value.is_null() {
            return None;
        }
        // SAFETY: getenv returned a C string of the environment.
        let value = unsafe { CStr::from_ptr(value) };
        return Some(OsString::from_vec(value.to_bytes().to_vec()));
    }
    let environment = fs::read("/proc/self/environ").ok()?;
    environment.split(|byte| *byte == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(OsStr::from_bytes(value).to_owned())
    })
}

/// Whether a variable of another library is set, as the backend itself would see it: also in processes with
/// elevated privileges.
pub(crate) fn is_set(name: &CStr) -> bool {
    value(name).is_some()
}

/// The value of such a variable.
pub(crate) fn value(name: &CStr) -> Option<CString> {
    if !environ_is_up() {
        return None;
    }
    // SAFETY: as in `environment`.
    let value = unsafe { libc::getenv(name.as_ptr()) };
    // SAFETY: a C string of the environment, copied at once.
    (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_owned())
}

/// Whether libc has initialised `environ`.
pub(crate) fn environ_is_up() -> bool {
    unsafe extern "C" {
        static environ: *const *const libc::c_char;
    }
    // SAFETY: libc's variable, a plain pointer that is null or valid at any time.
    unsafe { !environ.is_null() }
}

/// The possible paths of `shim.toml`: in the store next to the shim, or next to the shim itself.
fn files() -> Vec<PathBuf> {
    own::directories().iter().flat_map(|directory| store::settings_files(directory)).collect()
}

impl Settings {
    fn new(files: Vec<PathBuf>) -> Self {
        Self {
            backend: None,
            route: Vec::new(),
            guess: true,
            on_error: OnError::default(),
            log: LevelFilter::ERROR,
            promises: Promises::EVERY,
            presents: None,
            trace: None,
            trace_options: Options::default(),
            listens: true,
            problems: Vec::new(),
            files,
        }
    }

    /// If no setting names the first backend, uses that of the `default` rule, or else of the first rule that
    /// names one.
    fn begin_with_the_route(&mut self) {
        let naming = || self.route.iter().filter(|rule| rule.choice.value != AUTO);
        let rule = naming().find(|rule| rule.gpus == Gpus::Default).or(naming().next());
        if self.backend.is_none() {
            self.backend = rule.map(|rule| rule.choice.clone());
        }
    }

    /// Reports an option of the trace that has no effect. A file and a variable may have set what does not belong
    /// together, so this is done when all is read.
    fn check_trace(&mut self) {
        let Some(place) = self.trace.as_ref().map(Sink::place) else { return };
        if let Err(why) = self.trace_options.check(place) {
            self.problems.push(Problem { text: format!("{TRACE_OPTIONS}: {why}"), own: true });
        }
        if place == Place::Stderr {
            self.trace_options.leave_files_out();
        }
    }

    fn problem_in(&mut self, file: &Path, text: impl fmt::Display) {
        self.problems.push(Problem { text: format!("{}: {text}", file.display()), own: false });
    }
}

/// Reads all settings. Never fails: a setting that cannot be parsed becomes an entry in `problems`.
pub(crate) fn read() -> Settings {
    let mut settings = Settings::new(files());
    for path in settings.files.clone() {
        match fs::read_to_string(&path) {
            Ok(text) => {
                apply_file(&mut settings, &path, &text);
                break;
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => {
                settings.problem_in(&path, format_args!("cannot be read: {e}"));
                settings.guess = false;
                break;
            }
        }
    }
    // A single backend from the environment applies to all GPUs.
    if environment(BACKEND).is_some() {
        settings.route.clear();
    }
    let variables = [
        (BACKEND, store::BACKEND_SETTING),
        (ROUTE, store::ROUTE_SETTING),
        (LOG, "log"),
        (ON_ERROR, "on_error"),
        (COMPAT, "compat"),
        (PRESENTS, store::PRESENTS_SETTING),
        (TRACE, "trace"),
        (TRACE_OPTIONS, "trace_options"),
        (LISTEN, "listen"),
    ];
    for (variable, key) in variables {
        if let Some(value) = environment(variable)
            && let Err(problem) = apply(&mut settings, key, &value, None)
        {
            settings.problems.push(Problem { text: format!("{variable}: {problem}"), own: true });
        }
    }
    settings.check_trace();
    settings.begin_with_the_route();
    settings
}

fn apply_file(settings: &mut Settings, path: &Path, text: &str) {
    let table = match DeTable::parse(text) {
        Ok(table) => table,
        Err(error) => {
            let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
            let text = format!("{}:{line}: {}", path.display(), error.message());
            settings.problems.push(Problem { text, own: false });
            settings.guess = false;
            return;
        }
    };
    for (key, value) in table.get_ref() {
        let problem = match value.get_ref() {
            DeValue::String(value) => {
                apply(settings, key.get_ref(), OsStr::new(value.as_ref()), Some(path)).err()
            }
            DeValue::Table(promises) if key.get_ref() == "compat" => {
                switch_all(&mut settings.promises, promises).err()
            }
            DeValue::Table(rules) if key.get_ref() == store::ROUTE_SETTING => {
                set_route(settings, rules, path).err()
            }
            DeValue::Table(trace) if key.get_ref() == "trace" => {
                set_trace(settings, trace, path).err()
            }
            _ => Some(format!("`{}` must be a string", key.get_ref())),
        };
        if let Some(problem) = problem {
            settings.problem_in(path, problem);
        }
    }
}

/// Applies one setting, from a file or from the environment.
fn apply(
    settings: &mut Settings,
    key: &str,
    value: &OsStr,
    file: Option<&Path>,
) -> Result<(), String> {
    match key {
        store::BACKEND_SETTING => {
            settings.backend = Some(Choice {
                value: value.to_owned(),
                source: file.map_or(BACKEND.to_owned(), |file| file.display().to_string()),
                directory: file.and_then(Path::parent).map(Path::to_path_buf),
            });
        }
        "log" => {
            settings.log = value
                .to_str()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| one_of(value, "off, error, warn, info, debug, trace"))?;
        }
        "on_error" => {
            settings.on_error = match value.to_str() {
                Some("status") => OnError::Status,
                Some("abort") => OnError::Abort,
                _ => return Err(one_of(value, "status, abort")),
            };
        }
        store::PRESENTS_SETTING => {
            let is_number =
                |part: &str| !part.is_empty() && part.bytes().all(|c| c.is_ascii_digit());
            let version = value.to_str().filter(|text| {
                text.len() <= MOST_VERSION && text.contains('.') && text.split('.').all(is_number)
            });
            let version = version.ok_or_else(|| {
                format!("`{}` is not a version of rocBLAS, such as 5.2.0", value.display())
            })?;
            settings.presents = Some(version.to_owned());
        }
        "listen" => {
            settings.listens = match value.to_str() {
                Some("on") => true,
                Some("off") => false,
                _ => return Err(one_of(value, "on, off")),
            };
        }
        store::ROUTE_SETTING if file.is_none() => {
            let list = value.to_string_lossy();
            let rule = |(gpus, backend): (Gpus, &str)| {
                let source = ROUTE.to_owned();
                Rule { gpus, choice: Choice { value: backend.into(), source, directory: None } }
            };
            settings.route = route::parse_list(&list)?.into_iter().map(rule).collect();
        }
        "trace" if file.is_none() => settings.trace = Sink::of(value),
        "trace_options" if file.is_none() => {
            settings.trace_options.set_all(&value.to_string_lossy())?;
        }
        "compat" if file.is_none() => {
            for word in value.to_string_lossy().split(',').filter(|word| !word.is_empty()) {
                let (name, on) = match word.trim().strip_prefix('-') {
                    Some(name) => (name, false),
                    None => (word.trim().trim_start_matches('+'), true),
                };
                settings.promises.switch(name, on).ok_or_else(|| no_promise(name))?;
            }
        }
        unknown => {
            return Err(format!(
                "unknown key `{unknown}` (known: backend, log, on_error, listen, presents, [route], \
                 [compat], [trace])"
            ));
        }
    }
    Ok(())
}

/// `[compat]`: `name = true` or `false`.
fn switch_all(promises: &mut Promises, table: &DeTable<'_>) -> Result<(), String> {
    for (name, value) in table {
        let name = name.get_ref();
        let DeValue::Boolean(on) = value.get_ref() else {
            return Err(format!("`{name}` in [compat] must be true or false"));
        };
        promises.switch(name, *on).ok_or_else(|| no_promise(name))?;
    }
    Ok(())
}

/// `[route]`: a backend for each kind of GPU. Invalid rules are skipped, and the first one is reported.
fn set_route(settings: &mut Settings, table: &DeTable<'_>, file: &Path) -> Result<(), String> {
    let rules = table.iter().map(|(key, value)| rule(key.get_ref(), value.get_ref(), file));
    let (rules, wrong): (Vec<_>, Vec<_>) = rules.partition(Result::is_ok);
    settings.route.extend(rules.into_iter().flatten());
    wrong.into_iter().next().map_or(Ok(()), |wrong| wrong.map(drop))
}

fn rule(key: &str, value: &DeValue<'_>, file: &Path) -> Result<Rule, String> {
    let DeValue::String(backend) = value else {
        return Err(format!("`{key}` in [route] must be a string: a backend"));
    };
    let gpus = Gpus::parse(key).filter(|_| !backend.is_empty());
    let gpus =
        gpus.ok_or_else(|| format!("in [route], {}", route::no_rule(&format!("{key}={backend}"))))?;
    let choice = Choice {
        value: OsString::from(backend.as_ref()),
        source: format!("{}, [route] {key}", file.display()),
        directory: file.parent().map(Path::to_path_buf),
    };
    Ok(Rule { gpus, choice })
}

/// `[trace]`: `directory`, which is relative to the file, and options by name.
fn set_trace(settings: &mut Settings, table: &DeTable<'_>, file: &Path) -> Result<(), String> {
    for (key, value) in table {
        let key = key.get_ref().as_ref();
        let value = match value.get_ref() {
            DeValue::String(value) => value.to_string(),
            DeValue::Integer(value) => value.to_string(),
            _ => return Err(format!("`{key}` in [trace] must be a string or a number")),
        };
        if key == "directory" {
            let path = file.parent().unwrap_or(Path::new("/")).join(&value);
            let is_word = matches!(value.as_str(), "stderr" | "off");
            let place = if is_word { OsStr::new(&value) } else { path.as_os_str() };
            settings.trace = Sink::of(place);
        } else {
            let set = settings.trace_options.set(key, &value);
            set.map_err(|why| format!("`{key}` in [trace]: {why}"))?;
        }
    }
    Ok(())
}

fn no_promise(name: &str) -> String {
    let names: Vec<&str> = ALL.iter().map(|(_, name)| *name).collect();
    format!("there is no promise `{name}` (there are: {}, and all)", names.join(", "))
}

fn one_of(value: &OsStr, choices: &str) -> String {
    format!("`{}` is not one of: {choices}", value.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_trace::options::OnBad;

    fn settings(text: &str) -> Settings {
        let mut settings = Settings::new(Vec::new());
        apply_file(&mut settings, Path::new("/store/shim.toml"), text);
        settings
    }

    #[test]
    fn a_file_sets_what_it_names() {
        let read = settings("backend = '6.3.0'\nlog = 'debug'\non_error = 'abort'\n");
        let backend = read.backend.expect("set");
        assert_eq!(backend.value, "6.3.0");
        assert_eq!(backend.source, "/store/shim.toml");
        assert_eq!(backend.directory.as_deref(), Some(Path::new("/store")));
        assert_eq!(read.log, LevelFilter::DEBUG);
        assert_eq!(read.on_error, OnError::Abort);
        assert!(read.problems.is_empty() && read.guess);
    }

    fn problems(text: &str) -> Vec<String> {
        let settings = settings(text);
        assert!(settings.problems.iter().all(|problem| !problem.own));
        settings.problems.into_iter().map(|problem| problem.text).collect()
    }

    #[test]
    fn problems_name_file_line_and_choices() {
        assert!(!settings("backend = '6.3.0'\nlog = = 1\n").guess, "it may have named one");
        assert_eq!(problems("backend = '6.3.0'\nlog = = 1\n").len(), 1);
        assert!(problems("\n\nlog = = 1\n")[0].starts_with("/store/shim.toml:3: "));
        assert_eq!(
            problems("backed = 'x'"),
            [
                "/store/shim.toml: unknown key `backed` (known: backend, log, on_error, listen, presents, \
              [route], [compat], [trace])"
            ]
        );
        assert_eq!(
            problems("log = 'loud'"),
            ["/store/shim.toml: `loud` is not one of: off, error, warn, info, debug, trace"]
        );
        assert_eq!(
            problems("[compat]\natomics = 'no'"),
            ["/store/shim.toml: `atomics` in [compat] must be true or false"]
        );
        let unknown = &problems("[compat]\natomic = false")[0];
        assert!(unknown.contains("no promise `atomic` (there are: atomics, "), "{unknown}");
        assert_eq!(settings("presents = '5.2.0'").presents.as_deref(), Some("5.2.0"));
        for wrong in ["5", "5.", "5.2.x", "v5.2", "", "5.2.0 ", "5.00000000000000000"] {
            let problems = problems(&format!("presents = '{wrong}'"));
            let expected =
                format!("/store/shim.toml: `{wrong}` is not a version of rocBLAS, such as 5.2.0");
            assert_eq!(problems, [expected]);
        }
        assert_eq!(problems("log = 3"), ["/store/shim.toml: `log` must be a string"]);
    }

    #[test]
    fn promises_are_switched_in_the_file_and_by_the_variable() {
        let names = settings("[compat]\natomics = false\nversion = false\n").promises.names();
        assert_eq!(names.len(), ALL.len() - 2);
        assert!(!names.contains(&"atomics") && !names.contains(&"version"));
        let mut settings = settings("[compat]\nall = false\n");
        apply(&mut settings, "compat", OsStr::new("version, +tensile"), None).expect("names");
        assert_eq!(settings.promises.names(), ["version", "tensile"]);
        apply(&mut settings, "compat", OsStr::new("-version"), None).expect("a name");
        assert_eq!(settings.promises.names(), ["tensile"]);
        assert!(apply(&mut settings, "compat", OsStr::new("-versions"), None).is_err());
    }

    #[test]
    fn rules_for_gpus_are_set_in_the_file_and_by_the_variable() {
        let text = "[route]\ngfx906 = '6.3.0'\n'0000:03:00.0' = './x/librocblas.so.4'\n";
        let mut read = settings(text);
        let values = |settings: &Settings| {
            let rules = settings.route.iter();
            rules.map(|rule| rule.choice.value.clone()).collect::<Vec<_>>()
        };
        assert_eq!(values(&read), ["./x/librocblas.so.4", "6.3.0"]);
        assert!(
            read.route.iter().all(|r| r.choice.directory.as_deref() == Some(Path::new("/store")))
        );
        read.begin_with_the_route();
        assert_eq!(read.backend.expect("the first rule's").value, "./x/librocblas.so.4");
        let mut read = settings(&format!("backend = 'a'\n{text}default = 'b'\n"));
        read.begin_with_the_route();
        assert_eq!(read.backend.as_ref().expect("set").value, "a");
        apply(&mut read, "route", OsStr::new("gfx1100=7.2.4,default=6.3.0"), None).expect("rules");
        assert_eq!(values(&read), ["7.2.4", "6.3.0"]);
        apply(&mut read, "route", OsStr::new("auto,gfx1100=7.2.4"), None).expect("rules");
        read.backend = None;
        read.begin_with_the_route();
        assert_eq!(read.backend.as_ref().expect("the rule's that names one").value, "7.2.4");
        apply(&mut read, "route", OsStr::new("off"), None).expect("none");
        assert!(read.route.is_empty());
        assert!(apply(&mut read, "route", OsStr::new("mi50=6.3.0"), None).is_err());
        assert!(
            problems("[route]\nmi50 = '6.3.0'")[0].contains("`mi50=6.3.0` is no rule for a GPU")
        );
        assert!(
            problems("[route]\ngfx906 = 6")[0].contains("`gfx906` in [route] must be a string")
        );
    }

    #[test]
    fn a_trace_is_set_in_the_file_and_by_variables() {
        let text = "[trace]\ndirectory = 'traces'\nring = '64M'\nfirst = 1000\n";
        let mut settings = settings(text);
        assert_eq!(settings.trace, Some(Sink::Directory("/store/traces".into())));
        assert_eq!(
            (settings.trace_options.ring, settings.trace_options.first),
            (Some(64 << 20), Some(1000))
        );
        let mut set = |key, value: &str| apply(&mut settings, key, OsStr::new(value), None);
        set("trace", "stderr").expect("a word");
        set("trace_options", "functions=*trsm*").expect("a list");
        set("listen", "off").expect("a word");
        assert!(set("listen", "maybe").is_err() && set("trace_options", "rings=1").is_err());
        assert_eq!((&settings.trace, settings.listens), (&Some(Sink::Stderr), false));
        assert_eq!(settings.trace_options.functions, ["*trsm*"]);
        apply(&mut settings, "trace_options", OsStr::new("check=nan,on-bad=capture"), None)
            .expect("a list");
        settings.check_trace();
        assert_eq!(settings.trace_options.on_bad, OnBad::Report);
        let problem = &settings.problems.last().expect("a problem").text;
        assert!(problem.contains("on-bad=capture has no effect on lines to stderr"), "{problem}");
        apply(&mut settings, "trace", OsStr::new("off"), None).expect("a word");
        assert_eq!(settings.trace, None);
        assert!(
            problems("[trace]\nring = 'big'")[0].contains("`ring` in [trace]: `big` is no size")
        );
        assert!(problems("[trace]\nring = true")[0].contains("must be a string or a number"));
        assert!(problems("trace = 'x'")[0].contains("unknown key `trace`"));
    }

    #[test]
    fn the_kernels_copy_of_the_environment_agrees_with_libcs() {
        // PATH is set wherever tests run; environment() reads libc's here.
        let libc = environment("PATH").expect("set");
        let kernel = fs::read("/proc/self/environ").expect("readable");
        let wanted = [b"PATH=", libc.as_bytes()].concat();
        assert!(kernel.split(|byte| *byte == 0).any(|entry| entry == wanted));
    }
}
