//! The functions of a backend's HIP runtime that the shim calls.
//!
//! They are looked up in the backend's own scope, that is in the runtime that its streams and pointers
//! belong to, and called only if a promise, a route or a trace needs them. Two runtimes in one process are
//! refused, because neither can use the other's streams and pointers.

mod events;
mod last_error;
mod staging;

pub(crate) use events::{Between, Event, Events};
pub(crate) use last_error::{LastError, Peek};
pub(crate) use staging::Staging;

use super::open::{self, Handle};
use crate::own;
use core::{
    ffi::{CStr, c_char, c_void},
    mem::transmute,
};
use rocblas_contract::{
    hip::{ARCHITECTURE, DEVICE_NAME, DEVICE_PROPERTIES, GET_DEVICE_PROPERTIES, text},
    libraries, sentences,
};
use std::{ffi::CString, path::PathBuf};

/// `hipStream_t`
pub(crate) type Stream = *mut c_void;

/// `hipDeviceProp_tR0600`: HIP 6's and 7's.
#[derive(Debug)]
#[repr(C, align(8))]
pub(crate) struct DeviceProperties([u8; Self::SIZE]);

impl DeviceProperties {
    const SIZE: usize = DEVICE_PROPERTIES;

    /// The runtime's name for the device.
    pub(crate) fn name(&self) -> String {
        text(&self.0[DEVICE_NAME])
    }

    /// The target with features: `gfx906:sramecc+:xnack-`.
    pub(crate) fn architecture(&self) -> String {
        text(&self.0[ARCHITECTURE])
    }

    /// The target without features: `gfx906`.
    pub(crate) fn target(&self) -> String {
        let name = self.architecture();
        name.split(':').next().unwrap_or_default().to_owned()
    }
}

type Copy1 = unsafe extern "C" fn(*mut c_void, *const c_void, usize, i32) -> i32;
type Copy1Async = unsafe extern "C" fn(*mut c_void, *const c_void, usize, i32, Stream) -> i32;
type Copy2 =
    unsafe extern "C" fn(*mut c_void, usize, *const c_void, usize, usize, usize, i32) -> i32;
type Copy2Async = unsafe extern "C" fn(
    *mut c_void,
    usize,
    *const c_void,
    usize,
    usize,
    usize,
    i32,
    Stream,
) -> i32;
type Synchronize = unsafe extern "C" fn(Stream) -> i32;
type IsCapturing = unsafe extern "C" fn(Stream, *mut i32) -> i32;
type GetDevice = unsafe extern "C" fn(*mut i32) -> i32;
type GetPciAddress = unsafe extern "C" fn(*mut c_char, i32, i32) -> i32;
type GetProperties = unsafe extern "C" fn(*mut DeviceProperties, i32) -> i32;

/// `hipSuccess`
const SUCCESS: i32 = 0;

/// Functions of the runtime.
#[derive(Debug)]
pub(crate) struct Hip {
    copy: Copy1,
    copy_async: Copy1Async,
    copy_2d: Copy2,
    copy_2d_async: Copy2Async,
    get_device: GetDevice,
    get_properties: GetProperties,
    /// These two only read scalars back; calls that need that are refused without them.
    synchronize: Option<Synchronize>,
    is_capturing: Option<IsCapturing>,
    /// Only rules for PCI addresses need it.
    get_pci_address: Option<GetPciAddress>,
    /// Only traces need these.
    pub(crate) last_error: Option<LastError>,
    pub(crate) events: Option<Events>,
    /// Only checks and captures of operands need it.
    pub(crate) staging: Option<Staging>,
}

