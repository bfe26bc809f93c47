//! Compares the rocblas-bench command lines that the installer makes from a trace with those that AMD's libraries
//! log for the same calls.
//!
//! Both are parsed like rocblas-bench does, according to its source and its binaries of 6.4.4 and 7.2.4. If
//! rocblas-bench would refuse rocBLAS's line, or make another call from it, the line is fixed before it is
//! compared; [`MISTAKES`] lists all such cases.

use installer::trace::export::bench;
use rocblas_trace::{
    call::{Call, Value},
    read::{Merged, Next, Record, Trace, traces_in},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    time::Duration,
};
use tests::{
    real::{Rocm, root},
    run::run_within,
};

/// Longer than a run through all functions takes on a busy machine.
const LIMIT: Duration = Duration::from_secs(300);

/// The options of rocblas-bench that occur and have a value.
const OPTIONS: &str = "--a_type --algo --alpha --alphai --api --b_type --batch_count --beta --betai \
    --c_type --compute_type --d_type --diag --flags --geam_ex_op --incx --incy --kl --ku --lda --ldb \
    --ldc --ldd --side --solution_index --stride_a --stride_b --stride_c --stride_d --stride_x \
    --stride_y --transposeA --transposeB --uplo -f -k -m -n -r";

/// An option without a value.
const SWITCH: &str = "--outofplace";

const TYPES: [&str; 5] = ["--a_type", "--b_type", "--c_type", "--d_type", "--compute_type"];

/// Lines that rocBLAS gets wrong.
struct Mistake {
    /// What is wrong in them.
    what: &'static str,
    /// Whether a function's line has it, by the function's name and by its name in rocblas-bench.
    of: fn(name: &str, function: &str) -> bool,
    /// The line without it.
    mended: fn(line: &str, call: &Call<'_>) -> String,
}

const MISTAKES: [Mistake; 10] = [
    Mistake {
        what: "rocblas-bench and -f are one word, with --api 1 as well",
        of: |_, function| function == "rot" || function.starts_with("rot_"),
        mended: |line, _| line.replace("-f rot", " -f rot"),
    },
    Mistake {
        what: "a macro of the source stands in place of rocblas-bench and --api",
        of: |_, function| function == "gemmt",
        mended: |line, call| {
            let api = if call.name().ends_with("_64") { " --api 1" } else { "" };
            line.replace("ROCBLAS_API_BENCH", &format!("./rocblas-bench{api}"))
        },
    },
    Mistake {
        what: "stride_x lacks its dashes",
        of: |_, function| matches!(function, "iamax_strided_batched" | "iamin_strided_batched"),
        mended: |line, _| line.replace(" stride_x", " --stride_x"),
    },
    Mistake {
        what: "batch_count lacks its dashes",
        of: |_, function| function == "copy_batched",
        mended: |line, _| line.replace(" batch_count", " --batch_count"),
    },
    Mistake {
        what: "the function is dot, which does not conjugate",
        of: |_, function| function.starts_with("dotc") && !function.ends_with("_ex"),
        mended: |line, _| line.replace("-f dot", "-f dotc"),
    },
    Mistake {
        what: "the function ends in _64, of which rocblas-bench has none",
        of: |name, function| {
            function.starts_with("dot") && function.ends_with("_ex") && name.ends_with("_64")
        },
        mended: |line, _| line.replace("_ex_64", "_ex"),
    },
    Mistake {
        what: "the function is trsm, which is another function in rocblas-bench",
        of: |_, function| function.starts_with("trsm") && function.ends_with("_ex"),
        mended: |line, _| {
            line.replace("batched -r", "batched_ex -r").replace("trsm -r", "trsm_ex -r")
        },
    },
    Mistake {
        // rocblas-bench compares a third and a fourth type, whose default is single. (It cannot make complex rotg
        // calls with any options.)
        what: "types other than single are not all given",
        of: |name, _| {
            let functions = ["drot", "zrot", "zdrot", "dscal", "cscal", "zscal", "zdscal"];
            let is_of = |function| name.starts_with(&format!("rocblas_{function}"));
            functions.into_iter().any(is_of) && !name.contains("rotm")
        },
        mended: |line, _| {
            let types = line.split_once("--b_type ").expect("a second type").1;
            let precision = types.split(' ').next().expect("a type");
            format!("{line} -r {precision}")
        },
    },
    Mistake {
        what: "the stride of param is not given, for which rocblas-bench uses --stride_c",
        of: |_, function| function == "rotm_strided_batched",
        mended: |line, call| {
            let stride = call.named("stride_param").and_then(Value::integer);
            let option = format!("--stride_c {} --batch_count", stride.expect("a stride"));
            line.replace("--batch_count", &option)
        },
    },
    Mistake {
        what: "the result goes into the operand, of which rocblas-bench takes the leading dimension",
        of: |_, function| {
            function.starts_with("trmm")
                || function.starts_with("gemm") && function.ends_with("_ex")
        },
        mended: |line, _| format!("{line} --outofplace"),
    },
];

/// Functions of rocblas-bench whose options rocBLAS logs in another order than that of the parameters.
const OTHER_ORDER: [&str; 6] = [
    "rotmg_strided_batched",
    "spr2_strided_batched",
    "swap_strided_batched",
    "syr2",
    "syr2_batched",
    "syr2_strided_batched",
];

/// Routines that rocBLAS never logs.
const NOT_LOGGED: [&str; 1] = ["trtri"];

/// Routines that it does not log if scalars are in device memory: three for which it would have to read them, as it
/// does for all others, and three that have none.
const NOT_LOGGED_WITH_DEVICE_SCALARS: [&str; 6] =
    ["axpy_ex", "geam_ex", "scal_ex", "tbsv", "tpsv", "trsv"];

/// A command line as rocblas-bench parses it.
#[derive(Debug)]
struct CommandLine {
    /// The options without those for types, in their order.
    order: Vec<String>,
    values: BTreeMap<String, String>,
}

impl CommandLine {
    fn read(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        if words.next() != Some("./rocblas-bench") {
            return Err("another program".to_owned());
        }
        let mut order = Vec::new();
        let mut values = BTreeMap::new();
        while let Some(option) = words.next() {
            // Its former name, which rocblas-bench accepts with a warning.
            let option = if option == "--batch" { "--batch_count" } else { option };
            let value = match option {
                SWITCH => "",
                _ if OPTIONS.split_whitespace().any(|known| known == option) => {
                    words.next().ok_or_else(|| format!("{option} has no value"))?
                }
                _ => return Err(format!("there is no option {option}")),
            };
            if values.insert(option.to_owned(), value.to_owned()).is_some() {
                return Err(format!("{option} twice"));
            }
            if option != "-r" && !TYPES.contains(&option) {
                order.push(option.to_owned());
            }
        }
        // The default of a type is the precision, whose default is single.
        let precision = values.remove("-r").unwrap_or("f32_r".to_owned());
        for option in TYPES {
            values.entry(option.to_owned()).or_insert_with(|| precision.clone());
        }
        Ok(Self { order, values })
    }

