//! When two calls count as alike: same function, and same values in the arguments that define the problem's
//! shape.

use rocblas_abi::Base;
use rocblas_trace::{call::Call, text::is_shape};
use std::sync::LazyLock;

/// More words than the shape of any function has.
const SHAPE_WORDS: usize = 14;

/// The argument words that define each function's shape, with a mask of the significant bits.
static SHAPES: LazyLock<Vec<Vec<(usize, u64)>>> = LazyLock::new(|| {
    let of = |function: usize| {
        let params = rocblas_abi::params(function).enumerate();
        params
            .filter(|(_, param)| is_shape(param))
            .map(|(position, param)| {
                let is_wide = matches!(param.ty.base, Base::I64 | Base::Size);
                (position, if is_wide { u64::MAX } else { u64::from(u32::MAX) })
            })
            .collect()
    };
    (0..rocblas_abi::C_EXPORTS).map(of).collect()
});

/// Equal for calls that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    function: u16,
    words: [u64; SHAPE_WORDS],
}

impl Key {
    /// The key of a call.
    pub(crate) fn of(call: &Call<'_>) -> Self {
        let mut key = Self { function: call.function() as u16, words: [0; SHAPE_WORDS] };
        for (word, (position, mask)) in key.words.iter_mut().zip(&SHAPES[call.function()]) {
            *word = call.argument(*position) & mask;
        }
        key
    }

    /// The function's index in this program's table.
    pub(crate) fn function(&self) -> u16 {
        self.function
    }
}
