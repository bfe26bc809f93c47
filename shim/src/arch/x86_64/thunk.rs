//! The table's entries while a trace is on: for each C function a thunk that loads its recipe's offset, and
//! for each number of arguments the code that these thunks share.
//!
//! Unlike a stub, the shared code calls: it has a frame of its own, into which it copies the arguments that
//! were on the stack. So it works only for functions whose arguments are all words and whose result is in
//! rax; according to the table these are the C functions except the two variadic ones. The frame has unwind
//! information, so exceptions and backtraces pass through it.
//!
//! The steps of nearly all calls are implemented here, in some hundred instructions: half of the time is
//! spent on reading the clock twice, and calling a Rust function for each step would double the cost.
//! Everything else is in `record`.

use super::{cancellation, thread_pointer::OFFSET};
use crate::{
    table::{ROUTING, Table, Target},
    trace::{
        Session,
        thunk::{self, captured, flags, recipe, session, thread},
    },
};
use rocblas_sync::routing::Routing;
use rocblas_trace::layout::{
    ARGUMENTS, BEGIN, END, HEAD, MIXER, Mode, NOTE, Note, RESULT, ROTATION, SEQUENCE,
};

/// Each thunk begins at a multiple of this, so that its address can be computed without a relocation.
const STRIDE: usize = 16;

/// Registers that hold arguments.
const REGISTERS: usize = 6;

macro_rules! thunks {
    ($(($index:literal $name:ident $count:literal))*) => {
        /// The thunks, one after the other, in the order of the functions.
        ///
        /// # Safety
        /// Only the stub of its function jumps to a thunk, with the arguments in place.
        #[unsafe(naked)]
        unsafe extern "C" fn heads() {
            core::arch::naked_asm!(
                ".cfi_startproc",
                $(concat!(
                    ".p2align 4, 0xcc\n",
                    "mov r11d, ", stringify!($index), " * {size}\n",
                    "jmp {f", stringify!($count), "}"
                ),)*
                ".cfi_endproc",
                // Uses every argument: a parameter count that no function has must not be an error.
                "# {f0} {f1} {f2} {f3} {f4} {f5} {f6} {f7} {f8} {f9} {f10} {f11} {f12} {f13} {f14}",
                "# {f15} {f16} {f17} {f18} {f19} {f20} {f21} {f22} {f23} {f24} {f25} {f26} {f27}",
                "# {f28} {f29} {f30}",
                size = const recipe::SIZE,
                f0 = sym traced::<0>,
                f1 = sym traced::<0>,
                f2 = sym traced::<0>,
                f3 = sym traced::<0>,
                f4 = sym traced::<0>,
                f5 = sym traced::<0>,
                f6 = sym traced::<0>,
                f7 = sym traced::<1>,
                f8 = sym traced::<2>,
                f9 = sym traced::<3>,
                f10 = sym traced::<4>,
                f11 = sym traced::<5>,
                f12 = sym traced::<6>,
                f13 = sym traced::<7>,
                f14 = sym traced::<8>,
                f15 = sym traced::<9>,
                f16 = sym traced::<10>,
                f17 = sym traced::<11>,
                f18 = sym traced::<12>,
                f19 = sym traced::<13>,
                f20 = sym traced::<14>,
                f21 = sym traced::<15>,
                f22 = sym traced::<16>,
                f23 = sym traced::<17>,
                f24 = sym traced::<18>,
                f25 = sym traced::<19>,
                f26 = sym traced::<20>,
                f27 = sym traced::<21>,
                f28 = sym traced::<22>,
                f29 = sym traced::<23>,
                f30 = sym traced::<24>,
            )
        }

        /// The indices of the functions that have a thunk, in order.
        static TRACED: &[u16] = &[$($index),*];
    };
}

rocblas_abi::for_each_typed_export!(thunks);

/// The thunks with the indices of their functions.
pub(crate) fn thunks() -> impl Iterator<Item = (usize, Target)> {
    // The symbol may be before the padding that aligns the first thunk.
    let first = (heads as *const () as usize).next_multiple_of(STRIDE);
    let thunk = move |rank: usize| Target((first + rank * STRIDE) as *const ());
    TRACED.iter().enumerate().map(move |(rank, index)| (usize::from(*index), thunk(rank)))
}

/// Bytes of a frame below rbx: the stack arguments for the function, then the arguments from registers, the
/// function, and the thread's cancelability. Together with the return address, rbp and rbx it is a multiple
/// of 16.
const fn frame(stack_words: usize) -> usize {
    let words = stack_words + REGISTERS + 2;
    8 * (words + 1 - words % 2)
}

