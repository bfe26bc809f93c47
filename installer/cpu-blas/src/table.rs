//! Finds the function for an exported name.
//!
//! A name consists of a type prefix, a routine, a batch form and a width: `rocblas_` `s` `gemm`
//! `_strided_batched` `_64`. The form and the width select type parameters, so the table itself lists each
//! routine once, with its types.

use half::{bf16, f16};
use num_complex::Complex;

use crate::abi::{Batched, Form, Index, Single, StridedBatched};
use crate::level1::modified;
use crate::level2::{rank, stored};
use crate::level3::{elementwise, products};
use crate::{gemm, handle, level1, level2, level3, transfer};

type C32 = Complex<f32>;
type C64 = Complex<f64>;

/// The function that implements the C function `name` of rocBLAS, or `None` if this library does not
/// implement it.
///
/// The pointer is to an `extern "C"` function with the vendor's prototype for that name. Calling it is
/// subject to the vendor's contract: handles must have been created by this library and not destroyed, and
/// pointers must be to host memory of the shape that the other arguments describe.
pub fn entry_point(name: &str) -> Option<*const ()> {
    let name = name.strip_prefix("rocblas_")?;
    helper(name).or_else(|| match name.strip_suffix("_64") {
        Some(name) => transfer::<i64>(name).or_else(|| any_form::<i64>(name)),
        None => transfer::<i32>(name).or_else(|| any_form::<i32>(name)),
    })
}

fn helper(name: &str) -> Option<*const ()> {
    Some(match name {
        "create_handle" => handle::create as *const (),
        "destroy_handle" => handle::destroy as *const (),
        "get_stream" => handle::get_stream as *const (),
        "set_stream" => handle::set_stream as *const (),
        "get_pointer_mode" => handle::get_pointer_mode as *const (),
        "set_pointer_mode" => handle::set_pointer_mode as *const (),
        "get_atomics_mode" => handle::get_atomics_mode as *const (),
        "set_atomics_mode" => handle::set_atomics_mode as *const (),
        "get_math_mode" => handle::get_math_mode as *const (),
        "set_math_mode" => handle::set_math_mode as *const (),
        "get_device_memory_size" => handle::get_device_memory_size as *const (),
        "set_device_memory_size" => handle::set_device_memory_size as *const (),
        "set_workspace" => handle::set_workspace as *const (),
        "is_managing_device_memory" => handle::is_managing_device_memory as *const (),
        "is_user_managing_device_memory" => handle::is_user_managing_device_memory as *const (),
        "is_device_memory_size_query" => handle::is_device_memory_size_query as *const (),
        "pointer_to_mode" => handle::pointer_to_mode as *const (),
        "status_to_string" => handle::status_to_string as *const (),
        "get_version_string" => handle::get_version_string as *const (),
        "get_version_string_size" => handle::get_version_string_size as *const (),
        "initialize" | "shutdown" => handle::nothing as *const (),
        _ => return None,
    })
}

fn transfer<I: Index>(name: &str) -> Option<*const ()> {
    match name.strip_suffix("_async").unwrap_or(name) {
        "set_vector" | "get_vector" => Some(transfer::copy_vector::<I> as *const ()),
        "set_matrix" | "get_matrix" => Some(transfer::copy_matrix::<I> as *const ()),
        _ => None,
    }
}

fn any_form<I: Index>(name: &str) -> Option<*const ()> {
    // The form precedes `_ex` in the names that have both.
    let (stem, ex) = name.strip_suffix("_ex").map_or((name, false), |stem| (stem, true));
    if let Some(stem) = stem.strip_suffix("_strided_batched") {
        routine::<I, StridedBatched>(stem, ex)
    } else if let Some(stem) = stem.strip_suffix("_batched") {
        routine::<I, Batched>(stem, ex)
    } else {
        routine::<I, Single>(stem, ex)
    }
}

/// One line for each type: `"prefix" "routine" => function<its own parameters>`. The index and form
/// parameters are appended.
macro_rules! routines {
    ($name:expr, $I:ident, $F:ident: $($function:path, $routine:literal {
        $($prefix:literal [$($parameter:tt)+])+
    })+) => {
        match $name {
            $($(concat!($prefix, $routine) => {
                routines!(@ $function, $I, $F, $($parameter)+)
            })+)+
            _ => return None,
        }
    };
    (@ $function:path, $I:ident, $F:ident, $($parameter:tt)+) => {{
        use $function as function;
        function::<$($parameter)+, $I, $F> as *const ()
    }};
}

