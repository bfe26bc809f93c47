//! Handles a call that has no function to jump to yet: saves every argument register, asks
//! [`crate::init`] for the target, restores the registers and jumps.
//!
//! A caller may have arguments in rdi, rsi, rdx, rcx, r8, r9, in the vector registers 0 to 7 at
//! their full width, a count of them in al (variadics), and a static chain in r10. The stack above
//! the return address belongs to the caller and is not moved. CPUID is queried for xmm, ymm and zmm
//! on every call: this path serves first calls and failures, where a microsecond does not matter, and
//! it must work before any initialisation of the shim has run.
//!
//! A first call opens and reads files, which are cancellation points. A thread cancelled there would
//! leave locks of the loader and of the shim held, so cancellation is disabled for the duration.

use super::cancellation;
use crate::{init, route::Registers};

/// Bytes saved for one vector register: a whole zmm.
const VECTOR: usize = 64;
const VECTORS: usize = 8;
/// rax, rdi, rsi, rdx, rcx, r8, r9, r10.
const GENERALS: usize = 8 * 8;
/// Below rbp, rbx and r12: the cancelability, the general registers, then the vectors; the rest is padding.
const FRAME: usize = VECTOR * VECTORS + GENERALS + cancellation::SIZE;

/// CPUID.1:ECX.OSXSAVE: `xgetbv` exists and reports what the kernel saves.
const OSXSAVE_BIT: u32 = 27;
/// XCR0: xmm and ymm; with opmask, the upper halves of zmm0-15, and zmm16-31.
const XCR0_YMM: u32 = 0b0000_0110;
const XCR0_ZMM: u32 = 0b1110_0110;

