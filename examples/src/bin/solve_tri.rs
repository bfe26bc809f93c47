//! Solves the triangular systems of llama.cpp's SOLVE_TRI with `rocblas_strsm_batched`, exactly as
//! llama.cpp calls it, and checks the solutions on the CPU.
//!
//! ggml stores A, X and B of A X = B by row. rocBLAS reads its operands by column, so it sees their
//! transposes: X^T A^T = B^T. The unknown is to the left of the matrix, so the matrix is on the right side,
//! and the transpose of a lower triangular matrix is upper triangular: RIGHT, UPPER, no transposition, with m
//! = k rows, and leading dimensions n and k.

#[path = "../client/mod.rs"]
mod client;

use client::{
    memory::{Buffer, Memory},
    rocblas::{Handle, Status},
};
use examples::{
    options,
    random::Random,
    solve::System,
    table::{Align, Table},
};
use std::process::ExitCode;

mod calls {
    include!(concat!(env!("OUT_DIR"), "/solve_tri.rs"));
}
use calls::{DIAGONAL_NON_UNIT, FILL_UPPER, OPERATION_NONE, SIDE_RIGHT, rocblas_strsm_batched};

const PROGRAM: &str = "solve_tri";
const HELP: &str = "\
Solves triangular systems with rocblas_strsm_batched, as llama.cpp's SOLVE_TRI does, and checks the
solutions on the CPU. Exit code 0 if every call succeeds and every solution is right, else 1.

Runs with any librocblas.so.5 that the loader finds; says which one it was.

Usage: solve_tri [--help]

Example:
  LD_LIBRARY_PATH=/opt/rocm/lib target/debug/solve_tri
";

/// The shapes that llama.cpp's own SOLVE_TRI tests pass to rocBLAS, and last that of a layer of Qwen3-Next:
/// n, k, batch.
const SHAPES: [(usize, usize, usize); 5] =
    [(79, 417, 1), (42, 65, 2), (64, 200, 1), (64, 384, 2), (64, 64, 4)];

struct Solved {
    status: Status,
    /// The largest error of the batch, and its bound.
    residual: Option<f64>,
    bound: f64,
}

impl Solved {
    fn is_right(&self) -> bool {
        self.residual.is_some_and(|residual| residual <= self.bound)
    }
}

fn main() -> ExitCode {
    match options::flags(PROGRAM, HELP, &[]) {
        Ok(_) => client::run(PROGRAM, solve_all),
        Err(code) => code,
    }
}

fn solve_all(handle: &Handle, memory: &Memory) -> Result<bool, String> {
    let mut table = Table::new(&[
        ("n", Align::Right),
        ("k", Align::Right),
        ("batch", Align::Right),
        ("status", Align::Left),
        ("residual", Align::Right),
        ("bound", Align::Right),
        ("", Align::Left),
    ]);
    let mut right = 0;
    for (seed, (n, k, batch)) in (1..).zip(SHAPES) {
        let mut random = Random::new(seed);
        let systems: Vec<System> = (0..batch).map(|_| System::random(n, k, &mut random)).collect();
        let solved = solve(handle, memory, &systems)?;
        right += usize::from(solved.is_right());
        table.row(vec![
            n.to_string(),
            k.to_string(),
            batch.to_string(),
            solved.status.to_string(),
            solved.residual.map_or_else(|| "-".to_owned(), |r| format!("{r:.1e}")),
            format!("{:.1e}", solved.bound),
            if solved.is_right() { "ok" } else { "FAILED" }.to_owned(),
        ]);
    }
    print!("{table}");
    println!("\n{right} of {} shapes solved", SHAPES.len());
    Ok(right == SHAPES.len())
}

/// Solves systems of one shape in one call.
fn solve(handle: &Handle, memory: &Memory, systems: &[System]) -> Result<Solved, String> {
    let (n, k, bound) = (systems[0].n, systems[0].k, systems[0].bound());
    let upload = |values: fn(&System) -> &[f32]| {
        systems.iter().map(|system| memory.upload(values(system))).collect::<Result<Vec<_>, _>>()
    };
    let a = upload(|system| &system.a)?;
    // B before the call, X after it.
    let b = upload(|system| &system.b)?;
    let a_pointers: Vec<*const f32> = a.iter().map(|a| a.as_ptr().cast_const()).collect();
    let b_pointers: Vec<*mut f32> = b.iter().map(Buffer::as_ptr).collect();
    // Kernels read the arrays of pointers, so they must be in the same memory as the matrices.
    let (a_pointers, b_pointers) = (memory.upload(&a_pointers)?, memory.upload(&b_pointers)?);

    let int = |size: usize| i32::try_from(size).expect("sizes are small");
    // SAFETY: each A of the batch is n by n and each B k by n, as the leading dimensions say; all outlive the
    // call and the downloads that wait for it. alpha is read from host memory, the default of a new handle.
    let status = Status(unsafe {
        rocblas_strsm_batched(
            handle.as_ptr(),
            SIDE_RIGHT,
            FILL_UPPER,
            OPERATION_NONE,
            DIAGONAL_NON_UNIT,
            int(k),
            int(n),
            &1.0,
            a_pointers.as_ptr().cast_const(),
            int(n),
            b_pointers.as_ptr(),
            int(k),
            int(systems.len()),
        )
    });
    if !status.is_success() {
        return Ok(Solved { status, residual: None, bound });
    }
    let mut worst = 0.0_f64;
    for (system, x) in systems.iter().zip(&b) {
        worst = worst.max(system.residual(&x.download()?));
    }
    Ok(Solved { status, residual: Some(worst), bound })
}
