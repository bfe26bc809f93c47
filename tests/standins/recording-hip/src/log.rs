//! The log: one line per launch, copy, fill, graph node and error. It contains no addresses and no times, so
//! that two runs of a program produce the same bytes.

use crate::{layouts::Dim3, settings::settings};
use std::{
    fmt,
    fs::{File, OpenOptions},
    io::Write,
    sync::OnceLock,
};

/// One line.
pub(crate) enum Entry<'a> {
    Launch {
        kernel: &'a str,
        grid: Dim3,
        block: Dim3,
        shared: u64,
        stream: StreamName,
        device: i32,
    },
    /// A kernel that has no code object for the device.
    Missing {
        kernel: &'a str,
        target: &'a str,
    },
    Memcpy {
        kind: &'a str,
        bytes: usize,
        stream: Option<StreamName>,
    },
    Memcpy2d {
        kind: &'a str,
        width: usize,
        height: usize,
        stream: Option<StreamName>,
    },
    Memset {
        value: u32,
        bytes: usize,
        stream: Option<StreamName>,
    },
    Error {
        code: i32,
        name: &'a str,
        function: &'a str,
    },
}

/// A stream's name in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamName {
    /// In order of creation; 0 is the default stream.
    Number(u32),
    /// The default stream of each thread.
    PerThread,
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::PerThread => f.write_str("per-thread"),
        }
    }
}

impl fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let on = |stream: &Option<StreamName>| {
            stream.map(|name| format!(" stream={name}")).unwrap_or_default()
        };
        match self {
            Self::Launch { kernel, grid, block, shared, stream, device } => {
                write!(
                    f,
                    "launch {kernel} grid={grid} block={block} shared={shared} stream={stream} \
                     device={device}"
                )
            }
            Self::Missing { kernel, target } => write!(f, "missing {kernel} target={target}"),
            Self::Memcpy { kind, bytes, stream } => {
                write!(f, "memcpy {kind} {bytes}{}", on(stream))
            }
            Self::Memcpy2d { kind, width, height, stream } => {
                write!(f, "memcpy2d {kind} {width}x{height}{}", on(stream))
            }
            Self::Memset { value, bytes, stream } => {
                write!(f, "memset {value:#x} {bytes}{}", on(stream))
            }
            Self::Error { code, name, function } => write!(f, "error {code} {name} in {function}"),
        }
    }
}

/// Appends a line in a single write, so that lines of several threads or processes are not mixed.
pub(crate) fn write(entry: &(impl fmt::Display + ?Sized)) {
    static LOG: OnceLock<Option<File>> = OnceLock::new();
    let open = || {
        let path = settings().log.as_ref()?;
        let file = OpenOptions::new().append(true).create(true).open(path);
        Some(file.unwrap_or_else(|e| panic!("RECORDING_HIP_LOG={}: {e}", path.display())))
    };
    if let Some(mut file) = LOG.get_or_init(open).as_ref() {
        let line = format!("{entry}\n");
        let written = file.write(line.as_bytes());
        assert!(written.is_ok_and(|n| n == line.len()), "the log cannot be written");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_launch_is_one_line_without_addresses() {
        let entry = Entry::Launch {
            kernel: "_Z6kernelPf",
            grid: Dim3 { x: 4, y: 2, z: 1 },
            block: Dim3 { x: 256, y: 1, z: 1 },
            shared: 1024,
            stream: StreamName::Number(3),
            device: 1,
        };
        assert_eq!(
            entry.to_string(),
            "launch _Z6kernelPf grid=4,2,1 block=256,1,1 shared=1024 stream=3 device=1"
        );
    }

    #[test]
    fn the_other_lines() {
        let stream = Some(StreamName::PerThread);
        for (entry, line) in [
            (Entry::Missing { kernel: "k", target: "gfx906" }, "missing k target=gfx906"),
            (Entry::Memcpy { kind: "H2D", bytes: 16, stream: None }, "memcpy H2D 16"),
            (Entry::Memcpy { kind: "D2H", bytes: 4, stream }, "memcpy D2H 4 stream=per-thread"),
            (
                Entry::Memcpy2d { kind: "D2D", width: 64, height: 3, stream: None },
                "memcpy2d D2D 64x3",
            ),
            (
                Entry::Memset { value: 255, bytes: 8, stream: Some(StreamName::Number(0)) },
                "memset 0xff 8 stream=0",
            ),
            (
                Entry::Error { code: 98, name: "hipErrorInvalidDeviceFunction", function: "f" },
                "error 98 hipErrorInvalidDeviceFunction in f",
            ),
        ] {
            assert_eq!(entry.to_string(), line);
        }
    }
}
