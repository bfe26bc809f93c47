//! The vocabulary of the table: functions, parameters, types, enums, releases.

use crate::EnumId;

/// A release of ROCm whose rocBLAS the table knows: a line of `data/releases.abi`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    pub(crate) index: u8,
    /// ROCm's own number, such as `7.2`.
    pub rocm: &'static str,
    /// rocBLAS's, such as `5.2.0`.
    pub rocblas: &'static str,
    /// The SONAME of its library.
    pub soname: &'static str,
}

/// The set of releases that have something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    pub(crate) known: u32,
    pub(crate) unsure: u32,
}

impl Versions {
    /// Whether a release has it; `None` where that is not known.
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
    /// C with `...`: only ever a tail jump.
    Variadic,
    /// Mangled; parameters not listed, floats and structs by value among them: only a tail jump.
    Cxx,
}

/// What a function returns, as finely as a caller of a missing function can tell.
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

/// The type that a parameter has once pointers are taken off.
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
    /// `struct rocblas_device_malloc_base`: carries its handle inside
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
    /// What is left without the pointers.
    pub base: Base,
    /// The base is `const`.
    pub constant: bool,
    /// How many `*`.
    pub pointers: u8,
    /// `T *const *`, which headers write `T *const[]`: a batch's array of pointers.
    pub constant_array: bool,
}

/// Which way a scalar goes through its pointer.
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
    /// As in the vendor's header.
    pub name: &'static str,
    /// Its C type.
    pub ty: Type,
    /// Set for alpha, beta, results and the like: the pointer is to host or to device memory as
    /// the handle's pointer mode says.
    pub scalar: Option<Direction>,
    /// Whether a released header has it so. The last parameters of `rocblas_gemm_grouped_batched_ex`
    /// are taken from source of before its release.
    pub confirmed: bool,
}

/// Which of several backends a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// The one that made the handle in the parameter at this position.
    Handle(u8),
    /// The one that made the handle in the object that the parameter at this position leads to, a
    /// `rocblas_device_malloc_base *`.
    DeviceMalloc(u8),
    /// The one for the calling thread's current device.
    Device,
    /// Every one.
    All,
    /// Every one, and the largest answer counts: what is returned where `count` is 0, and else the sizes
    /// that the parameters from `first` on lead to.
    Max {
        /// The position of the first of them.
        first: u8,
        /// How many they are.
        count: u8,
    },
    /// Any one: that which was opened first, since data that goes with it, a vtable, is that one's.
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
    /// Part of the ABI that the shim presents.
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
    /// As passed.
    pub value: i32,
    /// As the header writes it.
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

    /// A value's name without what all the enum's names begin with: `upper` for
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
