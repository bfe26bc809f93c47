//! The child process: counts the GPUs, or computes on one of them.

use super::{
    hip::{Buffer, Hip},
    problem::{Deviation, Gemm, Trsm},
    rocblas::Rocblas,
};
use crate::doctor::{child, live, shared_object::SharedObject};
use rocblas_abi::value::{diagonal, fill, operation, side};
use serde::{Deserialize, Serialize};
use std::{ffi::c_int, io, path::Path, time::Instant};

/// Sizes of the product: m, n, k.
const GEMM: (usize, usize, usize) = (127, 63, 95);

/// The shapes that llama.cpp's tests of SOLVE_TRI pass to rocBLAS: m, n, batch.
const TRSM: [(usize, usize, usize); 2] = [(65, 42, 2), (417, 79, 2)];

/// How many GPUs HIP counts.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Counted {
    pub(super) devices: u32,
    /// Why they cannot be counted.
    pub(super) error: Option<String>,
}

/// The result of one GPU.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    /// The name that HIP reports; may be empty.
    pub name: String,
    /// Its target with features; may be empty.
    pub target: String,
    /// The library that executed the calls.
    pub served_by: String,
    /// One for each call.
    pub checks: Vec<Check>,
    /// Why nothing could be computed.
    pub error: Option<String>,
}

/// The result of a call.
#[derive(Debug, Serialize, Deserialize)]
pub struct Check {
    /// The function and its sizes.
    pub call: String,
    /// Time until the GPU was done, in milliseconds; the first calls load kernels.
    pub milliseconds: f64,
    /// The largest difference from the CPU's result, if the call succeeded; infinite (null in JSON) if an
    /// element is NaN.
    pub max_error: Option<f64>,
    /// The largest error relative to its bound: up to 1 is rounding.
    pub of_bound: Option<f64>,
    /// Whether the call succeeded with a correct result.
    pub right: bool,
    /// The status that the call returned, if not success.
    pub error: Option<String>,
}

impl Report {
    /// Whether everything was computed correctly.
    #[must_use]
    pub fn is_right(&self) -> bool {
        self.error.is_none()
            && !self.checks.is_empty()
            && self.checks.iter().all(|check| check.right)
    }
}

/// The child's entry point: with a number it computes on that GPU, without one it counts the GPUs.
pub fn respond(rocblas: &Path, device: Option<u32>) -> io::Result<()> {
    child::leave_no_core();
    match device {
        Some(device) => child::print_result(&test(rocblas, device)),
        None => child::print_result(&count(rocblas)),
    }
}

fn count(rocblas: &Path) -> Counted {
    match Hip::open(rocblas).and_then(|hip| hip.device_count()) {
        Ok(devices) => Counted { devices, error: None },
        Err(error) => Counted { devices: 0, error: Some(error) },
    }
}

fn test(rocblas: &Path, device: u32) -> Report {
    let mut report = Report {
        name: String::new(),
        target: String::new(),
        served_by: String::new(),
        checks: Vec::new(),
        error: None,
    };
    report.error = compute(rocblas, device, &mut report).err();
    report
}

fn compute(path: &Path, device: u32, report: &mut Report) -> Result<(), String> {
    let hip = Hip::open(path)?;
    hip.use_device(device)?;
    (report.name, report.target) = hip.names(device);
    let library = SharedObject::open(path)?;
    report.served_by = match live::ask(&library) {
        None => format!("{}, no shim", path.display()),
        Some(shim) if shim.backend.is_empty() => return Err(shim.error),
        Some(shim) => format!("shim {}, backend {} ({})", shim.shim, shim.backend, shim.path),
    };
    let rocblas = Rocblas::new(&library)?;
    let (m, n, k) = GEMM;
    report.checks.push(check(format!("sgemm m={m} n={n} k={k}"), |clock| {
        gemm(&hip, &rocblas, &Gemm::new(m, n, k), clock)
    }));
    for (m, n, batch) in TRSM {
        let systems: Vec<Trsm> = (1..).take(batch).map(|seed| Trsm::new(m, n, seed)).collect();
        report.checks.push(check(format!("strsm_batched m={m} n={n} batch={batch}"), |clock| {
            trsm(&hip, &rocblas, &systems, clock)
        }));
    }
    Ok(())
}

