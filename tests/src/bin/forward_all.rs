//! Calls every function of the table through the shim with random contents in every register and
//! stack word that can carry an argument, and compares with what the probe backend recorded.
//!
//! `forward_all SHIM BACKEND FIRST`: loads the shim while it cannot find a backend, then names one and calls
//! FIRST, so that this call takes the path of a lazy first call; then it calls all others.
//!
//! With ROCBLAS_SHIM_TRACE set, C functions that are not variadic go through code that records their
//! arguments: for these, only what the ABI defines for functions of words is compared, and the words are
//! written to the file that WORDS names. A known handle takes another path than a new one, so all functions
//! are called once more with the same handle.
//!
//! With `SECOND_PROBE` set, another copy of the probe is opened at the end and owns the handles of unknown
//! origin. All functions are called three more times: with new handles, and twice with one that is known by
//! then.

use core::arch::naked_asm;
use probe_record::{LATEST, Record, STACK_WORDS, answer, further_answers};
use rocblas_abi::{Function, Kind, Whose, by_name, exports};
use std::{
    env,
    ffi::{CStr, CString, c_void},
    process::ExitCode,
};

/// The arguments of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
struct Arguments {
    vectors: [[u64; 8]; 8],
    registers: [u64; 6],
    rax: u64,
    r10: u64,
    stack: [u64; STACK_WORDS],
}

/// The results of a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[repr(C)]
struct Results {
    rax: u64,
    rdx: u64,
    xmm0: u64,
    xmm1: u64,
    /// The difference between the stack pointers before and after.
    moved: u64,
    /// rbx, rbp, r12 to r15, which a function must preserve.
    kept: [u64; 6],
}

/// The values that `call` puts into the registers that a function must preserve.
const KEPT: [u64; 6] = [0x1b, 0x2b, 0x312, 0x413, 0x514, 0x615];

impl Results {
    /// The results of a function of the probe, called directly or through the shim.
    fn of(index: u64) -> Self {
        let [rdx, xmm0, xmm1] = further_answers(index);
        Self { rax: answer(index), rdx, xmm0, xmm1, moved: 0, kept: KEPT }
    }
}

const REGISTERS: usize = 64 * 8;
const STACK: usize = REGISTERS + 8 * 8;

