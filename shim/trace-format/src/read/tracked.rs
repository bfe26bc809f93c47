//! Tracks the device, stream and mode of each handle by the records of calls that create, destroy and modify
//! handles, in the order of time.

use super::walk::{DeviceSeen, HandleSeen, Record};
use crate::{call::Call, layout::Mode};
use std::collections::{BTreeMap, HashMap};

/// A handle.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandleState {
    /// Its number in the order of appearance, from 1: an address may be reused.
    pub number: u32,
    /// The HIP number of its device.
    pub device: Option<i64>,
    /// The number of its stream, in the order of appearance; 0 is the default stream.
    pub stream: u32,
    /// Its pointer mode, as last seen.
    pub mode: Option<Mode>,
    /// The number of its backend; 0 is the first.
    pub backend: u8,
}

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Device {
    /// Its name.
    pub name: String,
    /// Its target.
    pub target: String,
}

/// The handles of a trace.
#[derive(Debug, Default)]
pub struct Tracked {
    handles: HashMap<u64, HandleState>,
    streams: HashMap<u64, u32>,
    devices: BTreeMap<u64, Device>,
    seen: u32,
}

impl Tracked {
    /// Processes a record. For a call, use [`Self::state`] first, because the call may change the state.
    pub fn take(&mut self, record: &Record<'_>) {
        match record {
            Record::Handle(seen) => self.see(seen),
            Record::Device(seen) => self.device(seen),
            Record::Call(call) => self.call(call),
            _ => {}
        }
    }

    /// The state of a call's handle.
    #[must_use]
    pub fn state(&self, call: &Call<'_>) -> Option<&HandleState> {
        self.handles.get(&call.handle()?)
    }

    /// The state of the handle at an address.
    #[must_use]
    pub fn handle(&self, address: u64) -> Option<&HandleState> {
        self.handles.get(&address)
    }

    /// The devices, by HIP's number.
    #[must_use]
    pub fn devices(&self) -> &BTreeMap<u64, Device> {
        &self.devices
    }

    /// The number of handles, and of streams other than the default one.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.seen as usize, self.streams.len())
    }

    fn see(&mut self, seen: &HandleSeen) {
        let stream = self.stream(seen.stream);
        let mode = match seen.pointer_mode {
            Some(0) => Some(Mode::Host),
            Some(1) => Some(Mode::Device),
            _ => None,
        };
        // Each thread that uses a handle has an event when it first sees it.
        if let Some(state) = self.handles.get_mut(&seen.handle) {
            state.device = state.device.or(seen.device);
            return;
        }
        self.seen += 1;
        let HandleSeen { device, backend, .. } = *seen;
        let state = HandleState { number: self.seen, device, stream, mode, backend };
        self.handles.insert(seen.handle, state);
    }

    fn device(&mut self, seen: &DeviceSeen<'_>) {
        let device = Device { name: seen.name(), target: seen.target() };
        self.devices.insert(seen.number, device);
    }

    fn stream(&mut self, stream: u64) -> u32 {
        if stream == 0 {
            return 0;
        }
        let next = self.streams.len() as u32 + 1;
        *self.streams.entry(stream).or_insert(next)
    }

    fn call(&mut self, call: &Call<'_>) {
        let succeeded = call.status() == Some(0);
        match call.name() {
            "rocblas_destroy_handle" if succeeded => {
                self.handles.remove(&call.argument(0));
            }
            "rocblas_set_stream" if succeeded => {
                let stream = self.stream(call.argument(1));
                if let Some(state) = self.handles.get_mut(&call.argument(0)) {
                    state.stream = stream;
                }
            }
            "rocblas_set_pointer_mode" if succeeded => {
                let mode = match call.argument(1) as i32 {
                    0 => Mode::Host,
                    _ => Mode::Device,
                };
                if let Some(state) = self.handles.get_mut(&call.argument(0)) {
                    state.mode = Some(mode);
                }
            }
            _ if call.mode() != Mode::Unknown => {
                if let Some(state) = call.handle().and_then(|h| self.handles.get_mut(&h)) {
                    state.mode = Some(call.mode());
                }
            }
            _ => {}
        }
    }
}
