//! The probe backend's record of a call, and the values that its functions return.

/// The number of stack words in the record: together with the six registers, as many as the function with the
/// most parameters has.
pub const STACK_WORDS: usize = 24;

/// Everything a caller can pass, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Record {
    /// Vector registers 0 to 7 at full width; the parts that the machine lacks are zero.
    pub vectors: [[u64; 8]; 8],
    /// rdi, rsi, rdx, rcx, r8, r9.
    pub registers: [u64; 6],
    /// al holds the number of vector registers that a variadic call uses.
    pub rax: u64,
    /// The static chain.
    pub r10: u64,
    /// Index of the function in the table.
    pub index: u64,
    /// The return address.
    pub return_address: u64,
    /// The words above the return address.
    pub stack: [u64; STACK_WORDS],
    /// The number of calls of this thread so far, including this one; 0 before the first.
    pub calls: u64,
}

impl Record {
    /// Nothing recorded.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            vectors: [[0; 8]; 8],
            registers: [0; 6],
            rax: 0,
            r10: 0,
            index: 0,
            return_address: 0,
            stack: [0; STACK_WORDS],
            calls: 0,
        }
    }

    /// Argument word `i` as the System V ABI passes integers and pointers.
    #[must_use]
    pub fn word(&self, i: usize) -> u64 {
        if i < self.registers.len() {
            self.registers[i]
        } else {
            self.stack[i - self.registers.len()]
        }
    }
}

/// The value that the function with that index returns in rax: it differs in all 64 bits from function to
/// function, and the low byte and the low half are never zero, so that truncated or wrong values are detected.
#[must_use]
pub const fn answer(index: u64) -> u64 {
    // The multiplier of SplitMix64; it is odd, so the values of all indices differ.
    (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// The values that it returns in rdx, xmm0 and xmm1 (the low halves), which return what does not fit into rax:
/// C++ functions of the ABI return classes in two registers.
#[must_use]
pub const fn further_answers(index: u64) -> [u64; 3] {
    let rax = answer(index);
    [!rax, rax.rotate_left(8), rax.rotate_left(24)]
}

/// Name of the exported `const Record *(void)`: the calling thread's latest record.
pub const LATEST: &str = "probe_latest";