fn routine<I: Index, F: Form>(name: &str, ex: bool) -> Option<*const ()> {
    if ex {
        return Some(match name {
            "axpy" => level1::extended::axpy_ex::<I, F> as *const (),
            "scal" => level1::extended::scal_ex::<I, F> as *const (),
            "dot" => level1::extended::dot_ex::<false, I, F> as *const (),
            "dotc" => level1::extended::dot_ex::<true, I, F> as *const (),
            "nrm2" => level1::extended::nrm2_ex::<I, F> as *const (),
            "rot" => level1::extended::rot_ex::<I, F> as *const (),
            "gemm" => gemm::gemm_ex::<I, F> as *const (),
            "trsm" => level3::extended::trsm_ex::<I, F> as *const (),
            "geam" => level3::extended::geam_ex::<I, F> as *const (),
            "syrk" => level3::extended::rank_k_ex::<false, I, F> as *const (),
            "herk" => level3::extended::rank_k_ex::<true, I, F> as *const (),
            _ => return None,
        });
    }
    Some(routines! { name, I, F:
        level1::axpy, "axpy" { "h" [f16] "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        level1::scal, "scal" {
            "s" [f32, f32] "d" [f64, f64] "c" [C32, C32] "z" [C64, C64]
            "cs" [C32, f32] "zd" [C64, f64]
        }
        level1::copy, "copy" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        level1::swap, "swap" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        level1::dot, "dot" { "h" [f16, false] "bf" [bf16, false] "s" [f32, false] "d" [f64, false] }
        level1::dot, "dotu" { "c" [C32, false] "z" [C64, false] }
        level1::dot, "dotc" { "c" [C32, true] "z" [C64, true] }
        level1::nrm2, "nrm2" { "s" [f32] "d" [f64] "sc" [C32] "dz" [C64] }
        level1::asum, "asum" { "s" [f32] "d" [f64] "sc" [C32] "dz" [C64] }
        level1::iamax, "amax" {
            "is" [f32, false] "id" [f64, false] "ic" [C32, false] "iz" [C64, false]
        }
        level1::iamax, "amin" {
            "is" [f32, true] "id" [f64, true] "ic" [C32, true] "iz" [C64, true]
        }
        level1::rot, "rot" {
            "s" [f32, f32] "d" [f64, f64] "c" [C32, C32] "z" [C64, C64]
            "cs" [C32, f32] "zd" [C64, f64]
        }
        level1::rotg, "rotg" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        modified::rotm, "rotm" { "s" [f32] "d" [f64] }
        modified::rotmg, "rotmg" { "s" [f32] "d" [f64] }
        level2::gemv, "gemv" {
            "s" [f32, f32, f32] "d" [f64, f64, f64] "c" [C32, C32, C32] "z" [C64, C64, C64]
            "hsh" [f16, f16, f32] "hss" [f16, f32, f32] "tst" [bf16, bf16, f32] "tss" [bf16, f32, f32]
        }
        level2::ger, "ger" { "s" [f32, false] "d" [f64, false] }
        level2::ger, "geru" { "c" [C32, false] "z" [C64, false] }
        level2::ger, "gerc" { "c" [C32, true] "z" [C64, true] }
        level2::symv, "symv" { "s" [f32, false] "d" [f64, false] "c" [C32, false] "z" [C64, false] }
        level2::symv, "hemv" { "c" [C32, true] "z" [C64, true] }
        level2::trmv, "trmv" { "s" [f32, false] "d" [f64, false] "c" [C32, false] "z" [C64, false] }
        level2::trmv, "trsv" { "s" [f32, true] "d" [f64, true] "c" [C32, true] "z" [C64, true] }
        stored::gbmv, "gbmv" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        stored::sbmv, "sbmv" { "s" [f32, false] "d" [f64, false] }
        stored::sbmv, "hbmv" { "c" [C32, true] "z" [C64, true] }
        stored::spmv, "spmv" { "s" [f32, false] "d" [f64, false] }
        stored::spmv, "hpmv" { "c" [C32, true] "z" [C64, true] }
        stored::tbmv, "tbmv" { "s" [f32, false] "d" [f64, false] "c" [C32, false] "z" [C64, false] }
        stored::tbmv, "tbsv" { "s" [f32, true] "d" [f64, true] "c" [C32, true] "z" [C64, true] }
        stored::tpmv, "tpmv" { "s" [f32, false] "d" [f64, false] "c" [C32, false] "z" [C64, false] }
        stored::tpmv, "tpsv" { "s" [f32, true] "d" [f64, true] "c" [C32, true] "z" [C64, true] }
        rank::syr, "syr" {
            "s" [f32, f32, false] "d" [f64, f64, false] "c" [C32, C32, false] "z" [C64, C64, false]
        }
        rank::syr, "her" { "c" [C32, f32, true] "z" [C64, f64, true] }
        rank::spr, "spr" {
            "s" [f32, f32, false] "d" [f64, f64, false] "c" [C32, C32, false] "z" [C64, C64, false]
        }
        rank::spr, "hpr" { "c" [C32, f32, true] "z" [C64, f64, true] }
        rank::syr2, "syr2" { "s" [f32, false] "d" [f64, false] "c" [C32, false] "z" [C64, false] }
        rank::syr2, "her2" { "c" [C32, true] "z" [C64, true] }
        rank::spr2, "spr2" { "s" [f32, false] "d" [f64, false] }
        rank::spr2, "hpr2" { "c" [C32, true] "z" [C64, true] }
        level3::trsm, "trsm" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        level3::trmm, "trmm" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        level3::symm, "symm" { "s" [f32, false] "d" [f64, false] "c" [C32, false] "z" [C64, false] }
        level3::symm, "hemm" { "c" [C32, true] "z" [C64, true] }
        level3::syrk, "syrk" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        level3::herk, "herk" { "c" [C32] "z" [C64] }
        products::syr2k, "syr2k" {
            "s" [f32, f32, false, true] "d" [f64, f64, false, true]
            "c" [C32, C32, false, true] "z" [C64, C64, false, true]
        }
        products::syr2k, "syrkx" {
            "s" [f32, f32, false, false] "d" [f64, f64, false, false]
            "c" [C32, C32, false, false] "z" [C64, C64, false, false]
        }
        products::syr2k, "her2k" { "c" [C32, f32, true, true] "z" [C64, f64, true, true] }
        products::syr2k, "herkx" { "c" [C32, f32, true, false] "z" [C64, f64, true, false] }
        products::gemmt, "gemmt" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        elementwise::geam, "geam" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        elementwise::dgmm, "dgmm" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        elementwise::trtri, "trtri" { "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
        gemm::gemm, "gemm" { "h" [f16] "s" [f32] "d" [f64] "c" [C32] "z" [C64] }
    })
}

#[cfg(test)]
mod tests;