    fn without_scalars(mut self) -> Self {
        self.values.retain(|option, _| !is_scalar(option));
        self.order.retain(|option| !is_scalar(option));
        self
    }
}

fn is_scalar(option: &str) -> bool {
    ["--alpha", "--alphai", "--beta", "--betai"].contains(&option)
}

/// The state for all calls of a run.
struct Comparison {
    scalars_in_device_memory: bool,
    /// rocBLAS's lines by function.
    logged: BTreeMap<String, String>,
    /// The entries of the lists above that were needed.
    needed: BTreeSet<&'static str>,
    complaints: Vec<String>,
    /// The number of lines that agree with ours, fixed or not.
    equal: usize,
}

impl Comparison {
    fn complain(&mut self, call: &Call<'_>, what: &str, ours: &str) {
        let theirs = self.logged.get(call.name()).map_or("", String::as_str);
        self.complaints.push(format!("{}: {what}\n  {ours}\n  {theirs}", call.name()));
    }

    /// Compares the line of a call.
    fn take(&mut self, call: &Call<'_>) {
        // The library does not see calls that the shim handles; it logs the calls with which the shim computes them.
        if call.by_shim() {
            self.logged.remove(call.name());
            return;
        }
        let Some(ours) = bench::line(call) else {
            if self.logged.contains_key(call.name()) {
                self.complain(call, "no line", "");
            }
            return;
        };
        let (line, remark) = ours.split_once(" # ").unwrap_or((&ours, ""));
        let function = line.split_once("-f ").expect("a function").1.split(' ').next();
        let function = function.expect("a word").to_owned();
        let command = match CommandLine::read(line) {
            Ok(command) => command,
            Err(why) => return self.complain(call, &why, &ours),
        };
        let has_scalars = call.values().any(|(param, _)| matches!(param.name, "alpha" | "beta"));
        if remark.is_empty() == (has_scalars && self.scalars_in_device_memory) {
            self.complain(call, "a remark too many or too few", &ours);
        }
        let routine = function.replace("_strided", "").replace("_batched", "");
        let lists: &[&[&'static str]] = match self.scalars_in_device_memory {
            false => &[&NOT_LOGGED],
            true => &[&NOT_LOGGED, &NOT_LOGGED_WITH_DEVICE_SCALARS],
        };
        let excused = lists.iter().copied().flatten().find(|name| **name == routine);
        match (self.logged.get(call.name()).cloned(), excused) {
            (None, Some(name)) => {
                self.needed.insert(name);
            }
            (None, None) => self.complain(call, "not logged", &ours),
            (Some(_), Some(name)) => self.complain(call, &format!("{name} is logged"), &ours),
            (Some(theirs), None) => self.compare(call, &function, &command, &theirs),
        }
    }

    fn compare(&mut self, call: &Call<'_>, function: &str, ours: &CommandLine, theirs: &str) {
        let mistakes: Vec<&Mistake> =
            MISTAKES.iter().filter(|mistake| (mistake.of)(call.name(), function)).collect();
        // If any one of its mistakes is left, the line still differs; if all of them are fixed, it is the
        // same.
        for left in (0..=mistakes.len()).rev() {
            let others = mistakes.iter().enumerate().filter(|(i, _)| *i != left);
            let mended = others.fold(theirs.to_owned(), |line, (_, m)| (m.mended)(&line, call));
            let read = CommandLine::read(&mended).map(|read| match self.scalars_in_device_memory {
                true => read.without_scalars(),
                false => read,
            });
            let same = read.as_ref().is_ok_and(|theirs| ours.values == theirs.values);
            match mistakes.get(left) {
                Some(mistake) if same => {
                    let what = format!("no mistake any more: {}", mistake.what);
                    self.complain(call, &what, "");
                }
                Some(mistake) => {
                    self.needed.insert(mistake.what);
                }
                None if same => self.compare_order(call, function, ours, &read.expect("read")),
                None => self.complain(call, "another call", &format!("{ours:?}\n  {read:?}")),
            }
        }
    }

    fn compare_order(
        &mut self,
        call: &Call<'_>,
        function: &str,
        ours: &CommandLine,
        theirs: &CommandLine,
    ) {
        self.equal += 1;
        let other = OTHER_ORDER.into_iter().find(|name| *name == function);
        match (ours.order == theirs.order, other) {
            (false, Some(name)) => {
                self.needed.insert(name);
            }
            (true, None) => {}
            (true, Some(_)) => self.complain(call, "the same order now", ""),
            (false, None) => self.complain(call, "another order", &format!("{ours:?}")),
        }
    }
}

/// Calls all functions that compute, and compares.
fn compare(rocm: &Rocm, variant: &str, atomics: &str) -> Comparison {
    let program = Path::new(env!("CARGO_BIN_EXE_every_function"));
    let traces = rocm.tree().root().join(format!("traces-{variant}"));
    let (mut command, log) = rocm.command(program);
    command
        .arg(rocm.rocblas())
        .arg(variant)
        .env("ROCBLAS_SHIM_TRACE", &traces)
        .env("ROCBLAS_DEFAULT_ATOMICS_MODE", atomics)
        .env("ROCBLAS_LAYER", "2")
        // The file in which the program marks each call; rocBLAS appends to it too.
        .env("ROCBLAS_LOG_BENCH_PATH", log.path());
    let _ = run_within(&mut command, LIMIT).success();

    let mut comparison = Comparison {
        scalars_in_device_memory: variant == "device-scalars",
        logged: BTreeMap::new(),
        needed: BTreeSet::new(),
        complaints: Vec::new(),
        equal: 0,
    };
    let mut name = String::new();
    for line in log.lines() {
        if let Some(call) = line.strip_prefix("call ") {
            call.clone_into(&mut name);
        } else if line.contains("-f ") {
            let before = comparison.logged.insert(name.clone(), line);
            assert_eq!(before, None, "{name} is logged twice");
        }
    }
    let traces = traces_in(&traces).expect("traces");
    let [trace] = traces.as_slice() else { panic!("{traces:?}") };
    let (threads, unreadable) =
        Trace::open(trace).and_then(|trace| trace.threads()).expect("a trace");
    assert!(unreadable.is_empty(), "{unreadable:?}");
    let mut merged = Merged::new(threads);
    merged.close();
    while let Next::Record(_, record) = merged.next() {
        if let Record::Call(call) = record {
            comparison.take(&call);
        }
    }
    comparison
}

/// Compares on a library. The atomics mode is the default of its rocblas-bench, so that the lines do not contain it:
/// it belongs to the handle and not to a call.
fn compare_on(soname: &str, atomics: &str) {
    let Some(root) = root() else { return };
    let rocm = Rocm::shim_before(root, soname);
    let mut needed = BTreeSet::new();
    for variant in ["numbered", "device-scalars"] {
        let mut comparison = compare(&rocm, variant, atomics);
        let complaints = &comparison.complaints;
        assert!(complaints.is_empty(), "{variant}: {}: {complaints:#?}", complaints.len());
        // Every line has its call.
        assert_eq!(comparison.equal, comparison.logged.len(), "{variant}");
        assert!(comparison.equal > 1_000, "{variant}: {}", comparison.equal);
        needed.append(&mut comparison.needed);
    }
    let mistakes = MISTAKES.iter().map(|mistake| mistake.what);
    let lists = [&OTHER_ORDER[..], &NOT_LOGGED, &NOT_LOGGED_WITH_DEVICE_SCALARS];
    let entries = lists.into_iter().flatten().copied().chain(mistakes);
    let idle: Vec<&str> = entries.filter(|entry| !needed.contains(entry)).collect();
    assert!(idle.is_empty(), "not needed any more: {idle:?}");
}

#[test]
fn lines_are_those_that_6_4_logs() {
    compare_on("librocblas.so.4", "1");
}

#[test]
fn lines_are_those_that_7_2_logs() {
    compare_on("librocblas.so.5", "0");
}
