//! The memory of a call. Each operand has its own buffer, except that operands that shared memory share a
//! buffer, with the same overlap. Memory whose values are not in the file is filled with bytes that are NaN
//! in each floating-point type.

use super::call::{Call, Given};
use anyhow::{Context, Result, anyhow};
use rocblas_abi::operands::Batch;
use rocblas_trace::capture::PointerMode;
use std::{alloc::Layout, cell::RefCell, ptr::NonNull};

/// The byte that fills memory without known values.
pub(super) const UNKNOWN: u8 = 0xff;

/// The alignment of buffers, which is that of HIP's allocations.
const ALIGNMENT: usize = 256;

/// The size of the buffer for an operand without elements, in bytes.
const UNUSED: usize = ALIGNMENT;

/// Memory in which a rocBLAS computes.
pub(super) trait Memory {
    /// Allocates memory, which is freed together with `self`.
    ///
    /// # Errors
    /// If memory cannot be allocated.
    fn take(&self, bytes: usize) -> Result<u64>;

    /// Writes to allocated memory.
    ///
    /// # Errors
    /// The error that the device reports.
    fn write(&self, address: u64, bytes: &[u8]) -> Result<()>;

    /// Reads allocated memory.
    ///
    /// # Errors
    /// The error that the device reports.
    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()>;
}

/// This process's own memory.
#[derive(Debug, Default)]
pub(super) struct Host {
    taken: RefCell<Vec<(NonNull<u8>, Layout)>>,
}

impl Host {
    /// A pointer to these bytes, which must be in allocated memory.
    fn place(&self, address: u64, length: usize) -> Result<*mut u8> {
        let taken = self.taken.borrow();
        let found = taken.iter().find_map(|(start, layout)| {
            let offset = usize::try_from(address).ok()?.checked_sub(start.addr().get())?;
            let end = offset.checked_add(length)?;
            (end <= layout.size()).then(|| start.as_ptr().wrapping_add(offset))
        });
        found.ok_or_else(|| {
            anyhow!("{length} bytes at {address:#x} are not in memory that was taken")
        })
    }
}

impl Memory for Host {
    fn take(&self, bytes: usize) -> Result<u64> {
        let layout = Layout::from_size_align(bytes.max(1), ALIGNMENT)?;
        // SAFETY: the size is not zero.
        let place = NonNull::new(unsafe { std::alloc::alloc_zeroed(layout) });
        let place = place.with_context(|| format!("there is no memory for {bytes} bytes"))?;
        self.taken.borrow_mut().push((place, layout));
        // rocBLAS receives the address as a number in a register.
        Ok(place.as_ptr().expose_provenance() as u64)
    }

    fn write(&self, address: u64, bytes: &[u8]) -> Result<()> {
        let place = self.place(address, bytes.len())?;
        // SAFETY: within an allocation of ours, to which there are no references.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
        Ok(())
    }

    fn read(&self, address: u64, bytes: &mut [u8]) -> Result<()> {
        let place = self.place(address, bytes.len())?;
        // SAFETY: as in `write`.
        unsafe { place.copy_to_nonoverlapping(bytes.as_mut_ptr(), bytes.len()) };
        Ok(())
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        for (place, layout) in self.taken.take() {
            // SAFETY: allocated by `alloc_zeroed` with this layout.
            unsafe { std::alloc::dealloc(place.as_ptr(), layout) };
        }
    }
}

/// Where an operand is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The index of its buffer.
    pub(super) buffer: usize,
    /// The offset in the buffer of its span, or of the first of its spans, in bytes.
    pub(super) offset: usize,
    /// The distance from one span to the next, in bytes.
    pub(super) distance: usize,
}

/// Which operands share buffers, and the lengths of the buffers.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    /// The lengths of buffers, in bytes.
    pub(super) buffers: Vec<usize>,
    /// Which buffers are in host memory on any backend: those of results, depending on the pointer mode.
    pub(super) is_host: Vec<bool>,
    /// The operands' places, in the order of the operands.
    pub(super) places: Vec<Place>,
}

