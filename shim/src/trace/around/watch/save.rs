//! Writes the operands of a call into a file of the trace's directory.

use super::job::{Job, OPERANDS, Piece, Watched};
use crate::{
    backend::hip::DeviceProperties,
    facts,
    trace::{about, clock},
};
use rocblas_abi::params;
use rocblas_contract::{hip_errors::error_name, sentences};
use rocblas_trace::{
    call::scalar_kind,
    capture::{
        Argument, Capture, Device, EXTENSION, Element, FORMAT, Meta, Operand, Origin, PointerMode,
        Scalar, Tensor, Values, element,
    },
    layout::{ARGUMENTS, Mode, NOTE, Note},
    process::saved_file,
};
use std::{borrow::Cow, path::Path};

/// Writes the file of a call; `why` says what is wrong with the call, if anything. The error is a message.
pub(super) fn save(job: &Job, watched: &Watched, why: &str) -> Result<(), String> {
    let session = watched.session;
    let file = saved_file(watched.call.0, watched.call.1);
    let no_directory =
        || sentences::trace_file_not_written(&file, "a trace to stderr has no directory");
    let directory = session.directory()?.ok_or_else(no_directory)?.path();
    let (meta, operands) = meta(job, watched, why);
    let tensors = watched.pieces.iter().filter_map(|piece| {
        let number = operands.iter().position(|operand| *operand == piece.operand)?;
        Some(Tensor { operand: number, time: piece.time, data: data(job, watched, piece) })
    });
    let capture = Capture { tensors: tensors.collect(), meta };
    let name = file.strip_suffix(EXTENSION).and_then(|name| name.strip_suffix('.'));
    let written = capture.write(directory, name.unwrap_or(&file));
    let failed =
        |e| sentences::trace_file_not_written(directory.join(Path::new(&file)).display(), e);
    written.map(drop).map_err(failed)
}

/// The elements from the first to the last of each problem.
fn data<'a>(job: &'a Job, watched: &Watched, piece: &Piece) -> Cow<'a, [u8]> {
    let bytes = job.bytes(piece);
    let operand = watched.operands.get(piece.operand);
    let before = operand.and_then(|operand| {
        let first = usize::try_from(operand.layout.span()?.first).ok()?;
        Some(first * operand.element.size()).filter(|before| piece.each > *before && *before > 0)
    });
    match before {
        // The copy also contains the elements before the first one of each problem.
        Some(before) => {
            bytes.chunks_exact(piece.each).flat_map(|problem| &problem[before..]).copied().collect()
        }
        None => Cow::Borrowed(bytes),
    }
}

/// The metadata, and the numbers of the operands that have elements.
fn meta(job: &Job, watched: &Watched, why: &str) -> (Meta, Vec<usize>) {
    let (backend, session) = (watched.backend, watched.session);
    let described = watched.operands.iter().enumerate().filter_map(|(number, operand)| {
        let address = watched.words[ARGUMENTS + usize::from(operand.parameter)];
        let of = Operand::of(watched.function, operand, watched.is_read[number])?;
        (address != 0).then_some((number, of))
    });
    let (numbers, operands) = described.unzip();
    let note = Note(watched.words[NOTE]);
    let mode = note.mode();
    // An error that was pending before does not belong to the call.
    let hip_error = note.errors().filter(|[before, after]| before != after && *after != 0);
    let values = match () {
        () if watched.is_too_large => Values::TooLarge,
        () if session.options.save.redact => Values::Redacted,
        () => Values::Complete,
    };
    let handle = watched.words[ARGUMENTS] as usize;
    let process = about::of_call(backend);
    let meta = Meta {
        format: FORMAT.to_owned(),
        function: rocblas_abi::c_name(watched.function).to_string_lossy().into_owned(),
        arguments: arguments(job, watched),
        operands,
        values,
        pointer_mode: if mode == Mode::Device { PointerMode::Device } else { PointerMode::Host },
        atomics_mode: watched.modes[0],
        math_mode: watched.modes[1],
        status: Some(watched.status),
        hip_error: hip_error.map(|[_, after]| error_name(after)),
        shim: process.shim,
        backend: process.backend,
        promises: process.promises,
        device: device(handle),
        origin: Origin {
            program: process.program,
            pid: std::process::id(),
            thread: watched.call.0,
            sequence: watched.call.1,
            realtime: clock::point().realtime,
            why: why.to_owned(),
        },
        environment: session.watch.environment.clone(),
    };
    (meta, numbers)
}

/// The GPU of a handle, as far as it is known without calling HIP.
fn device(handle: usize) -> Option<Device> {
    let number = facts::device_of(handle)?;
    let properties = facts::properties_of(number, || None);
    Some(Device {
        number,
        name: properties.map(DeviceProperties::name).unwrap_or_default(),
        target: properties.map(DeviceProperties::architecture).unwrap_or_default(),
        compute_units: None,
    })
}

fn arguments(job: &Job, watched: &Watched) -> Vec<Argument> {
    let words = &watched.words;
    let shape = watched.session.functions.shape(watched.function);
    let argument = |position: usize| words[ARGUMENTS + position];
    let note = Note(words[NOTE]);
    let all = params(watched.function).enumerate().map(|(position, param)| {
        let mut scalars = shape.scalars().iter().enumerate();
        let of_it = scalars.find(|(_, scalar)| usize::from(scalar.parameter) == position);
        let kind = scalar_kind(watched.function, &param, &argument);
        let scalar = of_it.zip(kind).and_then(|((number, scalar), kind)| {
            let element = kind.element();
            let recorded = || {
                let words = words[usize::from(scalar.word)..].iter().take(5);
                let bytes: Vec<u8> = words.flat_map(|word| word.to_le_bytes()).collect();
                // A `void *` scalar has room for the largest type.
                let is_several = usize::from(scalar.size) == 5 * kind.size();
                let length = if is_several { 5 * kind.size() } else { kind.size() };
                bytes.get(..length).map(<[u8]>::to_vec)
            };
            let copied = || {
                let mut pieces = watched.pieces.iter();
                let piece = pieces.find(|piece| piece.operand == OPERANDS + number)?;
                Some(job.bytes(piece).to_vec())
            };
            let bytes = if note.at_entry(number) { recorded() } else { copied() }?;
            Some(Scalar::new(element, &bytes, text(element, &bytes)))
        });
        Argument { name: param.name.to_owned(), word: argument(position), scalar }
    });
    all.collect()
}

/// The value as text.
fn text(element: Element, bytes: &[u8]) -> String {
    let values = bytes.chunks_exact(element.size()).map(|bytes| {
        let [real, imaginary] = element::value(element, bytes);
        if element.is_complex() { format!("{real}{imaginary:+}i") } else { real.to_string() }
    });
    values.collect::<Vec<_>>().join(", ")
}
