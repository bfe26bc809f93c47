//! Modules: GPU code that a program loads itself, and its functions by name.
//!
//! A code object's symbols are not read: a module has every function that is requested from it.

use crate::{
    answer::{hip_functions, put},
    errors::{Answer, HipError},
    handles::Table,
    offload::{self, readable},
    settings::settings,
};
use std::{
    collections::HashMap,
    ffi::{CStr, OsStr, c_char, c_void},
    fs::File,
    io::Read,
    os::unix::ffi::OsStrExt,
    sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError},
};

/// Functions that have been requested, by name.
type Module = HashMap<Box<str>, usize>;

struct Modules {
    modules: Table<Module>,
    functions: Table<Arc<str>>,
}

fn modules() -> MutexGuard<'static, Modules> {
    static MODULES: LazyLock<Mutex<Modules>> = LazyLock::new(|| {
        Mutex::new(Modules { modules: Table::new(0x20_0000), functions: Table::new(0x40_0000) })
    });
    MODULES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The name of a function.
pub(crate) fn function_name(function: *const c_void) -> Option<Arc<str>> {
    modules().functions.get(function).cloned()
}

/// The checks with which the real runtime refuses an image.
fn check(image: &[u8]) -> Answer {
    if !settings().check_targets {
        return Ok(());
    }
    match offload::has_code_for(image, settings().target()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(HipError::NO_BINARY_FOR_GPU),
        Err(_) => Err(HipError::INVALID_IMAGE),
    }
}

/// Loads an image in the caller's memory.
///
/// # Safety
/// `result` is null or may be written; `image` is null or code that remains valid until the call returns.
unsafe fn load(result: *mut *mut c_void, image: *const c_void) -> Answer {
    if result.is_null() || image.is_null() {
        return Err(HipError::INVALID_VALUE);
    }
    if settings().check_targets {
        // SAFETY: the caller guarantees this for the image.
        check(unsafe { readable::from(image) })?;
    }
    let module = modules().modules.add(|_| Module::new());
    // SAFETY: the caller guarantees this for the result.
    unsafe { put(result, module) }
}

/// Adds a function to a module, or finds the one that was requested before.
fn function(module: *mut c_void, name: &str) -> Answer<*mut c_void> {
    let mut all = modules();
    let Modules { modules, functions } = &mut *all;
    let module = modules.get_mut(module).ok_or(HipError::INVALID_HANDLE)?;
    let handle = match module.get(name) {
        Some(&handle) => handle,
        None => {
            let handle = functions.add(|_| name.into()).addr();
            module.insert(name.into(), handle);
            handle
        }
    };
    Ok(std::ptr::without_provenance_mut(handle))
}

hip_functions! {
    fn hipModuleLoad(result: *mut *mut c_void, path: *const c_char) {
        if result.is_null() || path.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        // SAFETY: the caller's string.
        let path = unsafe { CStr::from_ptr(path) };
        let mut file =
            File::open(OsStr::from_bytes(path.to_bytes())).map_err(|_| HipError::FILE_NOT_FOUND)?;
        let mut image = Vec::new();
        if settings().check_targets {
            file.read_to_end(&mut image).map_err(|_| HipError::FILE_NOT_FOUND)?;
        }
        check(&image)?;
        let module = modules().modules.add(|_| Module::new());
        // SAFETY: the caller's out-parameter.
        unsafe { put(result, module) }
    }

    fn hipModuleLoadData(result: *mut *mut c_void, image: *const c_void) {
        // SAFETY: the caller's out-parameter and image.
        unsafe { load(result, image) }
    }

    fn hipModuleLoadDataEx(
        result: *mut *mut c_void,
        image: *const c_void,
        _count: u32,
        _options: *mut i32,
        _values: *mut *mut c_void,
    ) {
        // SAFETY: the caller's out-parameter and image.
        unsafe { load(result, image) }
    }

    fn hipModuleUnload(module: *mut c_void) {
        let mut all = modules();
        let module = all.modules.remove(module).ok_or(HipError::INVALID_HANDLE)?;
        for handle in module.into_values() {
            all.functions.remove(std::ptr::without_provenance(handle));
        }
        Ok(())
    }

    fn hipModuleGetFunction(result: *mut *mut c_void, module: *mut c_void, name: *const c_char) {
        if result.is_null() || name.is_null() {
            return Err(HipError::INVALID_VALUE);
        }
        // SAFETY: the caller's string.
        let name = unsafe { CStr::from_ptr(name) }.to_string_lossy();
        if name.is_empty() {
            return Err(HipError::NOT_FOUND);
        }
        // SAFETY: the caller's out-parameter.
        unsafe { put(result, function(module, &name)?) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    #[test]
    fn functions_are_known_until_their_module_goes() {
        let mut module = ptr::null_mut();
        let mut handles = [ptr::null_mut(); 3];
        // SAFETY: the image is not read without target checks, and results may be written.
        unsafe {
            assert_eq!(hipModuleLoadData(&raw mut module, c"code".as_ptr().cast()), 0);
            for (handle, name) in handles.iter_mut().zip([c"one", c"two", c"one"]) {
                assert_eq!(hipModuleGetFunction(handle, module, name.as_ptr()), 0);
            }
            assert_eq!(handles[0], handles[2]);
            assert_eq!(function_name(handles[1]).as_deref(), Some("two"));
            assert_eq!(hipModuleUnload(module), 0);
            assert_eq!(hipModuleUnload(module), 400);
            assert_eq!(hipModuleGetFunction(&raw mut handles[0], module, c"one".as_ptr()), 400);
        }
        assert_eq!(function_name(handles[1]), None);
    }

    #[test]
    fn what_cannot_be_loaded() {
        let mut module = ptr::null_mut();
        // SAFETY: results may be written, and null is refused.
        unsafe {
            assert_eq!(hipModuleLoad(&raw mut module, c"/nonexistent".as_ptr()), 301);
            assert_eq!(hipModuleLoadData(&raw mut module, ptr::null()), 1);
        }
    }
}
