//! Calls every C function of rocBLAS, or its counterpart in hipBLAS, with arguments chosen by the types and
//! names in the ABI table, and prints what each returns. It runs on the recording HIP runtime, without a GPU.
//!
//! `every_function LIBRARY VARIANT`: see [`Variant`]. Each call is made in its own child process, so that a
//! crash (`signal 11`) or a destroyed handle does not affect the next call; in the recording runtime's log a
//! line `call NAME` precedes the effects of each call. The variants for rocBLAS's own log are an exception:
//! a thread of rocBLAS writes that log, and a forked child does not have that thread.

use rocblas_abi::{
    Base, Direction, EnumId, Function, Kind, Param, Returns, Whose, c_exports, enumeration,
};
use std::{
    env,
    ffi::{CStr, CString, c_void},
    fs::{File, OpenOptions},
    io::Write,
    process::ExitCode,
    ptr::null_mut,
};
use tests::words::{WORDS, Words, call};

/// Which arguments a function gets.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Variant {
    /// Null and zero, for everything.
    NullHandle,
    /// A handle, null pointers, sizes of 1.
    NullPointers,
    /// A handle and memory, sizes of -1.
    NegativeSizes,
    /// Typical arguments: upper, left, not transposed.
    Valid,
    /// The same with lower, right, transposed.
    Transposed,
    /// For functions that compute: distinct numbers, by which the parameters can be distinguished in a log.
    Numbered,
    /// The same with scalars in device memory.
    DeviceScalars,
}

impl Variant {
    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "null-handle" => Self::NullHandle,
            "null-pointers" => Self::NullPointers,
            "negative-sizes" => Self::NegativeSizes,
            "valid" => Self::Valid,
            "transposed" => Self::Transposed,
            "numbered" => Self::Numbered,
            "device-scalars" => Self::DeviceScalars,
            _ => return None,
        })
    }

    /// Whether a parameter's value depends on its position.
    fn is_numbered(self) -> bool {
        matches!(self, Self::Numbered | Self::DeviceScalars)
    }
}

/// Room for 4 matrices of 128 columns and rows of the largest type, and pointers before them.
const ARENA: usize = 8 << 20;
const BATCH: u64 = 2;

/// Memory that the parent and a child share.
#[repr(C, align(64))]
struct Shared {
    returned: u64,
    /// Host memory for what a function writes: scalars, modes, names, numbers.
    out: [u8; 4096],
    /// The number 2 in each type: with 1, scaling would be done without a kernel.
    twos: [u8; 64],
}

struct Library(*mut c_void);

impl Library {
    fn open(path: &str) -> Self {
        let c_path = CString::new(path).expect("no NUL");
        // SAFETY: a valid path; the constructors that run are those of the library under test.
        let handle = unsafe { libc::dlopen(c_path.as_ptr(), libc::RTLD_NOW | libc::RTLD_GLOBAL) };
        if handle.is_null() {
            // SAFETY: dlerror returns a C string after a failure.
            panic!("{}", unsafe { CStr::from_ptr(libc::dlerror()) }.to_string_lossy());
        }
        Self(handle)
    }

    fn symbol(&self, name: &str) -> *const c_void {
        let name = CString::new(name).expect("no NUL");
        // SAFETY: an open handle and a valid name.
        unsafe { libc::dlsym(self.0, name.as_ptr()) }
    }
}

struct Caller {
    variant: Variant,
    handle: u64,
    /// Device memory, one block for each position of a pointer among the parameters; each block begins with
    /// pointers into itself, for functions that take an array of matrices.
    arenas: Vec<u64>,
    shared: *mut Shared,
    hipblas: bool,
}