impl Plan {
    /// The plan of a call.
    pub(super) fn of(call: &Call) -> Self {
        let operands = &call.operands;
        let mut plan = Self {
            buffers: Vec::new(),
            is_host: Vec::new(),
            places: vec![Place { buffer: 0, offset: 0, distance: 0 }; operands.len()],
        };
        // The address ranges of the operands in ascending order. They have 128 bits, since any word may be an
        // address.
        let mut ranges: Vec<(bool, i128, i128, usize)> = Vec::new();
        for (position, given) in operands.iter().enumerate() {
            let word = call.words[given.parameter()];
            if matches!(given.operand.batch, Batch::Pointers { .. }) {
                let same =
                    operands[..position].iter().position(|other| is_same(call, other, given));
                plan.places[position] = match same {
                    Some(same) => plan.places[same],
                    None => plan.problems(given),
                };
            } else {
                let size = given.operand.element.size() as i128;
                let start = i128::from(word) + i128::from(given.span.first) * size;
                let is_host = given.operand.scalar && call.pointer_mode == PointerMode::Host;
                ranges.push((is_host, start, start + given.bytes() as i128, position));
            }
        }
        ranges.sort_unstable();
        let mut group: Option<(bool, i128, i128)> = None;
        for (is_host, start, end, position) in ranges {
            let (first, last) = match group {
                Some((of_host, first, last)) if of_host == is_host && start < last => {
                    (first, last.max(end))
                }
                _ => {
                    plan.buffers.push(0);
                    plan.is_host.push(is_host);
                    // Keep the alignment that it had.
                    (start - start.rem_euclid(ALIGNMENT as i128), end)
                }
            };
            group = Some((is_host, first, last));
            let buffer = plan.buffers.len() - 1;
            plan.buffers[buffer] = usize::try_from(last - first).unwrap_or(usize::MAX);
            let offset = usize::try_from(start - first).unwrap_or(usize::MAX);
            plan.places[position] = Place { buffer, offset, distance: 0 };
        }
        plan
    }

    fn problems(&mut self, given: &Given) -> Place {
        let distance = given.span_bytes().next_multiple_of(ALIGNMENT);
        self.buffers.push(distance.saturating_mul(given.spans()));
        self.is_host.push(false);
        Place { buffer: self.buffers.len() - 1, offset: 0, distance }
    }
}

/// Whether two operands are in the same places, given by the same array of pointers.
fn is_same(call: &Call, one: &Given, other: &Given) -> bool {
    call.words[one.parameter()] == call.words[other.parameter()]
        && one.operand.batch == other.operand.batch
        && one.operand.element == other.operand.element
        && one.span == other.span
}

/// A call with its operands in allocated memory.
#[derive(Debug)]
pub(super) struct Prepared {
    /// All arguments except the handle.
    pub(super) words: Vec<u64>,
    plan: Plan,
    /// The memory of what is on the host.
    host: Host,
    /// The buffers' addresses.
    addresses: Vec<u64>,
    /// Their contents before the call.
    images: Vec<Vec<u8>>,
}

impl Prepared {
    /// Allocates memory for a call. `before` returns the values of an operand before the call, by the
    /// operand's position.
    ///
    /// # Errors
    /// If memory cannot be allocated, and any error of `before`.
    pub(super) fn new(
        call: &Call,
        memory: &dyn Memory,
        mut before: impl FnMut(usize) -> Result<Option<Vec<u8>>>,
    ) -> Result<Self> {
        let plan = Plan::of(call);
        let host = Host::default();
        let mut images = Vec::new();
        let mut addresses = Vec::new();
        for (bytes, is_host) in plan.buffers.iter().zip(&plan.is_host) {
            let mut image = Vec::new();
            image.try_reserve_exact(*bytes).with_context(|| no_memory(*bytes))?;
            image.resize(*bytes, UNKNOWN);
            images.push(image);
            addresses.push(if *is_host { host.take(*bytes)? } else { memory.take(*bytes)? });
        }
        for (position, (given, place)) in call.operands.iter().zip(&plan.places).enumerate() {
            let Some(values) = before(position)? else { continue };
            for (number, span) in values.chunks_exact(given.span_bytes()).enumerate() {
                let start = place.offset + number * place.distance;
                images[place.buffer][start..start + span.len()].copy_from_slice(span);
            }
        }
        let mut prepared = Self { words: call.words.clone(), plan, host, addresses, images };
        prepared.point(call, memory)?;
        Ok(prepared)
    }

    /// Replaces the pointers in the arguments with addresses of this memory.
    fn point(&mut self, call: &Call, memory: &dyn Memory) -> Result<()> {
        for (position, param) in rocblas_abi::params(call.function).enumerate() {
            if param.ty.pointers == 0 || self.words[position] == 0 {
                continue;
            }
            let found = call.operands.iter().position(|given| given.parameter() == position);
            self.words[position] = match (found, call.scalar(position)) {
                (Some(found), _) => self.pointer(&call.operands[found], found, memory)?,
                (None, Some(scalar)) => {
                    // This is enough for the largest type, as the function may read that much.
                    let mut bytes = vec![0; scalar.bytes.len().max(16)];
                    bytes[..scalar.bytes.len()].copy_from_slice(&scalar.bytes);
                    self.place_scalar(call.pointer_mode, memory, &bytes)?
                }
                // The pointer is unused: the operand has no elements.
                (None, None) => memory.take(UNUSED)?,
            };
        }
        Ok(())
    }