/// Records a call of the function whose recipe is r11d bytes into the session's recipes. `STACK_WORDS` of
/// its arguments are on the stack.
///
/// The code is a straight line for the usual call: no other call is in flight in its thread, the function
/// needs no special handling, and the segment has room. Any other call branches at a numbered label to
/// `record::begin` or `record::end`, which do the same and handle the special cases.
///
/// **Exceptions** may be thrown by the function, and by the handler of a signal that arrives at any
/// instruction. Each part of the code has its own entry in the unwind tables, whose personality routine
/// knows how much of the record is complete at that point. Wherever there is such a routine, rbp is the
/// frame pointer. The other functions called from here are Rust's and libc's: a signal handler must not
/// throw while they run, as in any function that is not async-signal-safe.
///
/// **Cancellation** is disabled while anything but the function runs, see [`cancellation`].
///
/// # Safety
/// Only a thunk jumps here, with the caller's frame untouched.
#[unsafe(naked)]
unsafe extern "C" fn traced<const STACK_WORDS: usize>() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        ".cfi_offset rbx, -24",
        "sub rsp, {frame}",
        // rbx = this thread's state.
        "mov rax, qword ptr [rip + {offset}]",
        "test rax, rax",
        "jz 52f",
        "53:",
        "mov rbx, qword ptr fs:[rax]",
        "mov rax, qword ptr [rip + {routing} + {session}]",
        "test rbx, rbx",
        "jz 50f",
        "cmp rax, qword ptr [rbx + {thread_session}]",
        "jne 50f",
        "cmp qword ptr [rbx + {thread_sole}], 0",
        "jne 50f",
        // r11 = the recipe, r10 = the record, rax = the address of the next record.
        "add r11, qword ptr [rax + {session_recipes}]",
        "mov r10, qword ptr [rbx + {thread_cursor}]",
        "movzx eax, word ptr [r11 + {recipe_advance}]",
        "add rax, r10",
        "cmp rax, qword ptr [rbx + {thread_near}]",
        "ja 51f",
        "mov qword ptr [rbx + {thread_record}], r10",
        "inc qword ptr [rbx + {thread_sequence}]",
        ".cfi_endproc",
        // The record is being written: on an exception `withdraw` removes it.
        ".cfi_startproc",
        ".cfi_personality 0x1b, {withdraw}",
        ".cfi_def_cfa rbp, 16",
        ".cfi_offset rbp, -16",
        ".cfi_offset rbx, -24",
        "mov qword ptr [rbx + {thread_cursor}], rax",
        // Copies the arguments into the record, and those on the stack also into the frame; two at a time,
        // because stores dominate here.
        ".set rocblas_shim_word, 0",
        ".rept {stack_words} / 2",
        "movq xmm0, qword ptr [rbp + 16 + rocblas_shim_word]",
        "movhps xmm0, qword ptr [rbp + 24 + rocblas_shim_word]",
        "movups xmmword ptr [rsp + rocblas_shim_word], xmm0",
        "movups xmmword ptr [r10 + {arguments} + 48 + rocblas_shim_word], xmm0",
        ".set rocblas_shim_word, rocblas_shim_word + 16",
        ".endr",
        ".rept {stack_words} % 2",
        "mov rax, qword ptr [rbp + 16 + rocblas_shim_word]",
        "mov qword ptr [rsp + rocblas_shim_word], rax",
        "mov qword ptr [r10 + {arguments} + 48 + rocblas_shim_word], rax",
        ".endr",
        // Reading the clock waits for all instructions before it. The head's checksum needs the clock, so it
        // comes next and is computed while the rest of the record is stored.
        "mov qword ptr [r10 + {arguments} + 16], rdx",
        "mov qword ptr [r10 + {arguments} + 24], rcx",
        "mov rcx, qword ptr [rbx + {thread_sequence}]",
        "dec rcx",
        "mov qword ptr [r10 + {sequence_word}], rcx",
        "rol rcx, {rotation}",
        "xor rcx, qword ptr [r11 + {recipe_head}]",
        "rdtsc",
        "shl rdx, 32",
        "or rdx, rax",
        "mov qword ptr [r10 + {begin_word}], rdx",
        // `Head::checked`.
        "xor rdx, rcx",
        "movabs rax, {mixer}",
        "imul rdx, rax",
        "shr rdx, 48",
        "shl rdx, 48",
        "or rdx, qword ptr [r11 + {recipe_head}]",
        "mov qword ptr [r10 + {arguments} + 0], rdi",
        "mov qword ptr [r10 + {arguments} + 8], rsi",
        "mov qword ptr [r10 + {arguments} + 32], r8",
        "mov qword ptr [r10 + {arguments} + 40], r9",
        // The next head's address, which may now hold a saved register, is zeroed before this head is valid.
        "mov rax, qword ptr [rbx + {thread_cursor}]",
        "mov qword ptr [rax], 0",
        "mov qword ptr [r10 + {end_word}], 0",
        "mov qword ptr [r10 + {note_word}], 0",
        "mov qword ptr [r10 + {head_word}], rdx",
        "lea rax, [rbp + 16]",
        "mov qword ptr [rbx + {thread_sole}], rax",
        ".cfi_endproc",
        // The call is in flight: on an exception `leave` marks it as abandoned.
        ".cfi_startproc",
        ".cfi_personality 0x1b, {leave}",
        ".cfi_def_cfa rbp, 16",
        ".cfi_offset rbp, -16",
        ".cfi_offset rbx, -24",
        "test byte ptr [r11 + {recipe_flags}], {aside}",
        "jnz 30f",
        "cmp qword ptr [rbx + {thread_handle}], rdi",
        "jne 35f",
        "mov rdx, qword ptr [r10 + {arguments} + 16]",
        "mov rcx, qword ptr [r10 + {arguments} + 24]",
        "40:",
        "call qword ptr [r11 + {recipe_target}]",
        // Completes the record, if this is still the latest call and nothing was written since.
        "mov rcx, rax",
        "rdtsc",
        "mov r10, qword ptr [rbx + {thread_record}]",
        "lea r11, [rbp + 16]",
        "cmp r11, qword ptr [rbx + {thread_sole}]",
        "jne 60f",
        "41:",
        "mov qword ptr [rbx + {thread_sole}], 0",
        ".cfi_endproc",
        // No call is in flight, but the latest record is incomplete: on an exception `leave_latest` marks it.
        ".cfi_startproc",
        ".cfi_personality 0x1b, {leave_latest}",
        ".cfi_def_cfa rbp, 16",
        ".cfi_offset rbp, -16",
        ".cfi_offset rbx, -24",
        "mov qword ptr [r10 + {result_word}], rcx",
        "shl rdx, 32",
        "or rdx, rax",
        "mov qword ptr [r10 + {end_word}], rdx",
        ".cfi_endproc",
        ".cfi_startproc",
        ".cfi_def_cfa rbp, 16",
        ".cfi_offset rbp, -16",
        ".cfi_offset rbx, -24",
        "mov rax, rcx",
        "49:",
        "add rsp, {frame}",
        "pop rbx",
        ".cfi_restore rbx",
        "pop rbp",
        ".cfi_restore rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        ".cfi_startproc",
        ".cfi_personality 0x1b, {leave}",
        ".cfi_def_cfa rbp, 16",
        ".cfi_offset rbp, -16",
        ".cfi_offset rbx, -24",
        // Less common calls: with scalars, without a handle, or with special handling at the end. The recipe
        // is saved where the slow path saves the registers.
        "30:",
        "test byte ptr [r11 + {recipe_flags}], {has_scalars}",
        "jz 31f",
        "mov qword ptr [rsp + {registers}], r11",
        "mov dword ptr [rsp + {registers} + 8], -1",
        "mov rax, qword ptr [rbx + {thread_session}]",
        "mov rax, qword ptr [rax + {session_mode}]",
        "test rdi, rdi",
        "jz 38f",
        "test rax, rax",
        "jz 38f",
        "lea rsi, [rsp + {registers} + 8]",
        "call rax",
        "mov r11, qword ptr [rsp + {registers}]",
        "mov r10, qword ptr [rbx + {thread_record}]",
        "test eax, eax",
        "jnz 37f",
        // `scalars::capture` for one or two short scalars on the caller's stack.
        "cmp dword ptr [rsp + {registers} + 8], {host}",
        "jne 38f",
        "movzx eax, byte ptr [r11 + {recipe_plain}]",
        "test eax, eax",
        "jz 38f",
        "lea rcx, [rbp + 16]",
        "cmp rcx, qword ptr [rbx + {thread_lowest}]",
        "jb 38f",
        "mov rsi, qword ptr [rbx + {thread_highest}]",
        "lea rdi, [rip + {masks}]",
        ".set rocblas_shim_word, {recipe_at_entry}",
        ".rept 2",
        "movzx edx, byte ptr [r11 + rocblas_shim_word + {parameter}]",
        "mov rdx, qword ptr [r10 + rdx * 8 + {arguments}]",
        "cmp rdx, rcx",
        "jb 38f",
        "cmp rdx, rsi",
        "jae 38f",
        "movzx r8d, byte ptr [r11 + rocblas_shim_word + {size}]",
        "movzx r9d, byte ptr [r11 + rocblas_shim_word + {word}]",
        "mov rdx, qword ptr [rdx]",
        "and rdx, qword ptr [rdi + r8 * 8]",
        "mov qword ptr [r10 + r9 * 8], rdx",
        ".set rocblas_shim_word, rocblas_shim_word + {captured}",
        ".endr",
        "or eax, {of_host}",
        "mov qword ptr [r10 + {note_word}], rax",
        "31:",
        "test byte ptr [r11 + {recipe_flags}], {has_handle}",
        "jz 36f",
        "mov rdi, qword ptr [r10 + {arguments}]",
        "cmp qword ptr [rbx + {thread_handle}], rdi",
        "je 36f",
        // The handle differs from that of the latest call.
        "35:",
        "mov qword ptr [rbx + {thread_handle}], rdi",
        "mov rax, rdi",
        "shr rax, {recent_shift}",
        "and eax, {recent_mask}",
        "cmp rdi, qword ptr [rbx + {thread_recent} + rax * 8]",
        "je 36f",
        "mov qword ptr [rsp + {registers}], r11",
        "mov qword ptr [rsp + {registers} + 8], rdi",
        "lea rdi, [rsp + {cancel_state}]",
        "call {disable}",
        "mov rdi, qword ptr [rsp + {registers} + 8]",
        "mov rsi, rbx",
        "call {new_handle}",
        "lea rdi, [rsp + {cancel_state}]",
        "call {restore}",
        "mov r11, qword ptr [rsp + {registers}]",
        "mov r10, qword ptr [rbx + {thread_record}]",
        "36:",
        "mov rdi, qword ptr [r10 + {arguments} + 0]",
        "mov rsi, qword ptr [r10 + {arguments} + 8]",
        "mov rdx, qword ptr [r10 + {arguments} + 16]",
        "mov rcx, qword ptr [r10 + {arguments} + 24]",
        "mov r8, qword ptr [r10 + {arguments} + 32]",
        "mov r9, qword ptr [r10 + {arguments} + 40]",
        "test byte ptr [r11 + {recipe_flags}], {ends_specially} + {errors}",
        "jz 40b",
        // `errors` is the sign bit.
        "js 70f",
        "71:",
        "call qword ptr [r11 + {recipe_target}]",
        "jmp 59f",
        // Reads HIP's last error before the call, and again once the clock has been read after it.
        "70:",
        "mov qword ptr [rsp + {registers}], r11",
        "mov rax, qword ptr [rbx + {thread_session}]",
        "call qword ptr [rax + {session_peek}]",
        "mov r11, qword ptr [rsp + {registers}]",
        "mov r10, qword ptr [rbx + {thread_record}]",
        "movzx eax, ax",
        "shl rax, {error_before}",
        "or rax, {errors_are_read}",
        "or qword ptr [r10 + {note_word}], rax",
        "mov rdi, qword ptr [r10 + {arguments} + 0]",
        "mov rsi, qword ptr [r10 + {arguments} + 8]",
        "mov rdx, qword ptr [r10 + {arguments} + 16]",
        "mov rcx, qword ptr [r10 + {arguments} + 24]",
        "mov r8, qword ptr [r10 + {arguments} + 32]",
        "mov r9, qword ptr [r10 + {arguments} + 40]",
        "test byte ptr [r11 + {recipe_flags}], {ends_specially}",
        "jnz 71b",
        "call qword ptr [r11 + {recipe_target}]",
        "mov rcx, rax",
        "rdtsc",
        "lea r11, [rbp + 16]",
        "cmp r11, qword ptr [rbx + {thread_sole}]",
        "jne 60f",
        "mov qword ptr [rsp + {registers} + 0], rcx",
        "mov qword ptr [rsp + {registers} + 8], rax",
        "mov qword ptr [rsp + {registers} + 16], rdx",
        "mov rax, qword ptr [rbx + {thread_session}]",
        "call qword ptr [rax + {session_peek}]",
        "mov r10, qword ptr [rbx + {thread_record}]",
        "shl rax, {error_after}",
        "or qword ptr [r10 + {note_word}], rax",
        "mov rcx, qword ptr [rsp + {registers} + 0]",
        "mov rax, qword ptr [rsp + {registers} + 8]",
        "mov rdx, qword ptr [rsp + {registers} + 16]",
        "jmp 41b",
        // Other scalars, or a pointer mode that is not host, or none.
        "37:",
        "mov dword ptr [rsp + {registers} + 8], -1",
        "38:",
        "lea rdi, [rsp + {cancel_state}]",
        "call {disable}",
        "mov rdi, qword ptr [rbx + {thread_record}]",
        "lea rsi, [rbp + 16]",
        "mov rdx, rbx",
        "mov rcx, qword ptr [rsp + {registers}]",
        "mov r8d, dword ptr [rsp + {registers} + 8]",
        "call {scalars}",
        "lea rdi, [rsp + {cancel_state}]",
        "call {restore}",
        "mov r11, qword ptr [rsp + {registers}]",
        "mov r10, qword ptr [rbx + {thread_record}]",
        "jmp 31b",
        // The descriptor's function preserves every register but rax.
        "52:",
        "lea rax, [rip + rocblas_shim_thread@TLSDESC]",
        "call qword ptr [rax + rocblas_shim_thread@TLSCALL]",
        "jmp 53b",
        "51:",
        "mov rax, qword ptr [rbx + {thread_session}]",
        "sub r11, qword ptr [rax + {session_recipes}]",
        "50:",
        "mov qword ptr [rsp + {registers} + 0], rdi",
        "mov qword ptr [rsp + {registers} + 8], rsi",
        "mov qword ptr [rsp + {registers} + 16], rdx",
        "mov qword ptr [rsp + {registers} + 24], rcx",
        "mov qword ptr [rsp + {registers} + 32], r8",
        "mov qword ptr [rsp + {registers} + 40], r9",
        "mov ebx, r11d",
        "shr ebx, {recipe_shift}",
        "lea rdi, [rsp + {cancel_state}]",
        "call {disable}",
        "mov edi, ebx",
        "lea rsi, [rsp + {registers}]",
        "lea rdx, [rbp + 16]",
        "call {begin}",
        // The argument of `end`, null if it need not be called; and the function.
        "mov rbx, rax",
        "mov qword ptr [rsp + {target}], rdx",
        "lea rdi, [rsp + {cancel_state}]",
        "call {restore}",
        ".set rocblas_shim_word, 0",
        ".rept {stack_words}",
        "mov rax, qword ptr [rbp + 16 + rocblas_shim_word]",
        "mov qword ptr [rsp + rocblas_shim_word], rax",
        ".set rocblas_shim_word, rocblas_shim_word + 8",
        ".endr",
        "mov rdi, qword ptr [rsp + {registers} + 0]",
        "mov rsi, qword ptr [rsp + {registers} + 8]",
        "mov rdx, qword ptr [rsp + {registers} + 16]",
        "mov rcx, qword ptr [rsp + {registers} + 24]",
        "mov r8, qword ptr [rsp + {registers} + 32]",
        "mov r9, qword ptr [rsp + {registers} + 40]",
        "call qword ptr [rsp + {target}]",
        "test rbx, rbx",
        "jz 49b",
        "59:",
        "mov rcx, rax",
        "60:",
        "mov qword ptr [rsp + {registers}], rcx",
        "lea rdi, [rsp + {cancel_state}]",
        "call {disable}",
        "mov rdi, rbx",
        "mov rsi, qword ptr [rsp + {registers}]",
        "lea rdx, [rbp + 16]",
        "call {end}",
        "lea rdi, [rsp + {cancel_state}]",
        "call {restore}",
        "mov rax, qword ptr [rsp + {registers}]",
        "jmp 49b",
        ".cfi_endproc",
        frame = const frame(STACK_WORDS),
        registers = const STACK_WORDS * 8,
        target = const (STACK_WORDS + REGISTERS) * 8,
        cancel_state = const (STACK_WORDS + REGISTERS + 1) * 8,
        stack_words = const STACK_WORDS,
        offset = sym OFFSET,
        routing = sym ROUTING,
        session = const Routing::<Table, Session>::SESSION,
        session_recipes = const session::RECIPES,
        session_mode = const session::GET_POINTER_MODE,
        session_peek = const session::PEEK,
        thread_session = const thread::SESSION,
        thread_lowest = const thread::LOWEST,
        thread_highest = const thread::HIGHEST,
        thread_sole = const thread::SOLE,
        thread_cursor = const thread::CURSOR,
        thread_near = const thread::NEAR,
        thread_sequence = const thread::SEQUENCE,
        thread_record = const thread::RECORD,
        thread_handle = const thread::HANDLE,
        thread_recent = const thread::RECENT_HANDLES,
        recent_shift = const thunk::RECENT_SHIFT,
        recent_mask = const thunk::RECENT_COUNT - 1,
        recipe_shift = const recipe::SIZE.trailing_zeros(),
        recipe_advance = const recipe::ADVANCE,
        recipe_plain = const recipe::PLAIN,
        recipe_at_entry = const recipe::AT_ENTRY,
        recipe_flags = const recipe::FLAGS,
        recipe_head = const recipe::HEAD,
        recipe_target = const recipe::TARGET,
        captured = const captured::SIZE,
        parameter = const captured::PARAMETER,
        word = const captured::WORD,
        size = const captured::LENGTH,
        masks = sym MASKS,
        host = const thunk::HOST,
        of_host = const (Mode::Host as u64) << Note::MODE,
        aside = const flags::ASIDE,
        ends_specially = const flags::ENDS_SPECIALLY,
        errors = const flags::ERRORS,
        errors_are_read = const Note::ERRORS,
        error_before = const Note::ERROR_BEFORE,
        error_after = const Note::ERROR_AFTER,
        has_handle = const flags::HANDLE,
        has_scalars = const flags::SCALARS,
        head_word = const HEAD * 8,
        sequence_word = const SEQUENCE * 8,
        begin_word = const BEGIN * 8,
        end_word = const END * 8,
        result_word = const RESULT * 8,
        note_word = const NOTE * 8,
        arguments = const ARGUMENTS * 8,
        rotation = const ROTATION,
        mixer = const MIXER,
        withdraw = sym thunk::withdraw,
        leave = sym thunk::leave,
        leave_latest = sym thunk::leave_latest,
        disable = sym cancellation::disable,
        restore = sym cancellation::restore,
        begin = sym thunk::begin,
        scalars = sym thunk::scalars_of_latest,
        new_handle = sym thunk::handle_of_latest,
        end = sym thunk::end,
    )
}

