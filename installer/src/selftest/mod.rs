//! `selftest`: on each GPU a GEMM and a TRSM through the shim, against numbers computed on the CPU.
//!
//! Loading is global to a process and a wrong library may end it, so each GPU has a child process of
//! its own, with a time limit: a crash is a result too.
//!
//! | file | |
//! |---|---|
//! | `problem.rs` | the matrices, the right results, and how far off a result may be |
//! | `device.rs` | the child: one GPU |
//! | `rocblas.rs`, `hip.rs` | the functions that it calls |
//! | `text.rs` | the words for it |

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

/// A HIP runtime that has not answered by then does not.
const LIMIT_OF_COUNTING: Duration = Duration::from_secs(60);

/// The first use of a GPU reads kernels from the disk, hundreds of megabytes of them.
const LIMIT_OF_A_DEVICE: Duration = Duration::from_secs(300);

/// What came of all GPUs.
#[derive(Debug, Serialize)]
pub struct Selftest {
    /// The file that was tested, on the machine.
    #[serde(serialize_with = "crate::output::json::path")]
    pub library: PathBuf,
    /// GPU by GPU, in HIP's order.
    pub devices: Vec<Device>,
    /// Why no GPU was tested, and what to do.
    pub none: Option<String>,
}

/// What came of a GPU.
#[derive(Debug, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Device {
    /// The child came to an answer.
    Done {
        /// HIP's number of it.
        device: u32,
        /// The answer.
        #[serde(flatten)]
        report: Report,
        /// What the libraries complained about.
        stderr: String,
    },
    /// The child did not.
    Died {
        /// HIP's number of it.
        device: u32,
        /// How it ended.
        end: End,
        /// The last that was heard of it.
        stderr: String,
    },
}

impl Device {
    /// Whether both results are right.
    #[must_use]
    pub fn is_right(&self) -> bool {
        match self {
            Self::Done { report, .. } => report.is_right(),
            Self::Died { .. } => false,
        }
    }
}

impl Selftest {
    /// 0 where there is a GPU and all of them compute right, else 1.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(self.devices.is_empty() || !self.devices.iter().all(Device::is_right))
    }
}

/// Tests the rocBLAS that programs of a library directory get. The error is that of another root
/// than the running system, of a directory without rocBLAS, or of starting a child.
pub fn selftest(root: &Root, lib: &Path) -> Result<Selftest> {
    if !root.is_system() {
        bail!(
            "{} is not the running system; run `installer selftest` inside of it",
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
    let mut arguments = vec![OsStr::new("selftest-device"), library.as_os_str()];
    arguments.extend(number.as_ref().map(OsStr::new));
    child::run(&arguments, limit).context("cannot start a child process")
}

fn outcome(device: u32, ended: Ended<Report>) -> Device {
    let Ended { answer, end, stderr } = ended;
    match (answer, end) {
        (Some(report), End::Code(0)) => Device::Done { device, report, stderr },
        // Also after an answer: a program would end like this.
        (_, end) => Device::Died { device, end, stderr },
    }
}

/// Why there is no GPU: what HIP says, and what the device files say.
fn no_device(ended: &Ended<Counted>) -> String {
    let hip = match &ended.answer {
        Some(Counted { error: Some(error), .. }) => error.clone(),
        Some(_) => "HIP counts none".to_owned(),
        None => format!("counting the GPUs {}", ended.end),
    };
    let machine = devices::finding(&devices::machine());
    let seen = machine.seen.join("; ");
    format!("no GPU to test: {hip}. {}{}{seen}. {}", machine.title, separator(&seen), machine.cure)
}

fn separator(seen: &str) -> &'static str {
    if seen.is_empty() { "" } else { ": " }
}