impl Hip {
    /// The runtime in a backend's scope; `None` for a stand-in without one.
    pub(crate) fn of(backend: Handle) -> Option<Self> {
        let symbol = |name: &CStr| backend.symbol(name).map(|target| target.0);
        let (copy, copy_async) = (symbol(c"hipMemcpy")?, symbol(c"hipMemcpyAsync")?);
        let (copy_2d, copy_2d_async) = (symbol(c"hipMemcpy2D")?, symbol(c"hipMemcpy2DAsync")?);
        let get_device = symbol(c"hipGetDevice")?;
        let get_properties = symbol(GET_DEVICE_PROPERTIES)?;
        let synchronize = symbol(c"hipStreamSynchronize");
        let is_capturing = symbol(c"hipStreamIsCapturing");
        let get_pci_address = symbol(c"hipDeviceGetPCIBusId");
        // SAFETY: HIP's prototypes of these functions, the same in HIP 6 and 7.
        unsafe {
            Some(Self {
                copy: transmute::<*const (), Copy1>(copy),
                copy_async: transmute::<*const (), Copy1Async>(copy_async),
                copy_2d: transmute::<*const (), Copy2>(copy_2d),
                copy_2d_async: transmute::<*const (), Copy2Async>(copy_2d_async),
                get_device: transmute::<*const (), GetDevice>(get_device),
                get_properties: transmute::<*const (), GetProperties>(get_properties),
                synchronize: synchronize.map(|f| transmute::<*const (), Synchronize>(f)),
                is_capturing: is_capturing.map(|f| transmute::<*const (), IsCapturing>(f)),
                get_pci_address: get_pci_address.map(|f| transmute::<*const (), GetPciAddress>(f)),
                last_error: LastError::of(backend),
                events: Events::of(backend),
                staging: Staging::of(backend),
            })
        }
    }

    /// The calling thread's current device.
    pub(crate) fn current_device(&self) -> Option<i32> {
        let mut device = 0;
        // SAFETY: memory for the result.
        (unsafe { (self.get_device)(&raw mut device) } == SUCCESS).then_some(device)
    }

    /// The PCI address of a device: `0000:03:00.0`.
    pub(crate) fn pci_address(&self, device: i32) -> Option<String> {
        let mut text = [0_u8; 64];
        let get = self.get_pci_address?;
        // SAFETY: memory of that size.
        let error = unsafe { get(text.as_mut_ptr().cast(), text.len() as i32, device) };
        let address = CStr::from_bytes_until_nul(&text).ok()?;
        (error == SUCCESS).then(|| address.to_string_lossy().into_owned())
    }

    /// The properties of a device.
    pub(crate) fn properties(&self, device: i32) -> Option<Box<DeviceProperties>> {
        let mut properties = Box::new(DeviceProperties([0; DeviceProperties::SIZE]));
        // SAFETY: memory of the structure's size and alignment.
        let error = unsafe { (self.get_properties)(&raw mut *properties, device) };
        (error == SUCCESS).then_some(properties)
    }

    /// Copies bytes, synchronously or on a stream. Returns a `hipError_t`.
    ///
    /// # Safety
    /// As `hipMemcpy`.
    pub(crate) unsafe fn copy(
        &self,
        to: *mut c_void,
        from: *const c_void,
        size: usize,
        kind: i32,
        stream: Option<Stream>,
    ) -> i32 {
        // SAFETY: passed on to the caller.
        unsafe {
            match stream {
                Some(stream) => (self.copy_async)(to, from, size, kind, stream),
                None => (self.copy)(to, from, size, kind),
            }
        }
    }

    /// Whether a stream is being captured; `None` if HIP returns an error, as it does for the default stream
    /// while another stream is being captured.
    pub(crate) fn is_capturing(&self, stream: Stream) -> Option<bool> {
        let (mut state, is_capturing) = (0, self.is_capturing?);
        // SAFETY: the caller's stream, and memory for the result.
        let error = unsafe { is_capturing(stream, &raw mut state) };
        (error == SUCCESS).then_some(state != 0)
    }

    /// Whether the runtime has the function that [`Self::is_capturing`] calls.
    pub(crate) fn can_report_captures(&self) -> bool {
        self.is_capturing.is_some()
    }

