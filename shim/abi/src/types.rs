//! The vocabulary of the table: functions, parameters, types, enums, releases.

use crate::EnumId;

/// A release of ROCm whose rocBLAS the table knows: a line of `data/releases.abi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    pub(crate) index: u8,
    /// ROCm's version, such as `7.2`.
    pub rocm: &'static str,
    /// rocBLAS's version, such as `5.2.0`.
    pub rocblas: &'static str,
    /// The SONAME of its library.
    pub soname: &'static str,
}

/// The set of releases that have a function or value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub(crate) known: u32,
    pub(crate) unsure: u32,
}

impl Versions {
    /// Whether a release has it; `None` if that is not known.
    #[must_use]
    pub fn has(self, release: &Release) -> Option<bool> {
        let bit = 1 << release.index;
        (self.unsure & bit == 0).then_some(self.known & bit != 0)
    }
}

/// How a function may be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Typed parameters, none of them a float or a struct by value.
    C,
    /// C with `...`: can only be forwarded by a tail jump.
    Variadic,
    /// C++: parameters are not listed and may be floats or structs by value, so it can only be forwarded by a
    /// tail jump.
    Cxx,
}

/// What a function returns, as far as it matters to a caller of a missing function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Returns {
    /// `rocblas_status`
    Status,
    /// Nothing.
    Void,
    /// `bool`, in `al`
    Bool,
    /// `rocblas_pointer_mode`
    PointerMode,
    /// `const char *`
    CString,
    /// `size_t`
    Size,
    /// A pointer that may be null.
    Pointer,
    /// A C++ reference: never null.
    Reference,
    /// The first argument, as stream manipulators return their stream.
    FirstArgument,
    /// `std::string`, built in memory that the caller passes in `rdi`.
    StdString,
    /// `std::shared_ptr`, built in memory that the caller passes in `rdi`.
    SharedPtr,
}

/// The type of a parameter without its pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Base {
    /// `rocblas_handle`
    Handle,
    /// `rocblas_int`: 32 bits, signed
    Int,
    /// `int32_t`
    I32,
    /// `uint32_t`
    U32,
    /// `int64_t`
    I64,
    /// `rocblas_stride`: 64 bits, signed, in elements
    Stride,
    /// `size_t`, in bytes unless the name says otherwise
    Size,
    /// `hipStream_t`
    Stream,
    /// `hipEvent_t`
    Event,
    /// `struct rocblas_device_malloc_base`, which contains its handle
    DeviceMalloc,
    /// `rocblas_half`
    F16,
    /// `rocblas_bfloat16`
    Bf16,
    /// `float`
    F32,
    /// `double`
    F64,
    /// `rocblas_float_complex`
    C32,
    /// `rocblas_double_complex`
    C64,
    /// `void`
    Void,
    /// `char`
    Char,
    /// An enum, passed as a 32-bit integer.
    Enum(EnumId),
}

/// A C type: a base behind zero, one or two pointers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Type {
    /// The type without the pointers.
    pub base: Base,
    /// Whether the base is `const`.
    pub constant: bool,
    /// The number of `*`.
    pub pointers: u8,
    /// `T *const *`, which headers write `T *const[]`: a batch's array of pointers.
    pub constant_array: bool,
}

/// Whether a function reads or writes a scalar through its pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Read by the function.
    In,
    /// Written by it.
    Out,
    /// Both.
    InOut,
}

/// A parameter of a C function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Param {
    /// Its name in the vendor's header.
    pub name: &'static str,
    /// Its C type.
    pub ty: Type,
    /// Set for alpha, beta, results and the like: whether the pointer is to host or to device memory
    /// depends on the handle's pointer mode.
    pub scalar: Option<Direction>,
    /// Whether a released header confirms it. The last parameters of `rocblas_gemm_grouped_batched_ex`
    /// are taken from source before its release.
    pub confirmed: bool,
}

/// Which of several backends a call goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The one that made the handle in the parameter at this position.
    Handle(u8),
    /// The one that made the handle in the object that the parameter at this position points to, a
    /// `rocblas_device_malloc_base *`.
    DeviceMalloc(u8),
    /// The one for the calling thread's current device.
    Device,
    /// Every backend.
    All,
    /// Every backend, and the result is the largest one: the return value if `count` is 0, and otherwise the
    /// sizes that the parameters from `first` on point to.
    Max {
        /// The position of the first of these parameters.
        first: u8,
        /// The number of these parameters.
        count: u8,
    },
    /// Any backend: the one that was opened first is called, because the exported vtable is a copy of its.
    Any,
}

/// An exported function, or one of the six that 5.0 removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function {
    /// Position in the table.
    pub index: u16,
    /// The symbol, mangled if it is C++.
    pub name: &'static str,
    /// How it may be called.
    pub kind: Kind,
    /// What it returns.
    pub returns: Returns,
    /// Named parameters; empty for C++.
    pub params: &'static [Param],
    /// Which releases have it.
    pub versions: Versions,
    /// Libraries known to import it, for C++ functions.
    pub importers: &'static [&'static str],
    /// Which of several backends a call is for.
    pub whose: Whose,
}

impl Function {
    /// Whether it is part of the ABI that the shim presents.
    #[must_use]
    pub fn exported(&self) -> bool {
        usize::from(self.index) < crate::EXPORTS
    }

    /// Positions of the parameters whose memory follows the handle's pointer mode.
    pub fn scalars(&self) -> impl Iterator<Item = (usize, &'static Param, Direction)> {
        self.params
            .iter()
            .enumerate()
            .filter_map(|(i, param)| param.scalar.map(|direction| (i, param, direction)))
    }
}

/// One value of an enum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EnumValue {
    /// The value that is passed.
    pub value: i32,
    /// Its name in the header.
    pub name: &'static str,
    /// Which releases have it.
    pub versions: Versions,
}

/// An enum of the C API.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Enum {
    /// Its identity.
    pub id: EnumId,
    /// The C type's name.
    pub name: &'static str,
    /// In order of value.
    pub values: &'static [EnumValue],
}

impl Enum {
    /// The name of a value.
    #[must_use]
    pub fn name_of(&self, value: i32) -> Option<&'static str> {
        self.values.iter().find(|v| v.value == value).map(|v| v.name)
    }

    /// The value of a name.
    #[must_use]
    pub fn value_of(&self, name: &str) -> Option<i32> {
        self.values.iter().find(|v| v.name == name).map(|v| v.value)
    }

    /// A value's name without the common prefix of the enum's names: `upper` for
    /// `rocblas_fill_upper`.
    #[must_use]
    pub fn short_name_of(&self, value: i32) -> Option<&'static str> {
        let name = self.name_of(value)?;
        let own = self.name.len() + 1;
        if name.starts_with(self.name) && name.len() > own {
            return Some(&name[own..]);
        }
        Some(name.strip_prefix("rocblas_").unwrap_or(name))
    }
}