impl Caller {
    /// The word for a parameter.
    fn word(&self, f: &Function, place: usize, param: &Param) -> u64 {
        if self.variant == Variant::NullHandle {
            return 0;
        }
        if param.ty.pointers > 0 {
            let null = self.variant == Variant::NullPointers || param.ty.base == Base::DeviceMalloc;
            return if null { 0 } else { self.pointer(place, param) };
        }
        let number = if self.variant.is_numbered() { place as u64 } else { 0 };
        let size = |valid: u64| match self.variant {
            Variant::NullPointers => 1,
            Variant::NegativeSizes => u64::MAX,
            _ => valid + number,
        };
        match param.ty.base {
            Base::Handle => self.handle,
            Base::Enum(EnumId::Datatype) if self.variant == Variant::DeviceScalars => 152,
            Base::Enum(id) if self.variant.is_numbered() => numbered_choice(id, number, param.name),
            Base::Enum(id) => self.choice(id),
            Base::Int | Base::I32 | Base::I64 => match param.name {
                "kl" | "ku" => size(2),
                "incx" | "incy" | "inca" | "incb" => size(1),
                "elem_size" => size(4),
                // The number of pointers.
                "batch_count" if self.variant.is_numbered() => BATCH,
                "batch_count" => size(BATCH),
                "solution_index" => number,
                name if name.starts_with("ld") => size(128),
                _ => size(64),
            },
            // All operands of rotg and rotmg are scalars in host memory.
            Base::Stride if param.name == "stride_param" => size(5),
            Base::Stride if f.name.contains("rotg") || f.name.contains("rotmg") => size(2),
            Base::Stride => size(128 * 128),
            Base::Size => 64,
            Base::U32 => number,
            // Streams, events.
            _ => 0,
        }
    }

    fn choice(&self, id: EnumId) -> u64 {
        let name = enumeration(id).name.trim_start_matches("rocblas_");
        let transposed = self.variant == Variant::Transposed;
        match name {
            "operation" => 111 + u64::from(transposed),
            "fill" => 121 + u64::from(transposed),
            "diagonal" => 131 + u64::from(transposed),
            "side" => 141 + u64::from(transposed),
            // Single precision for everything that an untyped pointer may point to.
            "datatype" => 151,
            _ => 0,
        }
    }

    fn pointer(&self, place: usize, param: &Param) -> u64 {
        let shared = self.shared;
        // SAFETY: the mapping is there for the whole program; only addresses are taken.
        let (out, twos) = unsafe { (&raw mut (*shared).out, &raw mut (*shared).twos) };
        if param.ty.pointers > 1 {
            return self.arenas[place];
        }
        match (param.scalar, param.ty.base) {
            (Some(_), _) if self.variant == Variant::DeviceScalars => self.arenas[place],
            (Some(Direction::In), base) if self.variant == Variant::Numbered => {
                let to = out as u64 + place as u64 * 64;
                let scalar = numbered_scalar(base, place);
                // SAFETY: 64 bytes of the mapping are for this place, and no child runs now.
                unsafe { (to as *mut u8).copy_from(scalar.as_ptr(), scalar.len()) };
                to
            }
            (Some(Direction::In), base) => {
                let offset = match base {
                    Base::F64 | Base::C64 => 16,
                    Base::F16 => 32,
                    Base::Bf16 => 48,
                    _ => 0,
                };
                twos as u64 + offset
            }
            (Some(_), _) => out as u64 + place as u64 * 64,
            (None, Base::Handle | Base::Stream | Base::Event | Base::Size | Base::Char)
            | (None, Base::Enum(_)) => out as u64 + place as u64 * 64,
            // Arrays with a number for each group of products. They are not in an arena, which begins with
            // pointers that differ in every run.
            (None, Base::Int | Base::I32 | Base::I64) if param.ty.constant => {
                out as u64 + place as u64 * 64
            }
            _ => self.arenas[place],
        }
    }

    /// Calls a function in a child and describes the result.
    fn call(&self, f: &Function, function: *const c_void) -> String {
        let mut words: Words = [0; WORDS];
        for (place, param) in f.params.iter().enumerate() {
            words[place] = self.word(f, place, param);
        }
        // SAFETY: the mapping is there for the whole program and no child runs now.
        unsafe { (*self.shared).out.fill(0) };
        // SAFETY: this program has one thread.
        let child = unsafe { libc::fork() };
        assert!(child >= 0, "fork");
        if child == 0 {
            // SAFETY: a wrong argument affects only this child, which is killed if it hangs and which
            // leaves no core file.
            unsafe {
                let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
                libc::setrlimit(libc::RLIMIT_CORE, &raw const none);
                libc::alarm(60);
                (*self.shared).returned = call(function, &words);
                libc::_exit(0);
            }
        }
        let mut status = 0;
        // SAFETY: our child, and memory for the status.
        let ended = unsafe { libc::waitpid(child, &raw mut status, 0) };
        assert_eq!(ended, child, "wait");
        if libc::WIFSIGNALED(status) {
            return format!("signal {}", libc::WTERMSIG(status));
        }
        if libc::WEXITSTATUS(status) != 0 {
            return format!("exit {}", libc::WEXITSTATUS(status));
        }
        self.result(f)
    }

