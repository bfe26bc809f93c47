//! What the probe backend records of a call: its layout, and what a call answers.

/// Argument words that the record has of the stack: with the six registers, as many as the
/// function with the most parameters takes.
pub const STACK_WORDS: usize = 24;

/// Everything a caller can pass, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Record {
    /// Vector registers 0 to 7 at full width; what the machine does not have is zero.
    pub vectors: [[u64; 8]; 8],
    /// rdi, rsi, rdx, rcx, r8, r9.
    pub registers: [u64; 6],
    /// al holds the number of vector registers that a variadic call uses.
    pub rax: u64,
    /// The static chain.
    pub r10: u64,
    /// Index of the function in the table.
    pub index: u64,
    /// Where the call returns to.
    pub return_address: u64,
    /// What lies above the return address.
    pub stack: [u64; STACK_WORDS],
    /// Calls of this thread so far, this one included; 0: none yet.
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

/// What the function with that index answers in rax: all 64 bits differ from function to function,
/// and the low byte and low half are never zero, so that an answer cut short or made up is noticed.
#[must_use]
pub const fn answer(index: u64) -> u64 {
    // The multiplier of SplitMix64; odd, so no two indices answer alike.
    (index + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1
}

/// What it leaves in rdx, xmm0 and xmm1 (the low halves), where functions return what does not fit
/// into rax: C++ functions of the ABI return classes in two registers.
#[must_use]
pub const fn further_answers(index: u64) -> [u64; 3] {
    let rax = answer(index);
    [!rax, rax.rotate_left(8), rax.rotate_left(24)]
}

/// Name of the exported `const Record *(void)`: the calling thread's latest record.
pub const LATEST: &str = "probe_latest";
