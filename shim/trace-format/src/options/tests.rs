//! Parsing, formatting and refusal of options in their textual form.

use super::*;

fn options(list: &str) -> Result<Options, String> {
    let mut options = Options::default();
    options.set_all(list)?;
    options.check(Place::Directory).map(|()| options)
}

#[test]
fn a_list_sets_what_it_names() {
    let read = options("ring=64M, limit=2G,functions=*trsm*:-*_64,min=10us,first=1000,capture=ask");
    let read = read.expect("a list");
    assert_eq!((read.ring, read.limit), (Some(64 << 20), 2 << 30));
    assert_eq!(read.functions, ["*trsm*", "-*_64"]);
    assert_eq!((read.min, read.first, read.capture), (10_000, Some(1000), true));
    assert_eq!(options(&read.to_string()), Ok(read));
    assert_eq!(options(""), Ok(Options::default()));
}

#[test]
fn a_list_says_what_is_looked_at_in_calls() {
    let read = options(
        "check=nan,inf,every=100,window=10-20,on-bad=capture,gpu-time=on,stacks=100,roctx=on,errors=off,\
         save-call=2:7041,save-functions=*trsm*:-*_64,save-count=3,save-limit=1M,save-values=off",
    );
    let read = read.expect("a list");
    assert_eq!(read.check, Check { nan: true, inf: true, ..Check::default() });
    assert_eq!((read.every, read.window, read.on_bad), (100, Some((10, 21)), OnBad::Capture));
    assert_eq!((read.gpu_time, read.errors, read.roctx), (Some(Sampling::DEFAULT), false, true));
    let each = options("gpu-time=16").expect("a list");
    assert_eq!(each.gpu_time, Some(Sampling { every: 16, pause: 0 }), "as it says");
    assert_eq!(options(&each.to_string()), Ok(each));
    assert_eq!(read.stacks, Some(100));
    assert_eq!((read.save.call, read.save.count), (Some((2, 7041)), Some(3)));
    assert_eq!((read.save.limit, read.save.redact), (1 << 20, true));
    assert_eq!(read.save.functions, ["*trsm*", "-*_64"]);
    assert_eq!(options(&read.to_string()), Ok(read));
    let digest = options("check=digest,ring=64M").expect("a list");
    let inputs = options("check=digest,inputs,save-digest=ff:9e3779b97f4a7c15").expect("a list");
    assert!(inputs.check.inputs && inputs.save.is_on());
    assert_eq!(inputs.save.digests, [0xff, 0x9e37_79b9_7f4a_7c15]);
    assert_eq!(options(&inputs.to_string()), Ok(inputs));
    assert!(digest.check.digest && !digest.check.nan && digest.ring.is_some());
    assert!(!options("check=nan,off").expect("a list").looks_at_calls());
    assert!(options("stacks=on").expect("a list").looks_at_calls());
    assert!(!options("stacks=off").expect("a list").looks_at_calls());
}

#[test]
fn what_is_wrong_is_said_with_what_is_expected() {
    for (list, why) in [
        (
            "rings=1M",
            "there is no `rings` (there are: ring, limit, functions, min, first, capture, errors,",
        ),
        ("ring", "`ring` is not of the form name=value"),
        ("ring=big", "ring: `big` is no size (64M, 2G, or a number of bytes)"),
        ("limit=99999999999G", "is no size"),
        ("ring=1K", "`1K` is too little: 64K at least"),
        ("min=10", "min: `10` is no time (500ns, 10us, 2ms, 1s)"),
        ("min=10h", "is no time"),
        ("capture=yes", "capture: `yes` is neither `ask` nor `off`"),
        ("first=0", "first: `0` is not a number of calls"),
        ("errors=yes", "errors: `yes` is neither `on` nor `off`"),
        ("gpu-time=0", "gpu-time: `0` is not a number of calls"),
        ("stacks=all", "stacks: `all` is not a number of calls"),
        ("check=nan,infinity", "check: `infinity` is not one of nan, inf, digest, inputs, off"),
        ("check=inputs", "check=inputs has no effect without check=digest"),
        ("check=digest,save-digest=f:xy", "save-digest: `xy` is not the hash of a digest"),
        ("window=9-3", "window: `9-3` is not a range of calls (1000-2000)"),
        ("on-bad=panic", "on-bad: `panic` is not one of report, capture, stop"),
        ("save-call=x", "save-call: `x` is not the number of a call (7041, or 2:7041 in thread 2)"),
    ] {
        let said = options(list).expect_err(list);
        assert!(said.contains(why), "{list}: {said}");
    }
}