    /// Calls a function in this process and describes the result.
    fn call_here(&self, f: &Function, function: *const c_void) -> String {
        let mut words: Words = [0; WORDS];
        for (place, param) in f.params.iter().enumerate() {
            words[place] = self.word(f, place, param);
        }
        // SAFETY: the function takes these words, and the mapping is there for the whole program.
        unsafe { (*self.shared).returned = call(function, &words) };
        self.result(f)
    }

    /// The returned value in its type, and the output if the function writes it without a device.
    fn result(&self, f: &Function) -> String {
        // SAFETY: the mapping is there for the whole program and the child has ended.
        let shared = unsafe { &*self.shared };
        let returned = shared.returned;
        let mut text = match f.returns {
            // hipBLAS's status has other numbers.
            Returns::Status if self.hipblas => (returned as i32).to_string(),
            Returns::Status => {
                let status = enumeration(EnumId::Status);
                let value = returned as i32;
                status.short_name_of(value).map_or(value.to_string(), str::to_owned)
            }
            Returns::Bool => (returned as u8 != 0).to_string(),
            Returns::PointerMode => (returned as i32).to_string(),
            Returns::Size => returned.to_string(),
            Returns::CString => if returned == 0 { "null" } else { "text" }.to_owned(),
            _ => "done".to_owned(),
        };
        for (place, param) in f.params.iter().enumerate() {
            let out = &shared.out[place * 64..][..64];
            let number = u64::from_le_bytes(out[..8].try_into().expect("eight bytes"));
            match (param.ty.pointers, param.ty.constant, param.ty.base) {
                (1, false, Base::Char) => {
                    let text_out = CStr::from_bytes_until_nul(out).unwrap_or_default();
                    text.push_str(&format!(" {}={}", param.name, text_out.to_string_lossy()));
                }
                (1, false, Base::Enum(_) | Base::Size) => {
                    text.push_str(&format!(" {}={number}", param.name));
                }
                _ => {}
            }
        }
        text
    }
}

/// Values of an enum in turn; single precision for scalars and for the computation.
fn numbered_choice(id: EnumId, number: u64, name: &str) -> u64 {
    if matches!(name, "alpha_type" | "compute_type" | "execution_type") {
        return 151;
    }
    let values = enumeration(id).values;
    let count = match id {
        EnumId::Operation => 3,
        // Half, single and double precision, real and complex.
        EnumId::Datatype => 6,
        // Most functions reject a third value (full, both).
        _ => 2,
    };
    values[number as usize % count].value as u64
}

/// The position plus a quarter, with the position plus a half as the imaginary part; all types can represent
/// them.
fn numbered_scalar(base: Base, place: usize) -> Vec<u8> {
    let (re, im) = (place as f32 + 0.25, place as f32 + 0.5);
    let bits = re.to_bits();
    match base {
        // Fewer bits of the fraction, and another bias of the exponent.
        Base::F16 => (((bits >> 13) - (112 << 10)) as u16).to_le_bytes().to_vec(),
        Base::Bf16 => ((bits >> 16) as u16).to_le_bytes().to_vec(),
        Base::C32 => [re, im].iter().flat_map(|part| part.to_le_bytes()).collect(),
        Base::F64 => f64::from(re).to_le_bytes().to_vec(),
        Base::C64 => [re, im].iter().flat_map(|part| f64::from(*part).to_le_bytes()).collect(),
        // An untyped one is computed in single precision.
        _ => re.to_le_bytes().to_vec(),
    }
}

/// Whether a function computes something. The others set and query state, and some of them would affect the
/// calls of other functions.
fn computes(f: &Function) -> bool {
    let is_size = |p: &Param| p.ty.pointers == 0 && matches!(p.ty.base, Base::Int | Base::I64);
    matches!(f.whose, Whose::Handle(_))
        && f.params.iter().any(|p| p.scalar.is_some() || is_size(p))
        && !f.name.contains("_get_solutions")
}