    fn place_scalar(&self, mode: PointerMode, memory: &dyn Memory, bytes: &[u8]) -> Result<u64> {
        let memory = match mode {
            PointerMode::Device => memory,
            PointerMode::Host => &self.host,
        };
        let address = memory.take(bytes.len())?;
        memory.write(address, bytes)?;
        Ok(address)
    }

    /// The memory that a buffer is in.
    fn memory_of<'a>(&'a self, buffer: usize, memory: &'a dyn Memory) -> &'a dyn Memory {
        if self.plan.is_host[buffer] { &self.host } else { memory }
    }

    /// The pointer to pass as an operand's argument.
    fn pointer(&self, given: &Given, position: usize, memory: &dyn Memory) -> Result<u64> {
        let place = self.plan.places[position];
        let size = given.operand.element.size() as i64;
        let start = self.addresses[place.buffer].wrapping_add(place.offset as u64);
        let of_problem = |number: usize| {
            let start = start.wrapping_add((number * place.distance) as u64);
            start.wrapping_add_signed(-given.span.first * size)
        };
        if !matches!(given.operand.batch, Batch::Pointers { .. }) {
            return Ok(of_problem(0));
        }
        let addresses: Vec<u8> =
            (0..given.spans()).flat_map(|number| of_problem(number).to_le_bytes()).collect();
        let array = memory.take(addresses.len())?;
        memory.write(array, &addresses)?;
        Ok(array)
    }

    /// Resets all buffers to their contents before the call.
    ///
    /// # Errors
    /// The error that the device reports.
    pub(super) fn reset(&self, memory: &dyn Memory) -> Result<()> {
        let mut buffers = self.addresses.iter().zip(&self.images).enumerate();
        buffers.try_for_each(|(buffer, (address, image))| {
            self.memory_of(buffer, memory).write(*address, image)
        })
    }

    /// The spans of the operands that the call writes, one after the other.
    ///
    /// # Errors
    /// The error that the device reports.
    pub(super) fn outputs(&self, call: &Call, memory: &dyn Memory) -> Result<Vec<u8>> {
        let mut outputs = Vec::new();
        for (position, given) in call.written() {
            let place = self.plan.places[position];
            for number in 0..given.spans() {
                let start = self.addresses[place.buffer] + place.offset as u64;
                let end = outputs.len();
                outputs.resize(end + given.span_bytes(), 0);
                let memory = self.memory_of(place.buffer, memory);
                memory.read(start + (number * place.distance) as u64, &mut outputs[end..])?;
            }
        }
        Ok(outputs)
    }

    /// What `outputs` would return before the call.
    pub(super) fn before(&self, call: &Call) -> Vec<u8> {
        let mut before = Vec::new();
        for (position, given) in call.written() {
            let place = self.plan.places[position];
            for number in 0..given.spans() {
                let start = place.offset + number * place.distance;
                let image = &self.images[place.buffer];
                before.extend_from_slice(&image[start..start + given.span_bytes()]);
            }
        }
        before
    }

    /// The name of an operand that changed although the call only reads it. Operands that share a buffer with
    /// one that is written are not compared.
    ///
    /// # Errors
    /// The error that the device reports.
    pub(super) fn changed_input(&self, call: &Call, memory: &dyn Memory) -> Result<Option<String>> {
        let is_written = |buffer: usize| {
            call.written().any(|(position, _)| self.plan.places[position].buffer == buffer)
        };
        for (given, place) in call.operands.iter().zip(&self.plan.places) {
            if is_written(place.buffer) {
                continue;
            }
            let mut now = vec![0; given.span_bytes()];
            for number in 0..given.spans() {
                let start = place.offset + number * place.distance;
                let address = self.addresses[place.buffer] + start as u64;
                self.memory_of(place.buffer, memory).read(address, &mut now)?;
                if now != self.images[place.buffer][start..start + now.len()] {
                    return Ok(Some(call.param(given.parameter()).name.to_owned()));
                }
            }
        }
        Ok(None)
    }

    /// Whether a written operand shares its buffer with another written operand.
    pub(super) fn is_shared(&self, call: &Call, position: usize) -> bool {
        let buffer = self.plan.places[position].buffer;
        call.written()
            .any(|(other, _)| other != position && self.plan.places[other].buffer == buffer)
    }
}

fn no_memory(bytes: usize) -> String {
    format!("there is no memory for {bytes} bytes")
}
