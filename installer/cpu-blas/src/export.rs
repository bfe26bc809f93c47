//! Builds a shared library from this crate.
//!
//! A function that is exported under its C name must be compiled in the crate of the shared library, so that
//! crate invokes a macro that generates the stubs. Each stub jumps through a table that a constructor fills
//! from [`entry_point`].

use core::sync::atomic::{AtomicPtr, Ordering::Relaxed};

use crate::{Personality, Status, entry_point};

/// One function pointer for each symbol of the ABI, at the symbol's index.
///
/// The table is valid from the first instruction: an entry without a function (or without one yet) returns
/// `rocblas_status_not_implemented`.
#[repr(transparent)]
pub struct Table<const SYMBOLS: usize>([AtomicPtr<()>; SYMBOLS]);

impl<const SYMBOLS: usize> Table<SYMBOLS> {
    /// A table in which nothing is implemented.
    #[expect(clippy::new_without_default, reason = "it initialises a static")]
    #[must_use]
    pub const fn new() -> Self {
        Self([const { AtomicPtr::new(not_implemented as *mut ()) }; SYMBOLS])
    }

    /// Adopts a personality and fills in every function that this crate implements.
    pub fn fill(&self, personality: Personality) {
        personality.adopt();
        for (entry, function) in self.0.iter().zip(&rocblas_abi::FUNCTIONS) {
            if let Some(implementation) = entry_point(function.name) {
                entry.store(implementation.cast_mut(), Relaxed);
            }
        }
    }
}

/// Implements every missing function, whatever its prototype: it reads no argument and returns the status in
/// the register of an integer result.
extern "C" fn not_implemented() -> Status {
    Status::NotImplemented
}

/// Turns the invoking `cdylib` crate into a rocBLAS: exports the functions of the listed macros of
/// `rocblas-abi` and the one data symbol that clients import.
///
/// The crate must depend on `ctor`. For examples, see `reference-backend` and `stock-backend`: they pass a
/// [`Personality`] and the functions of a release (`for_each_function_of_rocm_6_3`).
#[macro_export]
macro_rules! export_library {
    (personality: $personality:expr, symbols: [$($for_each:ident),+ $(,)?] $(,)?) => {
        static TABLE: $crate::Table<{ $crate::rocblas_abi::FUNCTIONS.len() }> =
            $crate::Table::new();

        ::core::arch::global_asm!(include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../gpu_code.s"
        )));

        #[ctor::ctor(unsafe)]
        fn fill_table() {
            TABLE.fill($personality);
        }

        $($crate::rocblas_abi::$for_each!($crate::export_stubs);)+

        /// Replaces the vtable that AMD's test program imports. A client only copies the bytes. They are
        /// distinguishable from zeroed memory.
        #[allow(non_upper_case_globals, reason = "a mangled C++ name")]
        #[unsafe(no_mangle)]
        static _ZTV24rocblas_internal_ostream: [u64; 4] = [
            0x7374_616e_642d_696e,
            0x726f_6362_6c61_735f,
            0x6f73_7472_6561_6d5f,
            0x7674_6162_6c65_2e2e,
        ];
    };
}

/// The callback of [`export_library!`]: one exported stub per listed symbol.
#[doc(hidden)]
#[macro_export]
macro_rules! export_stubs {
    ($(($index:literal $name:ident))*) => {$(
        #[allow(non_snake_case, reason = "a mangled C++ name")]
        #[unsafe(naked)]
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name() {
            core::arch::naked_asm!(
                "jmp qword ptr [rip + {table} + {offset}]",
                table = sym TABLE,
                offset = const $index * size_of::<*const ()>(),
            )
        }
    )*};
}
