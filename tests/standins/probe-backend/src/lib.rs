//! A rocBLAS that computes nothing: every function records its raw argument words and returns a
//! value derived from its index, so that a test can check the arguments, the function and the result.

use core::cell::UnsafeCell;
use probe_record::{Record, STACK_WORDS, answer};

macro_rules! functions {
    ($(($index:literal $name:ident))*) => {
        $(
            #[allow(non_snake_case, reason = "a mangled C++ name")]
            #[unsafe(naked)]
            #[unsafe(no_mangle)]
            unsafe extern "C" fn $name() {
                core::arch::naked_asm!(
                    "mov r11d, {index}",
                    "jmp {record}",
                    index = const $index,
                    record = sym record,
                )
            }
        )*
    };
}

rocblas_abi::for_each_export!(functions);
rocblas_abi::for_each_removed!(functions);

/// The vtable that a client imports: recognisable bytes.
#[allow(non_upper_case_globals, reason = "a mangled C++ name")]
#[unsafe(no_mangle)]
static _ZTV24rocblas_internal_ostream: [u64; 4] =
    [0x1111_1111_1111_1111, 0x2222_2222_2222_2222, 0x3333_3333_3333_3333, 0x4444_4444_4444_4444];

const GENERALS: usize = 64 * 8;

/// Stores all registers on the stack as the head of a [`Record`] and passes it to [`keep`].
///
/// # Safety
/// Only exported functions jump here, with their index in r11d.
#[unsafe(naked)]
unsafe extern "C" fn record() {
    core::arch::naked_asm!(
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        "sub rsp, {frame}",
        "and rsp, -64",
        "mov qword ptr [rsp + {generals} + 0], rdi",
        "mov qword ptr [rsp + {generals} + 8], rsi",
        "mov qword ptr [rsp + {generals} + 16], rdx",
        "mov qword ptr [rsp + {generals} + 24], rcx",
        "mov qword ptr [rsp + {generals} + 32], r8",
        "mov qword ptr [rsp + {generals} + 40], r9",
        "mov qword ptr [rsp + {generals} + 48], rax",
        "mov qword ptr [rsp + {generals} + 56], r10",
        "mov eax, r11d",
        "mov qword ptr [rsp + {generals} + 64], rax",
        "mov rax, qword ptr [rbp + 8]",
        "mov qword ptr [rsp + {generals} + 72], rax",
        // The width of the vector registers: XCR0.
        "mov eax, 1",
        "xor ecx, ecx",
        "cpuid",
        "xor eax, eax",
        "bt ecx, 27",
        "jnc 20f",
        "xor ecx, ecx",
        "xgetbv",
        "20:",
        "mov ecx, eax",
        "and ecx, 0xe6",
        "cmp ecx, 0xe6",
        "je 23f",
        "and ecx, 6",
        "cmp ecx, 6",
        "je 22f",
        "movups xmmword ptr [rsp + 0], xmm0",
        "movups xmmword ptr [rsp + 64], xmm1",
        "movups xmmword ptr [rsp + 128], xmm2",
        "movups xmmword ptr [rsp + 192], xmm3",
        "movups xmmword ptr [rsp + 256], xmm4",
        "movups xmmword ptr [rsp + 320], xmm5",
        "movups xmmword ptr [rsp + 384], xmm6",
        "movups xmmword ptr [rsp + 448], xmm7",
        "mov esi, 16",
        "jmp 24f",
        "22:",
        "vmovups ymmword ptr [rsp + 0], ymm0",
        "vmovups ymmword ptr [rsp + 64], ymm1",
        "vmovups ymmword ptr [rsp + 128], ymm2",
        "vmovups ymmword ptr [rsp + 192], ymm3",
        "vmovups ymmword ptr [rsp + 256], ymm4",
        "vmovups ymmword ptr [rsp + 320], ymm5",
        "vmovups ymmword ptr [rsp + 384], ymm6",
        "vmovups ymmword ptr [rsp + 448], ymm7",
        "mov esi, 32",
        "jmp 24f",
        "23:",
        "vmovups zmmword ptr [rsp + 0], zmm0",
        "vmovups zmmword ptr [rsp + 64], zmm1",
        "vmovups zmmword ptr [rsp + 128], zmm2",
        "vmovups zmmword ptr [rsp + 192], zmm3",
        "vmovups zmmword ptr [rsp + 256], zmm4",
        "vmovups zmmword ptr [rsp + 320], zmm5",
        "vmovups zmmword ptr [rsp + 384], zmm6",
        "vmovups zmmword ptr [rsp + 448], zmm7",
        "mov esi, 64",
        "24:",
        "mov rdi, rsp",
        "lea rdx, [rbp + 16]",
        "call {keep}",
        "mov rcx, rax",
        "rol rcx, 8",
        "movq xmm0, rcx",
        "rol rcx, 16",
        "movq xmm1, rcx",
        "mov rdx, rax",
        "not rdx",
        "lea rsp, [rbp - 8]",
        "pop rbx",
        "pop rbp",
        ".cfi_def_cfa rsp, 8",
        "ret",
        ".cfi_endproc",
        frame = const size_of::<Record>(),
        generals = const GENERALS,
        keep = sym keep,
    )
}

struct Latest(UnsafeCell<Record>);

thread_local! {
    static LATEST: Latest = const { Latest(UnsafeCell::new(Record::empty())) };
}

/// # Safety
/// `head` is a record whose fields up to the return address are set; `stack` is the caller's.
unsafe extern "C" fn keep(head: *const Record, width: usize, stack: *const u64) -> u64 {
    LATEST.with(|latest| {
        // SAFETY: this thread's own record; no reference into it is held while a call runs.
        let latest = unsafe { &mut *latest.0.get() };
        let calls = latest.calls + 1;
        // SAFETY: the fields read here are set, by contract; the rest are plain words too.
        let head = unsafe { &*head };
        *latest = Record { stack: latest.stack, calls, ..head.clone() };
        for vector in &mut latest.vectors {
            vector[width / 8..].fill(0);
        }
        for i in 0..STACK_WORDS {
            // SAFETY: callers of the probe have a frame at least this large above the call.
            latest.stack[i] = unsafe { stack.add(i).read() };
        }
        answer(latest.index)
    })
}

#[unsafe(no_mangle)]
extern "C" fn probe_latest() -> *const Record {
    LATEST.with(|latest| latest.0.get().cast_const())
}