/// Finds the function of the export with the index in r11d and jumps to it.
///
/// # Safety
/// Only cold table entries jump here, with the export's index in r11d and the caller's frame
/// untouched.
#[unsafe(naked)]
pub(super) unsafe extern "C" fn enter() {
    core::arch::naked_asm!(
        // CFI, so that a backtrace taken during initialisation includes the caller.
        ".cfi_startproc",
        "push rbp",
        ".cfi_def_cfa_offset 16",
        ".cfi_offset rbp, -16",
        "mov rbp, rsp",
        ".cfi_def_cfa_register rbp",
        "push rbx",
        ".cfi_offset rbx, -24",
        "push r12",
        ".cfi_offset r12, -32",
        "sub rsp, {frame}",
        "and rsp, -64",
        "mov qword ptr [rsp + {vectors} + 0], rax",
        "mov qword ptr [rsp + {vectors} + 8], rdi",
        "mov qword ptr [rsp + {vectors} + 16], rsi",
        "mov qword ptr [rsp + {vectors} + 24], rdx",
        "mov qword ptr [rsp + {vectors} + 32], rcx",
        "mov qword ptr [rsp + {vectors} + 40], r8",
        "mov qword ptr [rsp + {vectors} + 48], r9",
        "mov qword ptr [rsp + {vectors} + 56], r10",
        // r12d = the width of the vector registers: XCR0, or 0 if the processor has none.
        "xor r12d, r12d",
        "mov eax, 1",
        "xor ecx, ecx",
        "cpuid",
        "bt ecx, {osxsave}",
        "jnc 20f",
        "xor ecx, ecx",
        "xgetbv",
        "mov r12d, eax",
        "20:",
        "mov eax, r12d",
        "and eax, {zmm}",
        "cmp eax, {zmm}",
        "je 23f",
        "and eax, {ymm}",
        "cmp eax, {ymm}",
        "je 22f",
        // The slots are spaced for full-width registers at every width.
        "movups xmmword ptr [rsp + 0], xmm0",
        "movups xmmword ptr [rsp + 64], xmm1",
        "movups xmmword ptr [rsp + 128], xmm2",
        "movups xmmword ptr [rsp + 192], xmm3",
        "movups xmmword ptr [rsp + 256], xmm4",
        "movups xmmword ptr [rsp + 320], xmm5",
        "movups xmmword ptr [rsp + 384], xmm6",
        "movups xmmword ptr [rsp + 448], xmm7",
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
        "24:",
        "mov ebx, r11d",
        "lea rdi, [rsp + {vectors} + {generals}]",
        "call {disable}",
        "mov edi, ebx",
        "lea rsi, [rsp + {vectors}]",
        "call {target}",
        "mov rbx, rax",
        "lea rdi, [rsp + {vectors} + {generals}]",
        "call {restore}",
        "mov r11, rbx",
        "mov eax, r12d",
        "and eax, {zmm}",
        "cmp eax, {zmm}",
        "je 33f",
        "and eax, {ymm}",
        "cmp eax, {ymm}",
        "je 32f",
        "movups xmm0, xmmword ptr [rsp + 0]",
        "movups xmm1, xmmword ptr [rsp + 64]",
        "movups xmm2, xmmword ptr [rsp + 128]",
        "movups xmm3, xmmword ptr [rsp + 192]",
        "movups xmm4, xmmword ptr [rsp + 256]",
        "movups xmm5, xmmword ptr [rsp + 320]",
        "movups xmm6, xmmword ptr [rsp + 384]",
        "movups xmm7, xmmword ptr [rsp + 448]",
        "jmp 34f",
        "32:",
        "vmovups ymm0, ymmword ptr [rsp + 0]",
        "vmovups ymm1, ymmword ptr [rsp + 64]",
        "vmovups ymm2, ymmword ptr [rsp + 128]",
        "vmovups ymm3, ymmword ptr [rsp + 192]",
        "vmovups ymm4, ymmword ptr [rsp + 256]",
        "vmovups ymm5, ymmword ptr [rsp + 320]",
        "vmovups ymm6, ymmword ptr [rsp + 384]",
        "vmovups ymm7, ymmword ptr [rsp + 448]",
        "jmp 34f",
        "33:",
        "vmovups zmm0, zmmword ptr [rsp + 0]",
        "vmovups zmm1, zmmword ptr [rsp + 64]",
        "vmovups zmm2, zmmword ptr [rsp + 128]",
        "vmovups zmm3, zmmword ptr [rsp + 192]",
        "vmovups zmm4, zmmword ptr [rsp + 256]",
        "vmovups zmm5, zmmword ptr [rsp + 320]",
        "vmovups zmm6, zmmword ptr [rsp + 384]",
        "vmovups zmm7, zmmword ptr [rsp + 448]",
        "34:",
        "mov rax, qword ptr [rsp + {vectors} + 0]",
        "mov rdi, qword ptr [rsp + {vectors} + 8]",
        "mov rsi, qword ptr [rsp + {vectors} + 16]",
        "mov rdx, qword ptr [rsp + {vectors} + 24]",
        "mov rcx, qword ptr [rsp + {vectors} + 32]",
        "mov r8, qword ptr [rsp + {vectors} + 40]",
        "mov r9, qword ptr [rsp + {vectors} + 48]",
        "mov r10, qword ptr [rsp + {vectors} + 56]",
        "lea rsp, [rbp - 16]",
        "pop r12",
        ".cfi_restore r12",
        "pop rbx",
        ".cfi_restore rbx",
        "pop rbp",
        ".cfi_restore rbp",
        ".cfi_def_cfa rsp, 8",
        "jmp r11",
        ".cfi_endproc",
        frame = const FRAME,
        vectors = const VECTOR * VECTORS,
        osxsave = const OSXSAVE_BIT,
        ymm = const XCR0_YMM,
        zmm = const XCR0_ZMM,
        generals = const GENERALS,
        disable = sym cancellation::disable,
        restore = sym cancellation::restore,
        target = sym target,
    )
}

/// The address to jump to for the export with that index. Never null, never a cold entry.
///
/// # Safety
/// `registers` points to the saved registers of the call.
unsafe extern "C" fn target(index: u32, registers: *const Registers) -> *const () {
    // SAFETY: by contract.
    init::target(index as usize, unsafe { &*registers }).0
}
