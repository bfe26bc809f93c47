//! Multiplies matrices with the five kinds of call that llama.cpp uses, and checks the products on the CPU.
//!
//! Types are named in this order: inputs, output, arithmetic. On a GPU with fast half precision and no matrix
//! cores, such as gfx906, llama.cpp requests f16 throughout, with alpha and beta in half precision too;
//! products of bf16 are summed in f32.
//! products of bf16 are summed in f32.

#[path = "../client/mod.rs"]
mod client;

use client::{
    memory::{Buffer, Memory},
    rocblas::{Handle, Status},
};
use examples::{
    options,
    product::{ALPHA, BETA, Element, Product, Shape},
    random::Random,
    table::{Align, Table},
};
use half::{bf16, f16};
use std::{ffi::c_void, process::ExitCode};

mod calls {
    include!(concat!(env!("OUT_DIR"), "/gemm.rs"));
}
use calls::{
    DATATYPE_BF16_R, DATATYPE_F16_R, DATATYPE_F32_R, GEMM_ALGO_STANDARD, OPERATION_NONE,
    OPERATION_TRANSPOSE, rocblas_gemm_batched_ex, rocblas_gemm_ex, rocblas_gemm_strided_batched_ex,
    rocblas_sgemm,
};

const PROGRAM: &str = "gemm";
const HELP: &str = "\
Multiplies matrices with rocblas_sgemm and the rocblas_gemm_ex family, in f32, f16 and bf16, and
checks the products on the CPU. Exit code 0 if every call succeeds and every product is right,
else 1.

Runs with any librocblas.so.5 that the loader finds; says which one it was.

Usage: gemm [--help]

Example:
  LD_LIBRARY_PATH=/opt/rocm/lib target/debug/gemm
";

const SHAPE: Shape = Shape { m: 48, n: 40, k: 64 };
const BATCH: usize = 3;

/// A type that calls identify by a number.
trait Typed: Element {
    const DATATYPE: i32;
}
impl Typed for f32 {
    const DATATYPE: i32 = DATATYPE_F32_R;
}
impl Typed for f16 {
    const DATATYPE: i32 = DATATYPE_F16_R;
}
impl Typed for bf16 {
    const DATATYPE: i32 = DATATYPE_BF16_R;
}

struct Multiplied {
    types: [&'static str; 3],
    batch: usize,
    status: Status,
    /// The largest error of the batch, and its bound.
    error: Option<f64>,
    bound: f64,
}

impl Multiplied {
    fn is_right(&self) -> bool {
        self.error.is_some_and(|error| error <= self.bound)
    }
}

fn main() -> ExitCode {
    match options::flags(PROGRAM, HELP, &[]) {
        Ok(_) => client::run(PROGRAM, multiply_all),
        Err(code) => code,
    }
}

fn multiply_all(handle: &Handle, memory: &Memory) -> Result<bool, String> {
    let calls = [
        ("sgemm", sgemm(handle, memory)?),
        ("gemm_ex", gemm_ex::<f16, f16, f16>(handle, memory)?),
        ("gemm_ex", gemm_ex::<bf16, bf16, f32>(handle, memory)?),
        ("gemm_batched_ex", gemm_batched_ex::<f16, f32, f32>(handle, memory)?),
        ("gemm_strided_batched_ex", gemm_strided_batched_ex::<f16, f16, f32>(handle, memory)?),
    ];
    let mut table = Table::new(&[
        ("rocblas_", Align::Left),
        ("in out sum", Align::Left),
        ("m n k", Align::Left),
        ("batch", Align::Right),
        ("rocblas_status_", Align::Left),
        ("error", Align::Right),
        ("bound", Align::Right),
        ("", Align::Left),
    ]);
    let Shape { m, n, k } = SHAPE;
    for (name, call) in &calls {
        let status = call.status.to_string();
        table.row(vec![
            (*name).to_owned(),
            call.types.join(" "),
            format!("{m} {n} {k}"),
            call.batch.to_string(),
            status.strip_prefix("rocblas_status_").unwrap_or(&status).to_owned(),
            call.error.map_or_else(|| "-".to_owned(), |e| format!("{e:.1e}")),
            format!("{:.1e}", call.bound),
            if call.is_right() { "ok" } else { "FAILED" }.to_owned(),
        ]);
    }
    let right = calls.iter().filter(|(_, call)| call.is_right()).count();
    print!("{table}");
    println!("\n{right} of {} products right", calls.len());
    Ok(right == calls.len())
}

/// A batch of products with operands in memory that rocBLAS can access, one problem after the other.
struct Operands<'m, I: Copy, O: Copy> {
    products: Vec<Product<I, O>>,
    a: Buffer<'m, I>,
    b: Buffer<'m, I>,
    /// C before the call, D after it.
    c: Buffer<'m, O>,
}

