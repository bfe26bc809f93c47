//! Handles: their creation and destruction, their modes, and the functions that work without one.

use core::ffi::{CStr, c_char, c_void};

use rocblas_abi::Base;

use super::Handle;
use crate::personality::Personality;
use crate::testing::*;

fn create() -> *mut Handle {
    let mut handle: *mut Handle = core::ptr::null_mut();
    let call = Call::new("rocblas_create_handle").pointer(Base::Handle, &raw mut handle);
    assert_eq!(call.run(), SUCCESS);
    assert!(!handle.is_null());
    handle
}

fn of(function: &str, handle: *const Handle) -> Call<'static> {
    Call::new(format!("rocblas_{function}")).handle(handle)
}

#[test]
fn a_handle_needs_a_place_and_is_destroyed_once() {
    let no_place: *mut *mut Handle = core::ptr::null_mut();
    let call = Call::new("rocblas_create_handle").pointer(Base::Handle, no_place);
    assert_eq!(call.run(), INVALID_HANDLE);
    assert_eq!(of("destroy_handle", core::ptr::null()).run(), INVALID_HANDLE);
    assert_eq!(of("destroy_handle", create()).run(), SUCCESS);
}

#[test]
fn what_is_set_is_what_is_got() {
    let handle = create();
    for (mode, default) in [("pointer_mode", 0), ("atomics_mode", 1), ("math_mode", 0)] {
        let mut value = -1;
        let get = |value: &mut i32| {
            let place: *mut i32 = value;
            of(&format!("get_{mode}"), handle).code_pointer(place).run()
        };
        assert_eq!((get(&mut value), value), (SUCCESS, default), "{mode}");
        assert_eq!(of(&format!("set_{mode}"), handle).code(1 - default).run(), SUCCESS);
        assert_eq!((get(&mut value), value), (SUCCESS, 1 - default), "{mode}");
        let call = of(&format!("get_{mode}"), core::ptr::null()).code_pointer(&raw mut value);
        assert_eq!(call.run(), INVALID_HANDLE);
        let call = of(&format!("get_{mode}"), handle).code_pointer(core::ptr::null_mut());
        assert_eq!(call.run(), INVALID_POINTER);
    }

    let (mut stream, mine) = (core::ptr::null_mut::<c_void>(), 0x1234_5678_9abc_u64);
    assert_eq!(of("set_stream", handle).stream_value(mine).run(), SUCCESS);
    assert_eq!(of("get_stream", handle).pointer(Base::Stream, &raw mut stream).run(), SUCCESS);
    assert_eq!(stream as u64, mine);
    assert_eq!(of("destroy_handle", handle).run(), SUCCESS);
}

#[test]
fn a_workspace_is_the_users_while_there_is_one() {
    let handle = create();
    let mut memory = [0_u8; 16];
    let is = |function: &str| of(function, handle).run_for_word() & 0xff == 1;
    assert!(is("is_managing_device_memory") && !is("is_user_managing_device_memory"));
    let set = of("set_workspace", handle).pointer(Base::Void, memory.as_mut_ptr()).size(16);
    assert_eq!(set.run(), SUCCESS);
    assert!(!is("is_managing_device_memory") && is("is_user_managing_device_memory"));
    let mut size = 0_usize;
    let get = of("get_device_memory_size", handle).pointer(Base::Size, &raw mut size);
    assert_eq!((get.run(), size), (SUCCESS, 16));
    let unset = of("set_workspace", handle).pointer(Base::Void, core::ptr::null::<u8>()).size(0);
    assert_eq!(unset.run(), SUCCESS);
    assert!(is("is_managing_device_memory") && !is("is_user_managing_device_memory"));
    assert_eq!(of("destroy_handle", handle).run(), SUCCESS);
}

/// A handle of another copy of this crate, or of any other library, begins with a different mark.
#[test]
fn the_handle_of_another_library_is_refused() {
    let mut foreign = Handle::new(Personality::current());
    foreign.library = (&raw const foreign).cast();
    assert_eq!(of("set_pointer_mode", &foreign).code(1).run(), INVALID_HANDLE);
    assert_eq!(of("destroy_handle", &foreign).run(), INVALID_HANDLE);
}

#[test]
fn a_panic_is_answered_not_thrown() {
    let handle = create();
    // SAFETY: created above.
    let argument = unsafe { core::mem::transmute::<*mut Handle, super::HandlePointer>(handle) };
    let silent = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| ()));
    let status = crate::abi::status_of(argument, |_| panic!("a wrong loop bound"));
    std::panic::set_hook(silent);
    assert_eq!(status, crate::Status::InternalError);
    assert_eq!(of("destroy_handle", handle).run(), SUCCESS);
}

#[test]
fn the_version_fits_the_size_that_is_told() {
    let version = Personality::current().version;
    let mut size = 0_usize;
    let call = Call::new("rocblas_get_version_string_size").pointer(Base::Size, &raw mut size);
    assert_eq!((call.run(), size), (SUCCESS, version.len() + 1));

    let mut buffer = vec![0x7f_u8; size];
    let get = |buffer: *mut u8, size| {
        Call::new("rocblas_get_version_string").pointer(Base::Char, buffer).size(size).run()
    };
    assert_eq!(get(core::ptr::null_mut(), size), INVALID_POINTER);
    assert_eq!(get(buffer.as_mut_ptr(), size - 1), INVALID_SIZE);
    assert_eq!(buffer[0], 0x7f);
    assert_eq!(get(buffer.as_mut_ptr(), size), SUCCESS);
    assert_eq!(CStr::from_bytes_with_nul(&buffer).expect("terminated").to_str(), Ok(version));
}

#[test]
fn statuses_have_the_vendors_names() {
    for value in rocblas_abi::enum_by_name("rocblas_status").expect("an enum").values {
        assert_eq!(name_of(value.value), value.name);
    }
    assert_eq!(name_of(99), "<undefined rocblas_status value>");
}

fn name_of(status: i32) -> String {
    let name = Call::new("rocblas_status_to_string").code(status).run_for_word();
    // SAFETY: the function returns static strings only.
    unsafe { CStr::from_ptr(name as *const c_char) }.to_str().expect("ASCII").to_owned()
}