/// hipBLAS's name for a function of levels 1 to 3: `hipblasSgemmBatched_64` for `rocblas_sgemm_batched_64`.
/// `None` if the parameters differ.
fn hipblas_name(f: &Function) -> Option<String> {
    let name = f.name.strip_prefix("rocblas_")?;
    let (name, wide) = name.strip_suffix("_64").map_or((name, ""), |name| (name, "_64"));
    let mut words = name.split('_');
    let routine = words.next()?;
    let rest: Vec<&str> = words.collect();
    if !matches!(rest[..], [] | ["batched"] | ["strided", "batched"]) {
        return None;
    }
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1);
        first.to_uppercase() + rest
    };
    let words: String = std::iter::once(&routine).chain(&rest).map(|word| capital(word)).collect();
    Some(format!("hipblas{words}{wide}"))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [path, variant] = arguments.as_slice() else {
        eprintln!("usage: every_function LIBRARY VARIANT");
        return ExitCode::from(2);
    };
    let Some(variant) = Variant::named(variant) else {
        eprintln!("every_function: no variant {variant}");
        return ExitCode::from(2);
    };
    let hipblas = path.contains("libhipblas");
    let library = Library::open(path);
    let hip = Library::open("libamdhip64.so.7");

    let size = size_of::<Shared>();
    // SAFETY: a new mapping, zero, which children write to and the parent sees.
    let shared = unsafe {
        libc::mmap(
            null_mut(),
            size,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert_ne!(shared, libc::MAP_FAILED, "mmap");
    let shared = shared.cast::<Shared>();
    // SAFETY: just mapped, zero is a value of it, and nothing else uses it yet.
    let twos = unsafe { &mut (*shared).twos };
    twos[..4].copy_from_slice(&2f32.to_le_bytes());
    twos[16..24].copy_from_slice(&2f64.to_le_bytes());
    twos[32..34].copy_from_slice(&0x4000u16.to_le_bytes());
    twos[48..50].copy_from_slice(&0x4000u16.to_le_bytes());

    let mut words: Words = [0; WORDS];
    let mut handle = 0u64;
    words[0] = &raw mut handle as u64;
    let create = if hipblas { "hipblasCreate" } else { "rocblas_create_handle" };
    // SAFETY: it takes the address of a handle.
    let status = unsafe { call(library.symbol(create), &words) } as i32;
    assert_eq!(status, 0, "{create}");

    if variant == Variant::DeviceScalars {
        (words[0], words[1]) = (handle, 1);
        let set = library.symbol("rocblas_set_pointer_mode");
        // SAFETY: it takes a handle and a mode.
        assert_eq!(unsafe { call(set, &words) } as i32, 0, "rocblas_set_pointer_mode");
    }

    let malloc = hip.symbol("hipMalloc");
    let arenas = (0..WORDS).map(|_| {
        let mut arena = 0u64;
        let mut words: Words = [0; WORDS];
        (words[0], words[1]) = (&raw mut arena as u64, ARENA as u64);
        // SAFETY: `hipMalloc(void **, size_t)`.
        assert_eq!(unsafe { call(malloc, &words) } as i32, 0, "hipMalloc");
        for i in 0..BATCH {
            // SAFETY: the recording runtime's device memory is the host's, of that size.
            unsafe { (arena as *mut u64).add(i as usize).write(arena + 4096 * (i + 1)) };
        }
        arena
    });
    let caller = Caller { variant, handle, arenas: arenas.collect(), shared, hipblas };

    let log = env::var_os("RECORDING_HIP_LOG")
        .map(|path| OpenOptions::new().append(true).open(path).expect("open the log"));
    let mark = |name: &str| {
        if let Some(log) = &log {
            let mut log: &File = log;
            log.write_all(format!("call {name}\n").as_bytes()).expect("write to the log");
        }
    };
    let mut out = std::io::stdout().lock();
    for f in c_exports() {
        // rocblas_abort would end this process.
        if f.name == "rocblas_abort" || (hipblas && f.kind == Kind::Variadic) {
            continue;
        }
        if variant.is_numbered() && !computes(f) {
            continue;
        }
        let name = if hipblas { hipblas_name(f) } else { Some(f.name.to_owned()) };
        let Some(name) = name else { continue };
        let function = library.symbol(&name);
        mark(&name);
        if function.is_null() {
            if !hipblas {
                writeln!(out, "{name}: absent").expect("print");
            }
            continue;
        }
        let result = match variant.is_numbered() {
            true => caller.call_here(f, function),
            false => caller.call(f, function),
        };
        writeln!(out, "{name}: {result}").expect("print");
    }
    ExitCode::SUCCESS
}
