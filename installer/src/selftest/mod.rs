//! `selftest`: runs a GEMM and a TRSM on each GPU through the shim, and compares them with the CPU's results.
//!
//! Loading is global to a process and a faulty library may crash it, so each GPU has a child process of its
//! own with a time limit: a crash is a result too.
//!
//! | file | concern |
//! |---|---|
//! | `problem.rs` | the matrices, the correct results, and error bounds |
//! | `device.rs` | the child process for one GPU |
//! | `rocblas.rs`, `hip.rs` | the functions that it calls |
//! | `text.rs` | prints the results |

pub mod device;
mod hip;
mod problem;
mod rocblas;
mod text;

pub use text::text;

use crate::{
    doctor::{
        child::{self, End, Ended},
        devices,
    },
    present,
    root::Root,
};
use anyhow::{Context, Result, bail};
use device::{Counted, Report};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    time::Duration,
};

/// A HIP runtime that has not responded after this time is considered hung.
const LIMIT_OF_COUNTING: Duration = Duration::from_secs(60);

/// The first use of a GPU reads kernels from disk, hundreds of megabytes of them.
const LIMIT_OF_A_DEVICE: Duration = Duration::from_secs(300);

/// The results of all GPUs.
#[derive(Debug, Serialize)]
pub struct Selftest {
    /// The file that was tested, on the machine.
    #[serde(serialize_with = "crate::output::json::path")]
    pub library: PathBuf,
    /// In HIP's order.
    pub devices: Vec<Device>,
    /// Why no GPU was tested, and what to do.
    pub none: Option<String>,
}

/// The result of one GPU.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Device {
    /// The child process returned a result.
    Done {
        /// HIP's number of the GPU.
        device: u32,
        /// The result.
        #[serde(flatten)]
        report: Report,
        /// What the libraries printed to stderr.
        stderr: String,
    },
    /// The child process returned no result.
    Died {
        /// HIP's number of the GPU.
        device: u32,
        /// How it ended.
        end: End,
        /// Its last output.
        stderr: String,
    },
}

impl Device {
    /// Whether both results are correct.
    #[must_use]
    pub fn is_right(&self) -> bool {
        match self {
            Self::Done { report, .. } => report.is_right(),
            Self::Died { .. } => false,
        }
    }
}

impl Selftest {
    /// 0 if there is a GPU and all of them compute correctly, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(self.devices.is_empty() || !self.devices.iter().all(Device::is_right))
    }
}

/// Tests the rocBLAS that programs get from a library directory. Fails for a root other than the running
/// system, for a directory without rocBLAS, and if a child process cannot be started.
pub fn selftest(root: &Root, lib: &Path) -> Result<Selftest> {
    if !root.is_system() {
        bail!(
            "{} is not the running system; run `installer selftest` inside it",
            root.directory().display()
        );
    }
    let library = present::front(root, lib).with_context(|| {
        format!("{} has no rocBLAS; `installer doctor` says what to do", lib.display())
    })?;
    let counted = run::<Counted>(&library, None, LIMIT_OF_COUNTING)?;
    let devices = match counted {
        Ended { answer: Some(Counted { devices: count @ 1.., .. }), .. } => (0..count)
            .map(|device| {
                let ended = run::<Report>(&library, Some(device), LIMIT_OF_A_DEVICE)?;
                Ok(outcome(device, ended))
            })
            .collect::<Result<Vec<_>>>()?,
        nothing => {
            let none = Some(no_device(&nothing));
            return Ok(Selftest { library, devices: Vec::new(), none });
        }
    };
    Ok(Selftest { library, devices, none: None })
}

fn run<T: DeserializeOwned>(
    library: &Path,
    device: Option<u32>,
    limit: Duration,
) -> Result<Ended<T>> {
    let number = device.map(|device| device.to_string());
    let mut arguments = vec![OsStr::new("device-for-selftest"), library.as_os_str()];
    arguments.extend(number.as_ref().map(OsStr::new));
    child::run(&arguments, limit).context("cannot start a child process")
}

fn outcome(device: u32, ended: Ended<Report>) -> Device {
    let Ended { answer, end, stderr } = ended;
    match (answer, end) {
        (Some(report), End::Code(0)) => Device::Done { device, report, stderr },
        // Even after a result: a program would end in the same way.
        (_, end) => Device::Died { device, end, stderr },
    }
}

/// Why there is no GPU: what HIP reports, and what the device files show.
fn no_device(ended: &Ended<Counted>) -> String {
    let hip = match &ended.answer {
        Some(Counted { error: Some(error), .. }) => error.clone(),
        Some(_) => "HIP reports none".to_owned(),
        None => format!("counting the GPUs {}", ended.end),
    };
    let machine = devices::finding(&devices::machine());
    let seen = machine.seen.join("; ");
    format!("no GPU to test: {hip}. {}{}{seen}. {}", machine.title, separator(&seen), machine.cure)
}

fn separator(seen: &str) -> &'static str {
    if seen.is_empty() { "" } else { ": " }
}