impl<'m, I: Element, O: Element> Operands<'m, I, O> {
    fn new(memory: &'m Memory, batch: usize) -> Result<Self, String> {
        let mut random = Random::new(1);
        let products: Vec<Product<I, O>> =
            (0..batch).map(|_| Product::random(SHAPE, &mut random)).collect();
        let a: Vec<I> = products.iter().flat_map(|p| p.a.iter().copied()).collect();
        let b: Vec<I> = products.iter().flat_map(|p| p.b.iter().copied()).collect();
        let c: Vec<O> = products.iter().flat_map(|p| p.c.iter().copied()).collect();
        let (a, b, c) = (memory.upload(&a)?, memory.upload(&b)?, memory.upload(&c)?);
        Ok(Self { products, a, b, c })
    }

    /// Checks the result of a call whose sums are computed in `S`.
    fn judge<S: Element>(self, status: Status) -> Result<Multiplied, String> {
        let error = if status.is_success() {
            let all = self.c.download()?;
            let results = self.products.iter().zip(all.chunks_exact(SHAPE.m * SHAPE.n));
            Some(results.map(|(product, d)| product.error(d)).fold(0.0, f64::max))
        } else {
            None
        };
        Ok(Multiplied {
            types: [I::NAME, O::NAME, S::NAME],
            batch: self.products.len(),
            status,
            error,
            bound: self.products[0].bound::<S>(),
        })
    }
}

fn int(size: usize) -> i32 {
    i32::try_from(size).expect("sizes are small")
}

/// Addresses of the problems of a batch, `step` elements apart.
fn problems<T: Copy>(buffer: &Buffer<'_, T>, step: usize) -> Vec<*mut T> {
    (0..BATCH).map(|i| buffer.as_ptr().wrapping_add(i * step)).collect()
}

fn sgemm(handle: &Handle, memory: &Memory) -> Result<Multiplied, String> {
    let operands = Operands::<f32, f32>::new(memory, 1)?;
    let Shape { m, n, k } = SHAPE;
    // SAFETY: the operands have the sizes given by the shape and the leading dimensions, and live until their
    // result has been downloaded. Scalars are read from the host, the default of a new handle.
    let status = Status(unsafe {
        rocblas_sgemm(
            handle.as_ptr(),
            OPERATION_TRANSPOSE,
            OPERATION_NONE,
            int(m),
            int(n),
            int(k),
            &ALPHA,
            operands.a.as_ptr(),
            int(k),
            operands.b.as_ptr(),
            int(k),
            &BETA,
            operands.c.as_ptr(),
            int(m),
        )
    });
    operands.judge::<f32>(status)
}