/// Calls `function` with exactly these register contents and stack words.
///
/// # Safety
/// `function` must be code that follows the System V ABI; `width` is 16, 32 or 64 as the machine's
/// vector registers are.
#[unsafe(naked)]
unsafe extern "C" fn call(
    function: *const c_void,
    arguments: *const Arguments,
    results: *mut Results,
    width: usize,
) {
    naked_asm!(
        "push rbp",
        "push rbx",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        // This function's own data is above the function's stack arguments.
        "sub rsp, {stack_bytes} + 24",
        "mov qword ptr [rsp + {stack_bytes}], rdx",
        "mov qword ptr [rsp + {stack_bytes} + 8], rsp",
        "mov r11, rdi",
        "mov r12, rsi",
        "mov r14, rcx",
        "lea rsi, [r12 + {stack}]",
        "mov rdi, rsp",
        "mov ecx, {stack_words}",
        "rep movsq",
        "cmp r14, 64",
        "je 23f",
        "cmp r14, 32",
        "je 22f",
        "movups xmm0, xmmword ptr [r12 + 0]",
        "movups xmm1, xmmword ptr [r12 + 64]",
        "movups xmm2, xmmword ptr [r12 + 128]",
        "movups xmm3, xmmword ptr [r12 + 192]",
        "movups xmm4, xmmword ptr [r12 + 256]",
        "movups xmm5, xmmword ptr [r12 + 320]",
        "movups xmm6, xmmword ptr [r12 + 384]",
        "movups xmm7, xmmword ptr [r12 + 448]",
        "jmp 24f",
        "22:",
        "vmovups ymm0, ymmword ptr [r12 + 0]",
        "vmovups ymm1, ymmword ptr [r12 + 64]",
        "vmovups ymm2, ymmword ptr [r12 + 128]",
        "vmovups ymm3, ymmword ptr [r12 + 192]",
        "vmovups ymm4, ymmword ptr [r12 + 256]",
        "vmovups ymm5, ymmword ptr [r12 + 320]",
        "vmovups ymm6, ymmword ptr [r12 + 384]",
        "vmovups ymm7, ymmword ptr [r12 + 448]",
        "jmp 24f",
        "23:",
        "vmovups zmm0, zmmword ptr [r12 + 0]",
        "vmovups zmm1, zmmword ptr [r12 + 64]",
        "vmovups zmm2, zmmword ptr [r12 + 128]",
        "vmovups zmm3, zmmword ptr [r12 + 192]",
        "vmovups zmm4, zmmword ptr [r12 + 256]",
        "vmovups zmm5, zmmword ptr [r12 + 320]",
        "vmovups zmm6, zmmword ptr [r12 + 384]",
        "vmovups zmm7, zmmword ptr [r12 + 448]",
        "24:",
        "mov rdi, qword ptr [r12 + {registers} + 0]",
        "mov rsi, qword ptr [r12 + {registers} + 8]",
        "mov rdx, qword ptr [r12 + {registers} + 16]",
        "mov rcx, qword ptr [r12 + {registers} + 24]",
        "mov r8, qword ptr [r12 + {registers} + 32]",
        "mov r9, qword ptr [r12 + {registers} + 40]",
        "mov rax, qword ptr [r12 + {registers} + 48]",
        "mov r10, qword ptr [r12 + {registers} + 56]",
        "mov ebx, {rbx}",
        "mov ebp, {rbp}",
        "mov r12d, {r12}",
        "mov r13d, {r13}",
        "mov r14d, {r14}",
        "mov r15d, {r15}",
        "call r11",
        "mov rcx, qword ptr [rsp + {stack_bytes}]",
        "mov qword ptr [rcx], rax",
        "mov qword ptr [rcx + 8], rdx",
        "movq qword ptr [rcx + 16], xmm0",
        "movq qword ptr [rcx + 24], xmm1",
        "mov rax, qword ptr [rsp + {stack_bytes} + 8]",
        "sub rax, rsp",
        "mov qword ptr [rcx + 32], rax",
        "mov qword ptr [rcx + 40], rbx",
        "mov qword ptr [rcx + 48], rbp",
        "mov qword ptr [rcx + 56], r12",
        "mov qword ptr [rcx + 64], r13",
        "mov qword ptr [rcx + 72], r14",
        "mov qword ptr [rcx + 80], r15",
        "add rsp, {stack_bytes} + 24",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbx",
        "pop rbp",
        "ret",
        rbx = const KEPT[0],
        rbp = const KEPT[1],
        r12 = const KEPT[2],
        r13 = const KEPT[3],
        r14 = const KEPT[4],
        r15 = const KEPT[5],
        stack_bytes = const STACK_WORDS * 8,
        stack_words = const STACK_WORDS,
        stack = const STACK,
        registers = const REGISTERS,
    )
}

fn vector_width() -> usize {
    if is_x86_feature_detected!("avx512f") {
        64
    } else if is_x86_feature_detected!("avx") {
        32
    } else {
        16
    }
}

/// SplitMix64: every bit pattern can occur, including NaNs and denormals.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn arguments(&mut self, width: usize) -> Arguments {
        let mut next = || self.next();
        let mut arguments = Arguments {
            vectors: std::array::from_fn(|_| std::array::from_fn(|_| next())),
            registers: std::array::from_fn(|_| next()),
            rax: next(),
            r10: next(),
            stack: std::array::from_fn(|_| next()),
        };
        for vector in &mut arguments.vectors {
            vector[width / 8..].fill(0);
        }
        arguments
    }
}

struct Library(*mut c_void);

