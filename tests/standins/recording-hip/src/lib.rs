//! A stand-in for AMD's HIP runtime: real rocBLAS, rocSOLVER and hipBLAS run on it without a GPU.
//! Memory is host memory, no kernel is executed, and each launch is logged, so that two libraries can be
//! compared by the work that they would have launched on a device.
//!
//! # Linking
//! AMD's libraries need versioned symbols (`hipMalloc@hip_4.2`), but rustc passes its own version script when it
//! links a cdylib. So this is a static library, and its last build step, in this directory, is:
//!
//! ```text
//! cc -shared -o libamdhip64.so.7 -Wl,-soname,libamdhip64.so.7 \
//!     -Wl,--version-script=hip.map -Wl,--no-undefined-version \
//!     -Wl,--whole-archive librecording_hip.a -Wl,--no-whole-archive -lpthread -ldl -lm
//! ```
//!
//! A library of ROCm 6 needs the symlink `libamdhip64.so.6 -> libamdhip64.so.7` next to it.
//!
//! # Environment
//! - `RECORDING_HIP_LOG=FILE`: the file to which each event is appended as a line:
//!   - `launch KERNEL grid=X,Y,Z block=X,Y,Z shared=BYTES stream=N device=N`, the grid in blocks,
//!     streams numbered in order of creation, 0 the default one;
//!   - `memcpy KIND BYTES`, `memcpy2d KIND WIDTHxHEIGHT`, `memset VALUE BYTES`, with ` stream=N` for
//!     what goes to a stream;
//!   - `node LINE` for what a stream captures, a line of those above or `event`: LINE itself follows when the
//!     graph is launched;
//!   - `missing KERNEL target=TARGET` before the error of a kernel that has no code for the device;
//!   - `error CODE NAME in FUNCTION`.
//! - `RECORDING_HIP_DEVICES=N`: the number of devices; default 1.
//! - `RECORDING_HIP_TARGET=gfx90a`: their target, with features as in `gfx90a:sramecc+:xnack-`; default gfx906. A
//!   list, `gfx906,gfx1100`, has the targets in the order of the devices.
//! - `RECORDING_HIP_CHECK_TARGETS=1`: launching a kernel whose bundle has no code for the target is
//!   `hipErrorInvalidDeviceFunction`, loading such a module `hipErrorNoBinaryForGpu`. Without it
//!   every kernel can be launched.
//! - `RECORDING_HIP_LACKING=librocblas.so.5`: libraries, by parts of their paths, whose kernels have
//!   no code for the device whatever their bundles contain, like a package built for fewer targets.
//! - `RECORDING_HIP_CAPTURING=1`: every stream reports that it is being captured.
//! - `RECORDING_HIP_FAIL=hipMemcpy=17,hipMalloc=2`: functions that fail, and their error codes.

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