/// The mask of a scalar's bytes in a word, by the scalar's length in bytes.
static MASKS: [u64; 9] = [
    0,
    0xff,
    0xffff,
    0xff_ffff,
    u32::MAX as u64,
    0xff_ffff_ffff,
    u64::MAX >> 16,
    u64::MAX >> 8,
    u64::MAX,
];

const _: () = assert!(recipe::SIZE.is_power_of_two());

const _: () = assert!(thunk::RECENT_COUNT.is_power_of_two());

// The assembly tests the sign bit of a byte, and extracts 16 bits by a shift alone.
const _: () = assert!(flags::ERRORS == 0x80 && Note::ERROR_AFTER == 48);

// The assembly copies the bits of a recipe's plain scalars into a note unchanged.
const _: () = assert!(Note::ENTRY == 0);

#[cfg(test)]
mod tests {
    use super::*;
    use rocblas_abi::{Kind, c_exports};

    #[test]
    fn every_typed_function_has_its_own_thunk() {
        let thunks: Vec<(usize, Target)> = thunks().collect();
        let typed = c_exports().iter().filter(|f| f.kind == Kind::C);
        assert!(typed.map(|f| usize::from(f.index)).eq(thunks.iter().map(|(index, _)| *index)));
        for (index, Target(thunk)) in thunks {
            // SAFETY: the code of this very program.
            let code = unsafe { core::slice::from_raw_parts(thunk.cast::<u8>(), 6) };
            // mov r11d, imm32
            assert_eq!(code[..2], [0x41, 0xbb], "{index}");
            let offset = index * recipe::SIZE;
            assert_eq!(code[2..], (offset as u32).to_le_bytes(), "{index}");
        }
    }

    #[test]
    fn frames_keep_the_stack_aligned() {
        for words in 0..=24 {
            assert_eq!((8 + 8 + 8 + frame(words)) % 16, 0, "{words}");
            assert!(frame(words) >= (words + REGISTERS + 2) * 8);
        }
    }
}
