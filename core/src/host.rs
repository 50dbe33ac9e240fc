//! Registers of the physical processor, for the vendors' crates.

use core::arch::asm;
use core::marker::PhantomData;

use crate::interrupt_entries;
use crate::pin::CpuPin;
use crate::register::Rflags;
use crate::segment::DescriptorTable;

/// The physical processor that the holder is pinned to.
///
/// Reading its registers is safe, since [`CpuPin`] promises privilege level 0. Writing them is not.
#[derive(Clone, Copy, Debug)]
pub struct Host<'p> {
    _pinned: PhantomData<(&'p (), *mut ())>,
}

/// Defines methods that read and write a register by MOV.
macro_rules! mov {
    ($($(#[$doc:meta])* $read:ident $(, $write:ident)? = $register:literal;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            #[expect(unsafe_code, reason = "reads a privileged register")]
            #[inline]
            pub fn $read(self) -> u64 {
                let value;
                // SAFETY: `CpuPin` promises privilege level 0; the instruction has no other effect.
                unsafe { asm!(concat!("mov {}, ", $register), out(reg) value, options(nomem, nostack, preserves_flags)) };
                value
            }

            $(
                #[doc = concat!("Sets ", $register, ".")]
                ///
                /// # Safety
                ///
                /// The host works with the new value, and the processor supports it.
                #[expect(unsafe_code, reason = "writes a privileged register")]
                #[inline]
                pub unsafe fn $write(self, value: u64) {
                    // SAFETY: `CpuPin` promises privilege level 0; the caller promises that the value is right.
                    unsafe { asm!(concat!("mov ", $register, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
                }
            )?
        )*
    };
}

impl<'p> Host<'p> {
    /// The processor that `pin` proves the holder to be on.
    #[must_use]
    #[inline]
    pub fn new<P: CpuPin + ?Sized>(_pin: &'p P) -> Self {
        Self { _pinned: PhantomData }
    }

    mov! {
        /// CR0, with all bits.
        cr0, set_cr0 = "cr0";
        /// CR2.
        cr2, set_cr2 = "cr2";
        /// CR3, with its low bits.
        cr3 = "cr3";
        /// CR4, with all bits.
        cr4, set_cr4 = "cr4";
        /// DR0.
        dr0, set_dr0 = "dr0";
        /// DR1.
        dr1, set_dr1 = "dr1";
        /// DR2.
        dr2, set_dr2 = "dr2";
        /// DR3.
        dr3, set_dr3 = "dr3";
        /// DR6.
        dr6, set_dr6 = "dr6";
        /// DR7.
        dr7, set_dr7 = "dr7";
    }

    /// The MSR `msr`.
    ///
    /// # Safety
    ///
    /// The processor has the MSR, and reading it has no effect that the host does not want.
    #[must_use]
    #[expect(unsafe_code, reason = "not every processor has every MSR")]
    #[inline]
    pub unsafe fn msr(self, msr: u32) -> u64 {
        // SAFETY: `CpuPin` promises privilege level 0, the caller that the MSR exists.
        unsafe { x86::msr::rdmsr(msr) }
    }

    /// Sets the MSR `msr`.
    ///
    /// # Safety
    ///
    /// The processor has the MSR and takes the value, and the host works with it.
    #[expect(unsafe_code, reason = "writes a privileged register")]
    #[inline]
    pub unsafe fn set_msr(self, msr: u32, value: u64) {
        // SAFETY: `CpuPin` promises privilege level 0, the caller that the MSR takes the value.
        unsafe { x86::msr::wrmsr(msr, value) };
    }

    /// The time-stamp counter, as the processor reads it among the instructions around.
    #[must_use]
    #[expect(unsafe_code, reason = "RDTSC")]
    #[inline]
    pub fn tsc(self) -> u64 {
        // SAFETY: CR4.TSD does not apply to privilege level 0, which `CpuPin` promises; the instruction has no other effect.
        unsafe { x86::time::rdtsc() }
    }

    /// FS base.
    #[must_use]
    #[expect(unsafe_code, reason = "reads a privileged register")]
    #[inline]
    pub fn fs_base(self) -> u64 {
        if self.has_fsgsbase() {
            let base;
            // SAFETY: CR4.FSGSBASE is set.
            unsafe { asm!("rdfsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
            base
        } else {
            // SAFETY: every processor with 64-bit mode, which `CpuPin` promises, has the MSR.
            unsafe { self.msr(x86::msr::IA32_FS_BASE) }
        }
    }

    /// GS base.
    #[must_use]
    #[expect(unsafe_code, reason = "reads a privileged register")]
    #[inline]
    pub fn gs_base(self) -> u64 {
        if self.has_fsgsbase() {
            let base;
            // SAFETY: CR4.FSGSBASE is set.
            unsafe { asm!("rdgsbase {}", out(reg) base, options(nomem, nostack, preserves_flags)) };
            base
        } else {
            // SAFETY: every processor with 64-bit mode, which `CpuPin` promises, has the MSR.
            unsafe { self.msr(x86::msr::IA32_GS_BASE) }
        }
    }

    /// FS and GS base, with CR4 as it is.
    #[must_use]
    #[expect(unsafe_code, reason = "reads privileged registers")]
    #[inline]
    pub fn segment_bases(self, cr4: crate::register::Cr4) -> (u64, u64) {
        if !cr4.fsgsbase() {
            return (self.fs_base(), self.gs_base());
        }
        let (fs, gs);
        // SAFETY: CR4.FSGSBASE is set.
        unsafe {
            asm!("rdfsbase {}", "rdgsbase {}", out(reg) fs, out(reg) gs, options(nomem, nostack, preserves_flags))
        };
        (fs, gs)
    }

    /// Whether FS and GS base can be read without an MSR.
    #[must_use]
    #[inline]
    pub fn has_fsgsbase(self) -> bool {
        crate::register::Cr4::from(self.cr4()).fsgsbase()
    }

    /// XCR0. The caller has checked CR4.OSXSAVE.
    ///
    /// # Safety
    ///
    /// CR4.OSXSAVE is 1.
    #[must_use]
    #[expect(unsafe_code, reason = "needs CR4.OSXSAVE")]
    #[inline]
    pub unsafe fn xcr0(self) -> u64 {
        let (low, high): (u32, u32);
        // SAFETY: the caller promises CR4.OSXSAVE; XCR0 exists wherever XGETBV does.
        unsafe {
            asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags));
        }
        u64::from(high) << 32 | u64::from(low)
    }

    /// GDTR.
    #[must_use]
    #[expect(unsafe_code, reason = "reads a privileged register")]
    #[inline]
    pub fn gdtr(self) -> DescriptorTable {
        let mut image = TableImage::default();
        // SAFETY: SGDT stores ten bytes, the size of the image.
        unsafe { asm!("sgdt [{}]", in(reg) &raw mut image, options(nostack, preserves_flags)) };
        image.into()
    }

    /// IDTR.
    #[must_use]
    #[expect(unsafe_code, reason = "reads a privileged register")]
    #[inline]
    pub fn idtr(self) -> DescriptorTable {
        let mut image = TableImage::default();
        // SAFETY: SIDT stores ten bytes, the size of the image.
        unsafe { asm!("sidt [{}]", in(reg) &raw mut image, options(nostack, preserves_flags)) };
        image.into()
    }

    /// Loads GDTR.
    ///
    /// # Safety
    ///
    /// `table` is the host's global descriptor table.
    #[expect(unsafe_code, reason = "writes a privileged register")]
    #[inline]
    pub unsafe fn set_gdtr(self, table: DescriptorTable) {
        let image = TableImage::from(table);
        // SAFETY: the caller promises that the table is the host's.
        unsafe { asm!("lgdt [{}]", in(reg) &raw const image, options(readonly, nostack, preserves_flags)) };
    }

    /// Loads IDTR.
    ///
    /// # Safety
    ///
    /// `table` is the host's interrupt descriptor table.
    #[expect(unsafe_code, reason = "writes a privileged register")]
    #[inline]
    pub unsafe fn set_idtr(self, table: DescriptorTable) {
        let image = TableImage::from(table);
        // SAFETY: the caller promises that the table is the host's.
        unsafe { asm!("lidt [{}]", in(reg) &raw const image, options(readonly, nostack, preserves_flags)) };
    }

    /// Calls the host's handler of non-maskable interrupts. Its IRET also ends the blocking of NMIs.
    ///
    /// Intel SDM vol. 3, section 30.5.5, "Updating Non-Register State".
    ///
    /// # Safety
    ///
    /// An NMI was taken off the processor without its handler having run.
    #[expect(unsafe_code, reason = "runs a handler of the host")]
    pub unsafe fn call_nmi_handler(self) {
        // SAFETY: `CpuPin` promises a handler, on a stack of its own, so that the red zone is left alone, which returns by
        // IRET and keeps all registers. The caller promises that it is due.
        unsafe { asm!("int 2") };
    }

    /// Calls the host's handler of machine checks.
    ///
    /// # Safety
    ///
    /// A machine check was taken off the processor without its handler having run.
    #[expect(unsafe_code, reason = "runs a handler of the host")]
    pub unsafe fn call_machine_check_handler(self) {
        // SAFETY: as for NMIs.
        unsafe { asm!("int 18") };
    }

    /// Calls the host's handler of the interrupt `vector`, as the interrupt would have.
    ///
    /// # Safety
    ///
    /// The interrupt was acknowledged without its handler having run, and the host lets it run now.
    #[expect(unsafe_code, reason = "runs a handler of the host")]
    pub unsafe fn call_interrupt_handler(self, vector: u8) {
        // SAFETY: privilege level 0, which `CpuPin` promises; the rest is the caller's promise.
        unsafe { interrupt_entries::call(vector) };
    }

    /// Disables interrupts until the guard is dropped, which restores RFLAGS.
    #[must_use]
    #[expect(unsafe_code, reason = "changes RFLAGS.IF")]
    #[inline]
    pub fn disable_interrupts(self) -> InterruptsDisabled {
        let rflags: u64;
        // SAFETY: the stack is balanced; CLI is allowed at privilege level 0, which `CpuPin` promises.
        unsafe { asm!("pushfq", "pop {}", "cli", out(reg) rflags) };
        InterruptsDisabled { rflags, _here: PhantomData }
    }
}

/// Disables interrupts. Dropping it makes RFLAGS as they were, but for the status flags: guards are dropped in the reverse order of
/// their making.
#[derive(Debug)]
pub struct InterruptsDisabled {
    rflags: u64,
    _here: PhantomData<*mut ()>,
}

/// Flags that code changes all the time, the bit that is always 1, and IF.
const USUAL_FLAGS: u64 = 0xad7;

impl Drop for InterruptsDisabled {
    #[expect(unsafe_code, reason = "changes RFLAGS")]
    #[inline]
    fn drop(&mut self) {
        if self.rflags & !USUAL_FLAGS != 0 {
            restore_flags(self.rflags);
        } else if Rflags::from(self.rflags).r#if() {
            // SAFETY: interrupts were enabled before the guard was made, on this processor (the guard is not `Send`).
            unsafe { asm!("sti") };
        }
    }
}

/// Sets RFLAGS, of which the host has AC, IOPL or the like set: a VM exit has cleared them.
#[cold]
#[expect(unsafe_code, reason = "changes RFLAGS")]
fn restore_flags(rflags: u64) {
    // SAFETY: the stack is balanced; the flags are those that the processor had when the guard was made, so that DF is 0.
    unsafe { asm!("push {}", "popfq", in(reg) rflags) };
}

/// What SGDT stores and LGDT loads.
///
/// Intel SDM vol. 3, section 3.5.1, "Segment Descriptor Tables".
#[derive(Clone, Copy, Default)]
#[repr(C)]
struct TableImage {
    limit: u16,
    base: [u16; 4],
}

static_assertions::const_assert_eq!(size_of::<TableImage>(), 10);

impl From<TableImage> for DescriptorTable {
    fn from(image: TableImage) -> Self {
        let base = image.base.iter().rev().fold(0, |base, &part| base << 16 | u64::from(part));
        Self { base, limit: image.limit }
    }
}

impl From<DescriptorTable> for TableImage {
    fn from(table: DescriptorTable) -> Self {
        let [a, b, c, d, e, f, g, h] = table.base.to_le_bytes();
        let word = |low, high| u16::from_le_bytes([low, high]);
        Self { limit: table.limit, base: [word(a, b), word(c, d), word(e, f), word(g, h)] }
    }
}

#[cfg(test)]
mod tests {
    use super::TableImage;
    use crate::segment::DescriptorTable;

    #[test]
    fn a_table_image_keeps_base_and_limit() {
        let table = DescriptorTable { base: 0xffff_8123_4567_89ab, limit: 0x1ff };
        let image = TableImage::from(table);
        assert_eq!(image.base, [0x89ab, 0x4567, 0x8123, 0xffff]);
        assert_eq!(DescriptorTable::from(image), table);
    }
}