    /// Copies device memory to the host, after all work already on the stream, and waits for it.
    /// Returns a `hipError_t`. The stream must not be capturing.
    ///
    /// # Safety
    /// As `hipMemcpyAsync`.
    pub(crate) unsafe fn read(
        &self,
        to: *mut c_void,
        from: *const c_void,
        size: usize,
        stream: Stream,
    ) -> i32 {
        const DEVICE_TO_HOST: i32 = 2;
        /// `hipErrorNotSupported`
        const NOT_SUPPORTED: i32 = 801;
        let Some(synchronize) = self.synchronize else { return NOT_SUPPORTED };
        // SAFETY: passed on to the caller.
        unsafe {
            match (self.copy_async)(to, from, size, DEVICE_TO_HOST, stream) {
                SUCCESS => synchronize(stream),
                error => error,
            }
        }
    }

    /// Copies `size.1` rows of `size.0` bytes, with a pitch in bytes for each side.
    ///
    /// # Safety
    /// As `hipMemcpy2D`.
    pub(crate) unsafe fn copy_2d(
        &self,
        (to, to_pitch): (*mut c_void, usize),
        (from, from_pitch): (*const c_void, usize),
        (width, height): (usize, usize),
        kind: i32,
        stream: Option<Stream>,
    ) -> i32 {
        // SAFETY: passed on to the caller.
        unsafe {
            match stream {
                Some(stream) => (self.copy_2d_async)(
                    to, to_pitch, from, from_pitch, width, height, kind, stream,
                ),
                None => (self.copy_2d)(to, to_pitch, from, from_pitch, width, height, kind),
            }
        }
    }
}

/// Refuses a backend that brought a second HIP runtime into the process.
///
/// `hipGetDevice` is looked up in every loaded file of that name. A symlink, or a library without code
/// that only needs the real runtime, yields the real runtime's function.
pub(crate) fn refuse_a_second_runtime(backend: Handle) -> Result<(), String> {
    let Some(own) = backend.symbol(c"hipGetDevice") else {
        return Ok(());
    };
    for path in loaded(libraries::HIP.as_bytes()) {
        let other = open::already_open(&path).and_then(|runtime| runtime.symbol(c"hipGetDevice"));
        if let Some(other) = other
            && other != own
        {
            let file = |address| own::file_of(address).unwrap_or_default();
            let (own, other): (PathBuf, PathBuf) = (file(own.0), file(other.0));
            return Err(sentences::second_hip(own.display(), other.display()));
        }
    }
    Ok(())
}

/// The loaded objects whose file names begin with `prefix`.
fn loaded(prefix: &'static [u8]) -> Vec<CString> {
    struct Search {
        prefix: &'static [u8],
        found: Vec<CString>,
    }
    /// # Safety
    /// Called by the loader, with our own pointer as its last argument.
    unsafe extern "C" fn visit(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        search: *mut c_void,
    ) -> i32 {
        // SAFETY: the loader passes a valid record, and our own pointer back.
        let (name, search) = unsafe { ((*info).dlpi_name, &mut *search.cast::<Search>()) };
        if !name.is_null() {
            // SAFETY: a C string of the loader's.
            let path = unsafe { CStr::from_ptr(name.cast::<c_char>()) };
            let file = path.to_bytes().rsplit(|byte| *byte == b'/').next().unwrap_or_default();
            if file.starts_with(search.prefix) {
                search.found.push(path.to_owned());
            }
        }
        0
    }
    let mut search = Search { prefix, found: Vec::new() };
    // SAFETY: the callback has the right type, and the pointer outlives the call.
    unsafe { libc::dl_iterate_phdr(Some(visit), (&raw mut search).cast()) };
    search.found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_is_the_architecture_without_features() {
        let mut properties = DeviceProperties([0; DeviceProperties::SIZE]);
        assert_eq!(properties.target(), "");
        let name = b"gfx906:sramecc+:xnack-";
        properties.0[ARCHITECTURE][..name.len()].copy_from_slice(name);
        assert_eq!(properties.target(), "gfx906");
        properties.0[ARCHITECTURE].fill(b'x');
        assert_eq!(properties.target().len(), 256);
    }
}