/// Runs a call, which starts and stops the clock.
fn check(call: String, run: impl FnOnce(&mut Clock) -> Result<Deviation, String>) -> Check {
    let mut clock = Clock(0.0);
    let result = run(&mut clock);
    let deviation = result.as_ref().ok();
    Check {
        call,
        milliseconds: clock.0,
        max_error: deviation.map(|deviation| deviation.error),
        of_bound: deviation.map(|deviation| deviation.of_bound),
        right: deviation.is_some_and(|deviation| deviation.is_right()),
        error: result.err(),
    }
}

/// The time of a call, in milliseconds.
struct Clock(f64);

impl Clock {
    fn time<R>(&mut self, call: impl FnOnce() -> R) -> R {
        let start = Instant::now();
        let result = call();
        self.0 = start.elapsed().as_secs_f64() * 1e3;
        result
    }
}

fn int(size: usize) -> c_int {
    c_int::try_from(size).expect("the sizes above are small")
}

fn gemm(
    hip: &Hip,
    rocblas: &Rocblas<'_>,
    gemm: &Gemm,
    clock: &mut Clock,
) -> Result<Deviation, String> {
    let (a, b, c) = (hip.upload(&gemm.a)?, hip.upload(&gemm.b)?, hip.upload(&gemm.c)?);
    clock.time(|| {
        // SAFETY: the matrices have the given sizes and outlive the call, whose end the synchronisation waits
        // for. alpha and beta are read from host memory, the default of a new handle.
        let status = unsafe {
            (rocblas.sgemm)(
                rocblas.handle,
                operation::TRANSPOSE,
                operation::NONE,
                int(gemm.m),
                int(gemm.n),
                int(gemm.k),
                &raw const gemm.alpha,
                a.as_ptr(),
                int(gemm.lda),
                b.as_ptr(),
                int(gemm.ldb),
                &raw const gemm.beta,
                c.as_ptr(),
                int(gemm.ldc),
            )
        };
        rocblas.check("rocblas_sgemm", status)?;
        hip.synchronize()
    })?;
    Ok(gemm.deviation(&c.download()?))
}

fn trsm(
    hip: &Hip,
    rocblas: &Rocblas<'_>,
    systems: &[Trsm],
    clock: &mut Clock,
) -> Result<Deviation, String> {
    let (m, n) = (systems[0].m, systems[0].n);
    let upload = |values: fn(&Trsm) -> &[f32]| {
        systems.iter().map(|system| hip.upload(values(system))).collect::<Result<Vec<_>, _>>()
    };
    let a = upload(|system| &system.a)?;
    // B before the call, X after it.
    let b = upload(|system| &system.b)?;
    // Kernels read the addresses too. They are integers, since a pointer has no default.
    let addresses = |buffers: &[Buffer<'_, f32>]| {
        let addresses: Vec<usize> =
            buffers.iter().map(|buffer| buffer.as_ptr().expose_provenance()).collect();
        hip.upload(&addresses)
    };
    let (a_addresses, b_addresses) = (addresses(&a)?, addresses(&b)?);
    clock.time(|| {
        // SAFETY: each A is n by n and each B m by n, as the leading dimensions say; they and their addresses
        // outlive the call, whose end the synchronisation waits for. alpha as above.
        let status = unsafe {
            (rocblas.strsm_batched)(
                rocblas.handle,
                side::RIGHT,
                fill::UPPER,
                operation::NONE,
                diagonal::NON_UNIT,
                int(m),
                int(n),
                &raw const ONE,
                a_addresses.as_ptr().cast(),
                int(n),
                b_addresses.as_ptr().cast(),
                int(m),
                int(systems.len()),
            )
        };
        rocblas.check("rocblas_strsm_batched", status)?;
        hip.synchronize()
    })?;
    let mut worst = systems[0].deviation(&b[0].download()?);
    for (system, x) in systems.iter().zip(&b).skip(1) {
        worst = worst.max(system.deviation(&x.download()?));
    }
    Ok(worst)
}

static ONE: f32 = 1.0;