impl Library {
    fn open(path: &str) -> Self {
        let path = CString::new(path).expect("no NUL");
        // SAFETY: a valid path; the libraries are the shim and a stand-in.
        let handle = unsafe { libc::dlopen(path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        assert!(!handle.is_null(), "cannot load {path:?}");
        Self(handle)
    }

    fn symbol(&self, name: &str) -> *const c_void {
        let c_name = CString::new(name).expect("no NUL");
        // SAFETY: an open handle and a valid name.
        let address = unsafe { libc::dlsym(self.0, c_name.as_ptr()) };
        assert!(!address.is_null(), "no {name}");
        address
    }

    fn text(&self, name: &str) -> String {
        let function = self.symbol(name);
        // SAFETY: all rocblas_shim_ functions that are called here have this type.
        let function: extern "C" fn() -> *const libc::c_char =
            unsafe { std::mem::transmute(function) };
        // SAFETY: they return C strings that stay valid.
        unsafe { CStr::from_ptr(function()) }.to_string_lossy().into_owned()
    }
}

/// Functions for which the shim also runs Rust code: it records the backend of each handle.
const KEEPS_TRACK: [&str; 2] = ["rocblas_create_handle", "rocblas_destroy_handle"];

struct Checker {
    shim: Library,
    latest: extern "C" fn() -> *const Record,
    width: usize,
    random: Random,
    /// In place of a random first argument.
    handle: Option<u64>,
    /// A register, with its value instead of a random word.
    given: Option<(usize, u64)>,
    return_address: u64,
    is_traced: bool,
    /// Whether two backends are open.
    is_routed: bool,
    /// The arguments of traced functions.
    words: String,
    wrong: usize,
}

impl Checker {
    fn call(&mut self, function: *const c_void) -> (Arguments, Results, Record) {
        let mut arguments = self.random.arguments(self.width);
        if let Some(handle) = self.handle {
            arguments.registers[0] = handle;
        }
        if let Some((register, word)) = self.given {
            arguments.registers[register] = word;
        }
        let mut results = Results::default();
        // SAFETY: a function of the shim or the probe, which only copies the words.
        unsafe { call(function, &raw const arguments, &raw mut results, self.width) };
        // SAFETY: the probe's record of this thread.
        let record = unsafe { (*(self.latest)()).clone() };
        (arguments, results, record)
    }

    fn check(&mut self, name: &str, calls: Option<u64>) {
        let function = by_name(name).expect("in the table");
        let index = u64::from(function.index);
        let (sent, got, record) = self.call(self.shim.symbol(name));
        if (self.is_traced || KEEPS_TRACK.contains(&name)) && function.kind == Kind::C {
            return self.check_words(function, &sent, &got, &record);
        }
        let is_of_object = matches!(function.whose, Whose::DeviceMalloc(_));
        let expected = Record {
            vectors: sent.vectors,
            registers: sent.registers,
            // The entries of functions with a device_malloc object, which are not variadic, use rax.
            rax: if self.is_routed && is_of_object { record.rax } else { sent.rax },
            // The ABI reserves r10 for linkage code.
            r10: if self.is_routed { record.r10 } else { sent.r10 },
            index,
            return_address: self.return_address,
            stack: sent.stack,
            // While tracing, the shim makes additional calls to the backend.
            calls: calls.filter(|_| !self.is_traced).unwrap_or(record.calls),
        };
        if record != expected || got != Results::of(index) {
            self.wrong += 1;
            eprintln!(
                "{name}: got {got:x?} instead of {:x?}\nsent     {expected:x?}\nrecorded {record:x?}",
                Results::of(index),
            );
        }
    }
}

/// The record of the latest call of that probe in this thread.
fn latest_of(library: &Library) -> extern "C" fn() -> *const Record {
    // SAFETY: the probe's own function of this type.
    unsafe { std::mem::transmute(library.symbol(LATEST)) }
}

impl Checker {
    /// Calls the functions that go to one of two backends.
    fn check_routed(&mut self, second: &str) {
        let name = CString::new(second).expect("no NUL");
        let switch = self.shim.symbol("rocblas_shim_backend_use");
        // SAFETY: the function's prototype.
        let switch: extern "C" fn(*const libc::c_char) -> i32 =
            unsafe { std::mem::transmute(switch) };
        assert_eq!(switch(name.as_ptr()), 0, "{second}");
        assert_eq!(self.shim.text("rocblas_shim_mode"), "routed");
        self.is_routed = true;
        let (first, second) = (self.latest, latest_of(&Library::open(second)));
        let known = self.random.next();
        for handle in [None, Some(known), Some(known)] {
            for function in exports() {
                let handle = handle.unwrap_or_else(|| self.random.next());
                let object = [handle];
                (self.given, self.latest) = match function.whose {
                    Whose::Handle(at) => (Some((usize::from(at), handle)), second),
                    Whose::DeviceMalloc(at) => (
                        Some((usize::from(at), object.as_ptr().expose_provenance() as u64)),
                        second,
                    ),
                    Whose::Device => (None, second),
                    Whose::Any => (None, first),
                    // These call several backends.
                    Whose::All | Whose::Max { .. } => continue,
                };
                self.check(function.name, None);
            }
        }
    }

    /// Checks what must be preserved if a frame of the shim is in between.
    fn check_words(
        &mut self,
        function: &Function,
        sent: &Arguments,
        got: &Results,
        record: &Record,
    ) {
        let index = u64::from(function.index);
        let word = |i: usize| if i < 6 { sent.registers[i] } else { sent.stack[i - 6] };
        let words: Vec<u64> = (0..function.params.len()).map(word).collect();
        let arrived: Vec<u64> = (0..function.params.len()).map(|i| record.word(i)).collect();
        let expected = Results::of(index);
        // A status has 32 bits.
        let bits = if KEEPS_TRACK.contains(&function.name) { u32::MAX.into() } else { u64::MAX };
        let came_back =
            (got.rax & bits, got.moved, got.kept) == (expected.rax & bits, 0, expected.kept);
        if words != arrived || record.index != index || !came_back {
            self.wrong += 1;
            eprintln!("{}: sent {words:x?}, arrived {arrived:x?}, got {got:x?}", function.name);
        }
        self.words.push_str(&format!("{} {words:x?}\n", function.name));
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [shim, backend, first] = arguments.as_slice() else {
        eprintln!("usage: forward_all SHIM BACKEND FIRST");
        return ExitCode::from(2);
    };
    let shim = Library::open(shim);
    assert_eq!(shim.text("rocblas_shim_mode"), "cold", "it found a backend too early");
    // SAFETY: this process has one thread.
    unsafe { env::set_var("ROCBLAS_SHIM_BACKEND", backend) };

    // The address that the trampoline's call returns to, from a call that no shim is part of: a
    // second copy of the probe, so that the backend itself is not loaded yet.
    let direct = Library::open(&env::var("DIRECT_PROBE").expect("set by the test"));
    let mut checker = Checker {
        latest: latest_of(&direct),
        shim,
        width: vector_width(),
        random: Random(0x5eed),
        handle: None,
        given: None,
        return_address: 0,
        is_traced: env::var_os("ROCBLAS_SHIM_TRACE").is_some(),
        is_routed: false,
        words: String::new(),
        wrong: 0,
    };
    let (sent, got, record) = checker.call(direct.symbol("rocblas_abort"));
    assert_eq!((record.registers, record.stack, record.calls), (sent.registers, sent.stack, 1));
    assert_eq!(got, Results::of(0));
    checker.return_address = record.return_address;

    // The lazy first call; only afterwards is there a backend whose record can be read.
    let arguments = checker.random.arguments(checker.width);
    let mut results = Results::default();
    // SAFETY: as in `Checker::call`.
    unsafe {
        call(checker.shim.symbol(first), &raw const arguments, &raw mut results, checker.width);
    };
    let mode = if checker.is_traced { "traced" } else { "direct" };
    assert_eq!(checker.shim.text("rocblas_shim_mode"), mode);
    checker.latest = latest_of(&Library::open(backend));
    // SAFETY: the record of the backend in use.
    let record = unsafe { (*(checker.latest)()).clone() };
    let index = u64::from(by_name(first).expect("in the table").index);
    let expected = Record {
        vectors: arguments.vectors,
        registers: arguments.registers,
        rax: arguments.rax,
        r10: arguments.r10,
        index,
        return_address: checker.return_address,
        stack: arguments.stack,
        // The first call is the shim's own query of the version.
        calls: 2,
    };
    let function = by_name(first).expect("in the table");
    if checker.is_traced && function.kind == Kind::C {
        checker.check_words(function, &arguments, &results, &record);
    } else {
        assert_eq!(record, expected, "the lazy first call of {first}");
        assert_eq!(results, Results::of(index), "its results");
    }

    for (function, calls) in exports().iter().zip(3..) {
        checker.check(function.name, Some(calls));
    }
    if checker.is_traced {
        checker.handle = Some(checker.random.next());
        for function in exports() {
            checker.check(function.name, None);
        }
    }
    if let Ok(second) = env::var("SECOND_PROBE") {
        checker.check_routed(&second);
    }
    if let Some(path) = env::var_os("WORDS") {
        std::fs::write(path, &checker.words).expect("write what was sent");
    }
    println!(
        "{} functions, {}-bit vector registers, first {first}",
        exports().len(),
        checker.width * 8
    );
    if checker.wrong == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
