//! A stand-in for AMD's HIP runtime: real rocBLAS, rocSOLVER and hipBLAS run on it without a GPU.
//! Memory is the host's, no kernel is executed, and each launch is written down, so that two
//! libraries can be compared by what they would have asked of a device.
//!
//! # Linking
//! AMD's libraries want versioned symbols (`hipMalloc@hip_4.2`), and rustc passes a version script of
//! its own when it links a cdylib. So this is a static library, and its last step is, in this folder:
//!
//! ```text
//! cc -shared -o libamdhip64.so.7 -Wl,-soname,libamdhip64.so.7 \
//!     -Wl,--version-script=hip.map -Wl,--no-undefined-version \
//!     -Wl,--whole-archive librecording_hip.a -Wl,--no-whole-archive -lpthread -ldl -lm
//! ```
//!
//! A library of ROCm 6 needs the link `libamdhip64.so.6 -> libamdhip64.so.7` beside it.
//!
//! # Environment
//! - `RECORDING_HIP_LOG=FILE`: where to append what happens, a line each:
//!   - `launch KERNEL grid=X,Y,Z block=X,Y,Z shared=BYTES stream=N device=N`, the grid in blocks,
//!     streams numbered in order of creation, 0 the default one;
//!   - `memcpy KIND BYTES`, `memcpy2d KIND WIDTHxHEIGHT`, `memset VALUE BYTES`, with ` stream=N` for
//!     what goes to a stream;
//!   - `missing KERNEL target=TARGET` before the error of a kernel that has no code for the device;
//!   - `error CODE NAME in FUNCTION`.
//! - `RECORDING_HIP_DEVICES=N`: how many devices; 1.
//! - `RECORDING_HIP_TARGET=gfx90a`: what they are, features as in `gfx90a:sramecc+:xnack-`; gfx906. A
//!   list, `gfx906,gfx1100`, goes by the order of the devices.
//! - `RECORDING_HIP_CHECK_TARGETS=1`: launching a kernel whose bundle has no code for the target is
//!   `hipErrorInvalidDeviceFunction`, loading such a module `hipErrorNoBinaryForGpu`. Without it
//!   every kernel is there.
//! - `RECORDING_HIP_LACKING=librocblas.so.5`: libraries, by parts of their paths, whose kernels have
//!   no code for the device whatever their bundles say: what a package built for fewer targets does.
//! - `RECORDING_HIP_FAIL=hipMemcpy=17,hipMalloc=2`: functions that fail, with what code.

#![allow(non_snake_case, reason = "the names are HIP's")]

mod answer;
mod copies;
mod devices;
mod errors;
mod events;
#[cfg(test)]
mod exports;
mod functions;
mod graphs;
mod handles;
mod launches;
mod layouts;
mod log;
mod memory;
mod modules;
mod offload;
mod registration;
mod settings;
mod streams;
mod targets;