#[test]
fn functions_are_chosen_by_patterns() {
    for (list, wanted, unwanted) in [
        ("", "rocblas_sgemm", None),
        ("functions=*trsm*", "rocblas_strsm_batched", Some("rocblas_sgemm")),
        ("functions=sgemm", "rocblas_sgemm", Some("rocblas_sgemm_batched")),
        ("functions=rocblas_sgemm", "rocblas_sgemm", Some("rocblas_dgemm")),
        ("functions=sge*ex:dgemm", "rocblas_dgemm", Some("rocblas_sgemm")),
        ("functions=*gemm*:-*batched*", "rocblas_gemm_ex", Some("rocblas_sgemm_batched")),
        ("functions=-set_*", "rocblas_sgemm", Some("rocblas_set_stream")),
        ("functions=*g*m*_64", "rocblas_sgemm_64", Some("rocblas_sgemm")),
    ] {
        let options = options(list).expect("a list");
        assert!(options.wants(wanted), "{list}");
        assert!(unwanted.is_none_or(|name| !options.wants(name)), "{list}");
    }
}

/// Each key with a non-default value, and the options without which it has no effect.
const EXAMPLES: [(&str, &str, &str); 20] = [
    ("ring", "1M", ""),
    ("limit", "1M", ""),
    ("functions", "*gemm*", ""),
    ("min", "10ns", ""),
    ("first", "3", ""),
    ("capture", "ask", ""),
    ("errors", "off", ""),
    ("gpu-time", "on", ""),
    ("stacks", "on", ""),
    ("roctx", "on", ""),
    ("check", "nan", ""),
    ("every", "2", "check=inf"),
    ("window", "1-2", "check=digest"),
    ("on-bad", "capture", "check=nan"),
    ("save-call", "7", ""),
    ("save-digest", "9e3779b97f4a7c15", "check=digest"),
    ("save-functions", "*trsm*", ""),
    ("save-count", "2", "save-functions=*gemm*"),
    ("save-limit", "1M", ""),
    ("save-values", "off", ""),
];

#[test]
fn each_key_is_read_written_and_refused_a_second_time() {
    let names: Vec<&str> = EXAMPLES.iter().map(|(key, ..)| *key).collect();
    assert_eq!(names.join(", "), KEYS);
    for (key, value, with) in EXAMPLES {
        let list = format!("{key}={value},{with}");
        let read = options(&list).expect(key);
        assert_ne!(read, options(with).expect(with), "{key}: its example is the default");
        assert_eq!(options(&read.to_string()), Ok(read), "{key}");
        for twice in
            [format!("{list},{key}={value}"), format!("{key}={value}, {key} ={value},{with}")]
        {
            let said = options(&twice).expect_err(&twice);
            let why = format!("`{key}` is given twice: give it once, with all that it is to have");
            assert_eq!(said, why, "{twice}");
        }
        if !with.is_empty() {
            let said = options(&format!("{key}={value}")).expect_err(key);
            assert!(said.starts_with(&format!("{key} has no effect without ")), "{said}");
        }
    }
}

#[test]
fn lines_to_stderr_refuse_what_is_written_into_files() {
    for (list, option) in [
        ("gpu-time=on", "gpu-time"),
        ("stacks=on", "stacks"),
        ("check=digest", "check=digest"),
        ("check=nan,on-bad=capture", "on-bad=capture"),
        ("save-call=7", "save-call"),
        ("check=nan,digest,save-digest=ff", "save-digest"),
        ("save-functions=*gemm*", "save-functions"),
    ] {
        let mut read = options(list).expect("of a directory");
        let said = read.check(Place::Stderr).expect_err(list);
        let why =
            format!("{option} has no effect on lines to stderr: trace into a directory instead");
        assert_eq!(said, why, "{list}");
        read.leave_files_out();
        assert_eq!(read.check(Place::Stderr), Ok(()), "{list}");
    }
    for list in ["", "check=nan,inf,on-bad=stop", "first=3,min=1us,ring=1M", "roctx=on"] {
        assert_eq!(options(list).expect(list).check(Place::Stderr), Ok(()), "{list}");
    }
}
