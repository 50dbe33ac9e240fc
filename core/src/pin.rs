//! Proof that a context stays on one processor.

/// A token whose existence means that the context that holds it stays on one processor, under the rules below.
///
/// Bare-metal code that never migrates has nothing to do but to implement it. A kernel whose threads migrate implements it for
/// what belongs to one processor, and lets only code that is kept on that processor have it: with preemption disabled for
/// as long as a virtual processor is loaded.
///
/// # Safety
///
/// For as long as the value lives, the implementor promises:
///
/// - the code that holds it runs at privilege level 0, in 64-bit mode, on one logical processor, and only there;
/// - nothing else on that processor enters or leaves VMX operation, changes EFER.SVME or the host save area, or executes
///   VMX or SVM instructions;
/// - CR4.VMXE does not change on that processor while a root exists;
/// - while a virtual processor is loaded on it, these do not change: GDT, IDT, TR, LDTR and the segment registers; STAR, LSTAR,
///   CSTAR, SFMASK, KERNEL_GS_BASE, the SYSENTER MSRs, PAT, EFER, DEBUGCTL, IA32_XSS, SPEC_CTRL, TSC_AUX. CR0, CR3, the rest of
///   CR4, FS and GS base and the debug registers may change between two runs, and bits may be added to XCR0, but not taken from it;
/// - CR0.TS and CR0.EM are 0 while a guest is entered, unless the guest state for the FPU is not switched; EFER.FFXSR is 0
///   if CR4.OSXSAVE is;
/// - the host does not depend on CR2 after a run, as a page-fault handler would that a run interrupts;
/// - if CR4.PKE is 1, the host's own memory is in supervisor pages, to which the guest's PKRU does not apply;
/// - handlers of non-maskable interrupts and machine checks exist and run on a stack of their own (IST), keep CR2, the
///   debug registers, XCR0 and all x87, SSE and AVX state as they find it, use no state that XCR0 may have disabled and
///   none of STAR, LSTAR, CSTAR and SFMASK, tell from the GS base and not from the interrupted privilege level alone
///   whether it is the host's, and do not use the library.
#[expect(unsafe_code, reason = "unsafe code trusts the implementor")]
pub unsafe trait CpuPin {}
