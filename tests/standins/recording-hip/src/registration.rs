//! The kernels of libraries. The compiler's start-up code registers them, and a launch finds them by the
//! address of their host stubs.

use crate::{
    devices,
    layouts::{Dim3, FatBinaryWrapper},
    offload::{self, readable},
    settings::settings,
};
use std::{
    collections::{BTreeMap, HashMap},
    ffi::{CStr, c_char, c_void},
    ptr,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

/// The GPU code of one translation unit.
#[derive(Debug)]
struct FatBinary {
    image: usize,
    /// Whether a device can run any of it, by device number: determined when one of its kernels is first launched there.
    has_code: Mutex<BTreeMap<i32, bool>>,
}

/// A kernel that can be launched.
#[derive(Clone, Debug)]
pub(crate) struct Kernel {
    /// Its mangled name.
    pub(crate) name: Arc<str>,
    code: Arc<FatBinary>,
}

impl Kernel {
    /// Whether a real device would find code for it.
    pub(crate) fn has_code(&self) -> bool {
        let mut known = self.code.has_code.lock().unwrap_or_else(PoisonError::into_inner);
        *known.entry(devices::current()).or_insert_with(|| self.code.find_code())
    }
}

impl FatBinary {
    fn find_code(&self) -> bool {
        let settings = settings();
        let image = ptr::with_exposed_provenance(self.image);
        if library_of(image).is_some_and(|library| settings.lacks_code(&library)) {
            return false;
        }
        if !settings.check_targets {
            return true;
        }
        // SAFETY: it is read-only data of a library that remains loaded while its kernels are launched.
        let image = unsafe { readable::from(image) };
        offload::has_code_for(image, settings.target()).unwrap_or(false)
    }
}

/// The path of the library that an address belongs to.
fn library_of(address: *const c_void) -> Option<String> {
    // SAFETY: pointers and numbers, for which zero is a value.
    let mut found: libc::Dl_info = unsafe { std::mem::zeroed() };
    // SAFETY: the address is only looked up, and the result may be written.
    if unsafe { libc::dladdr(address, &raw mut found) } == 0 || found.dli_fname.is_null() {
        return None;
    }
    // SAFETY: the string belongs to the loader and remains valid while the library is loaded.
    Some(unsafe { CStr::from_ptr(found.dli_fname) }.to_string_lossy().into_owned())
}

#[derive(Default)]
struct Registry {
    binaries: HashMap<usize, Arc<FatBinary>>,
    kernels: HashMap<usize, Kernel>,
    count: usize,
}

fn registry() -> MutexGuard<'static, Registry> {
    static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);
    REGISTRY.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    fn add_binary(&mut self, image: *const c_void) -> usize {
        self.count += 1;
        let handle = 0x1_0000_0000 + self.count * 16;
        let image = image.expose_provenance();
        self.binaries.insert(handle, Arc::new(FatBinary { image, has_code: Mutex::default() }));
        handle
    }

    fn add_kernel(&mut self, binary: usize, stub: usize, name: &str) {
        if let Some(code) = self.binaries.get(&binary) {
            self.kernels.insert(stub, Kernel { name: name.into(), code: Arc::clone(code) });
        }
    }

    fn remove_binary(&mut self, handle: usize) {
        if let Some(gone) = self.binaries.remove(&handle) {
            self.kernels.retain(|_, kernel| !Arc::ptr_eq(&kernel.code, &gone));
        }
    }
}

/// The kernel of a stub.
pub(crate) fn kernel(stub: *const c_void) -> Option<Kernel> {
    registry().kernels.get(&stub.addr()).cloned()
}

/// Registers a translation unit's GPU code. Returns a handle, or null for invalid code.
#[unsafe(no_mangle)]
unsafe extern "C" fn __hipRegisterFatBinary(wrapper: *const FatBinaryWrapper) -> *mut *mut c_void {
    if wrapper.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: the compiler's start-up code passes its wrapper.
    let FatBinaryWrapper { magic, version, binary, .. } = unsafe { wrapper.read() };
    if (magic, version) != (FatBinaryWrapper::MAGIC, FatBinaryWrapper::VERSION) {
        return ptr::null_mut();
    }
    ptr::without_provenance_mut(registry().add_binary(binary))
}

/// Registers a kernel.
#[unsafe(no_mangle)]
unsafe extern "C" fn __hipRegisterFunction(
    binary: *mut *mut c_void,
    stub: *const c_void,
    _device_stub: *mut c_char,
    name: *const c_char,
    _thread_limit: u32,
    _thread: *mut c_void,
    _block: *mut c_void,
    _block_size: *mut Dim3,
    _grid_size: *mut Dim3,
    _warp_size: *mut i32,
) {
    if name.is_null() {
        return;
    }
    // SAFETY: the compiler's start-up code passes a constant string.
    let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
    registry().add_kernel(binary.addr(), stub.addr(), &name);
}

/// Device variables are ignored, because no kernel runs.
#[unsafe(no_mangle)]
extern "C" fn __hipRegisterVar(
    _binary: *mut *mut c_void,
    _variable: *mut c_void,
    _host_name: *mut c_char,
    _device_name: *mut c_char,
    _external: i32,
    _size: usize,
    _constant: i32,
    _global: i32,
) {
}

/// Removes a translation unit's kernels.
#[unsafe(no_mangle)]
extern "C" fn __hipUnregisterFatBinary(binary: *mut *mut c_void) {
    registry().remove_binary(binary.addr());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_live_as_long_as_their_binary() {
        let mut registry = Registry::default();
        let first = registry.add_binary(ptr::null());
        let second = registry.add_binary(ptr::null());
        registry.add_kernel(first, 0x10, "one");
        registry.add_kernel(second, 0x20, "two");
        registry.add_kernel(0xbad, 0x30, "three");
        assert_eq!(registry.kernels.get(&0x10).map(|k| &*k.name), Some("one"));
        assert!(!registry.kernels.contains_key(&0x30));
        registry.remove_binary(first);
        assert!(!registry.kernels.contains_key(&0x10));
        assert!(registry.kernels.contains_key(&0x20));
    }

    #[test]
    fn a_wrapper_without_its_magic_is_not_registered() {
        let mut wrapper = FatBinaryWrapper {
            magic: FatBinaryWrapper::MAGIC,
            version: FatBinaryWrapper::VERSION + 1,
            binary: ptr::null(),
            unused: ptr::null(),
        };
        // SAFETY: null or a wrapper.
        unsafe {
            assert!(__hipRegisterFatBinary(ptr::null()).is_null());
            assert!(__hipRegisterFatBinary(&raw const wrapper).is_null());
            wrapper.version = FatBinaryWrapper::VERSION;
            let handle = __hipRegisterFatBinary(&raw const wrapper);
            assert!(!handle.is_null());
            __hipUnregisterFatBinary(handle);
        }
    }

    #[test]
    fn an_address_belongs_to_a_library() {
        let own = library_of((&raw const MARK).cast()).expect("this program");
        assert!(own.contains("recording_hip"), "{own}");
        assert_eq!(library_of(ptr::null()), None);
    }

    static MARK: u8 = 1;

    #[test]
    fn a_kernel_without_target_checks_always_has_code() {
        let code = Arc::new(FatBinary { image: 0, has_code: Mutex::default() });
        assert!(Kernel { name: "k".into(), code }.has_code());
    }
}