fn gemm_ex<I: Typed, O: Typed, S: Typed>(
    handle: &Handle,
    memory: &Memory,
) -> Result<Multiplied, String> {
    let operands = Operands::<I, O>::new(memory, 1)?;
    let Shape { m, n, k } = SHAPE;
    let (alpha, beta) = (S::round(ALPHA), S::round(BETA));
    // SAFETY: as for `sgemm`; alpha and beta have the type given for the arithmetic.
    let status = Status(unsafe {
        rocblas_gemm_ex(
            handle.as_ptr(),
            OPERATION_TRANSPOSE,
            OPERATION_NONE,
            int(m),
            int(n),
            int(k),
            (&raw const alpha).cast(),
            operands.a.as_ptr().cast(),
            I::DATATYPE,
            int(k),
            operands.b.as_ptr().cast(),
            I::DATATYPE,
            int(k),
            (&raw const beta).cast(),
            operands.c.as_ptr().cast(),
            O::DATATYPE,
            int(m),
            operands.c.as_ptr().cast(),
            O::DATATYPE,
            int(m),
            S::DATATYPE,
            GEMM_ALGO_STANDARD,
            0,
            0,
        )
    });
    operands.judge::<S>(status)
}

fn gemm_batched_ex<I: Typed, O: Typed, S: Typed>(
    handle: &Handle,
    memory: &Memory,
) -> Result<Multiplied, String> {
    let operands = Operands::<I, O>::new(memory, BATCH)?;
    let Shape { m, n, k } = SHAPE;
    let (alpha, beta) = (S::round(ALPHA), S::round(BETA));
    // Kernels read these arrays too.
    let a = memory.upload(&problems(&operands.a, k * m))?;
    let b = memory.upload(&problems(&operands.b, k * n))?;
    let c = memory.upload(&problems(&operands.c, m * n))?;
    // SAFETY: as for `gemm_ex`, for each problem of the batch; the arrays have an address for each.
    let status = Status(unsafe {
        rocblas_gemm_batched_ex(
            handle.as_ptr(),
            OPERATION_TRANSPOSE,
            OPERATION_NONE,
            int(m),
            int(n),
            int(k),
            (&raw const alpha).cast(),
            a.as_ptr().cast::<c_void>(),
            I::DATATYPE,
            int(k),
            b.as_ptr().cast::<c_void>(),
            I::DATATYPE,
            int(k),
            (&raw const beta).cast(),
            c.as_ptr().cast::<c_void>(),
            O::DATATYPE,
            int(m),
            c.as_ptr().cast::<c_void>(),
            O::DATATYPE,
            int(m),
            int(BATCH),
            S::DATATYPE,
            GEMM_ALGO_STANDARD,
            0,
            0,
        )
    });
    operands.judge::<S>(status)
}

fn gemm_strided_batched_ex<I: Typed, O: Typed, S: Typed>(
    handle: &Handle,
    memory: &Memory,
) -> Result<Multiplied, String> {
    let operands = Operands::<I, O>::new(memory, BATCH)?;
    let Shape { m, n, k } = SHAPE;
    let (alpha, beta) = (S::round(ALPHA), S::round(BETA));
    let stride = |rows: usize, columns: usize| i64::from(int(rows * columns));
    // SAFETY: as for `gemm_ex`; the strides place the batch's problems one after another without gaps.
    let status = Status(unsafe {
        rocblas_gemm_strided_batched_ex(
            handle.as_ptr(),
            OPERATION_TRANSPOSE,
            OPERATION_NONE,
            int(m),
            int(n),
            int(k),
            (&raw const alpha).cast(),
            operands.a.as_ptr().cast(),
            I::DATATYPE,
            int(k),
            stride(k, m),
            operands.b.as_ptr().cast(),
            I::DATATYPE,
            int(k),
            stride(k, n),
            (&raw const beta).cast(),
            operands.c.as_ptr().cast(),
            O::DATATYPE,
            int(m),
            stride(m, n),
            operands.c.as_ptr().cast(),
            O::DATATYPE,
            int(m),
            stride(m, n),
            int(BATCH),
            S::DATATYPE,
            GEMM_ALGO_STANDARD,
            0,
            0,
        )
    });
    operands.judge::<S>(status)
}
