//! Registers of the virtual APIC, and what AVIC does at accesses to them.

use core::fmt;

use x86_virt_core::codes;

codes! {
    /// A register of the virtual APIC: its offset in the backing page.
    ///
    /// AMD APM vol. 2, section 15.29.3.1, "Virtual APIC Register Accesses", and section 15.36.21, "Secure AVIC".
    ///
    /// ```
    /// use x86_virt_svm::{AvicRegister, AvicWrite};
    ///
    /// assert_eq!(AvicRegister::from_bits(0x320), AvicRegister::LVT_TIMER);
    /// assert_eq!(AvicRegister::LVT_TIMER.write(), AvicWrite::Trap);
    /// ```
    pub struct AvicRegister(u16 & 0xfff) {
        /// APIC ID.
        ID = 0x20 aka "APIC_ID";
        /// APIC version.
        VERSION = 0x30 aka "APIC_LVR";
        /// Task priority.
        TPR = 0x80 aka "APIC_TASKPRI";
        /// Arbitration priority.
        APR = 0x90 aka "APIC_ARBPRI";
        /// Processor priority.
        PPR = 0xa0 aka "APIC_PROCPRI";
        /// End of interrupt.
        EOI = 0xb0 aka "APIC_EOI";
        /// Remote read.
        REMOTE_READ = 0xc0 aka "APIC_RRR";
        /// Logical destination.
        LDR = 0xd0 aka "APIC_LDR";
        /// Destination format.
        DFR = 0xe0 aka "APIC_DFR";
        /// Spurious-interrupt vector.
        SVR = 0xf0 aka "APIC_SPIV";
        /// In service: vectors 0 to 31.
        ISR0 = 0x100 aka "APIC_ISR";
        /// In service: vectors 32 to 63.
        ISR1 = 0x110;
        /// In service: vectors 64 to 95.
        ISR2 = 0x120;
        /// In service: vectors 96 to 127.
        ISR3 = 0x130;
        /// In service: vectors 128 to 159.
        ISR4 = 0x140;
        /// In service: vectors 160 to 191.
        ISR5 = 0x150;
        /// In service: vectors 192 to 223.
        ISR6 = 0x160;
        /// In service: vectors 224 to 255.
        ISR7 = 0x170;
        /// Trigger mode: vectors 0 to 31.
        TMR0 = 0x180 aka "APIC_TMR";
        /// Trigger mode: vectors 32 to 63.
        TMR1 = 0x190;
        /// Trigger mode: vectors 64 to 95.
        TMR2 = 0x1a0;
        /// Trigger mode: vectors 96 to 127.
        TMR3 = 0x1b0;
        /// Trigger mode: vectors 128 to 159.
        TMR4 = 0x1c0;
        /// Trigger mode: vectors 160 to 191.
        TMR5 = 0x1d0;
        /// Trigger mode: vectors 192 to 223.
        TMR6 = 0x1e0;
        /// Trigger mode: vectors 224 to 255.
        TMR7 = 0x1f0;
        /// Interrupt request: vectors 0 to 31.
        IRR0 = 0x200 aka "APIC_IRR";
        /// Secure AVIC: which of vectors 0 to 31 the host may request.
        ALLOWED_IRR0 = 0x204 aka "SAVIC_ALLOWED_IRR";
        /// Interrupt request: vectors 32 to 63.
        IRR1 = 0x210;
        /// Secure AVIC: which of vectors 32 to 63 the host may request.
        ALLOWED_IRR1 = 0x214;
        /// Interrupt request: vectors 64 to 95.
        IRR2 = 0x220;
        /// Secure AVIC: which of vectors 64 to 95 the host may request.
        ALLOWED_IRR2 = 0x224;
        /// Interrupt request: vectors 96 to 127.
        IRR3 = 0x230;
        /// Secure AVIC: which of vectors 96 to 127 the host may request.
        ALLOWED_IRR3 = 0x234;
        /// Interrupt request: vectors 128 to 159.
        IRR4 = 0x240;
        /// Secure AVIC: which of vectors 128 to 159 the host may request.
        ALLOWED_IRR4 = 0x244;
        /// Interrupt request: vectors 160 to 191.
        IRR5 = 0x250;
        /// Secure AVIC: which of vectors 160 to 191 the host may request.
        ALLOWED_IRR5 = 0x254;
        /// Interrupt request: vectors 192 to 223.
        IRR6 = 0x260;
        /// Secure AVIC: which of vectors 192 to 223 the host may request.
        ALLOWED_IRR6 = 0x264;
        /// Interrupt request: vectors 224 to 255.
        IRR7 = 0x270;
        /// Secure AVIC: which of vectors 224 to 255 the host may request.
        ALLOWED_IRR7 = 0x274;
        /// Secure AVIC: bit 0 requests an NMI.
        NMI_REQUEST = 0x278 aka "SAVIC_NMI_REQ";
        /// Error status.
        ESR = 0x280 aka "APIC_ESR";
        /// Interrupt command, low half.
        ICRL = 0x300 aka "APIC_ICR";
        /// Interrupt command, high half.
        ICRH = 0x310 aka "APIC_ICR2";
        /// Local vector table: timer.
        LVT_TIMER = 0x320 aka "APIC_LVTT";
        /// Local vector table: thermal.
        LVT_THERMAL = 0x330 aka "APIC_LVTTHMR";
        /// Local vector table: performance counters.
        LVT_PERFORMANCE = 0x340 aka "APIC_LVTPC";
        /// Local vector table: LINT0.
        LVT_LINT0 = 0x350 aka "APIC_LVT0";
        /// Local vector table: LINT1.
        LVT_LINT1 = 0x360 aka "APIC_LVT1";
        /// Local vector table: errors.
        LVT_ERROR = 0x370 aka "APIC_LVTERR";
        /// Timer: initial count.
        TIMER_INITIAL_COUNT = 0x380 aka "APIC_TMICT";
        /// Timer: current count.
        TIMER_CURRENT_COUNT = 0x390 aka "APIC_TMCCT";
        /// Timer: divide configuration.
        TIMER_DIVIDE = 0x3e0 aka "APIC_TDCR";
        /// Extended APIC features.
        EXTENDED_FEATURE = 0x400 aka "APIC_EFEAT";
        /// Extended APIC control.
        EXTENDED_CONTROL = 0x410 aka "APIC_ECTRL";
        /// Specific end of interrupt.
        SEOI = 0x420;
        /// Interrupt enable: vectors 0 to 31.
        IER0 = 0x480;
        /// Interrupt enable: vectors 32 to 63.
        IER1 = 0x490;
        /// Interrupt enable: vectors 64 to 95.
        IER2 = 0x4a0;
        /// Interrupt enable: vectors 96 to 127.
        IER3 = 0x4b0;
        /// Interrupt enable: vectors 128 to 159.
        IER4 = 0x4c0;
        /// Interrupt enable: vectors 160 to 191.
        IER5 = 0x4d0;
        /// Interrupt enable: vectors 192 to 223.
        IER6 = 0x4e0;
        /// Interrupt enable: vectors 224 to 255.
        IER7 = 0x4f0;
        /// Extended interrupt 0 local vector table.
        EXTENDED_LVT0 = 0x500;
        /// Extended interrupt 1 local vector table.
        EXTENDED_LVT1 = 0x510;
        /// Extended interrupt 2 local vector table.
        EXTENDED_LVT2 = 0x520;
        /// Extended interrupt 3 local vector table.
        EXTENDED_LVT3 = 0x530;
    }
}

/// What AVIC does when a guest writes a register.
///
/// AMD APM vol. 2, section 15.29.3.1, "Virtual APIC Register Accesses".
///
/// ```
/// use x86_virt_svm::{AvicRegister, AvicWrite};
///
/// assert_eq!(AvicRegister::TPR.write(), AvicWrite::Accelerated);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum AvicWrite {
    /// The write changes the backing page, and nothing else.
    Allowed,
    /// The processor does what the write asks for. Where it cannot, the run ends after the write.
    Accelerated,
    /// The run ends after the write.
    Trap,
    /// The run ends before the write.
    Fault,
}

impl fmt::Display for AvicWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Allowed => "write allowed",
            Self::Accelerated => "write accelerated",
            Self::Trap => "write trap",
            Self::Fault => "write fault",
        })
    }
}

impl AvicRegister {
    /// What AVIC does when a guest writes the register.
    ///
    /// The extended LVT registers are those of a processor without ExtLvtAvicAccessChg; with it, a write is a trap.
    #[must_use]
    pub const fn write(self) -> AvicWrite {
        match self {
            Self::TPR | Self::EOI | Self::ICRL => AvicWrite::Accelerated,
            Self::ID
            | Self::REMOTE_READ
            | Self::LDR
            | Self::DFR
            | Self::SVR
            | Self::ESR
            | Self::LVT_TIMER
            | Self::LVT_THERMAL
            | Self::LVT_PERFORMANCE
            | Self::LVT_LINT0
            | Self::LVT_LINT1
            | Self::LVT_ERROR
            | Self::TIMER_INITIAL_COUNT
            | Self::TIMER_DIVIDE => AvicWrite::Trap,
            Self::VERSION | Self::APR | Self::PPR | Self::TIMER_CURRENT_COUNT => AvicWrite::Fault,
            // Each register is 32 bits wide, at a multiple of 16.
            Self(offset) if offset & 0xc == 0 && matches!(offset, 0x100..=0x27f | 0x400..=0x42f | 0x480..=0xfff) => {
                AvicWrite::Fault
            }
            Self(_) => AvicWrite::Allowed,
        }
    }

    /// Whether the run ends before the guest reads the register.
    #[must_use]
    pub const fn is_read_fault(self) -> bool {
        matches!(self, Self::APR | Self::TIMER_CURRENT_COUNT) || matches!(self.0, 0x400..=0x42f | 0x480..=0xfff)
    }
}

#[cfg(test)]
mod tests {
    use super::{AvicRegister, AvicWrite};

    #[test]
    fn offsets_are_those_of_the_manual() {
        for (register, offset) in [
            (AvicRegister::ID, 0x20),
            (AvicRegister::EOI, 0xb0),
            (AvicRegister::ISR7, 0x170),
            (AvicRegister::TMR7, 0x1f0),
            (AvicRegister::IRR7, 0x270),
            (AvicRegister::ALLOWED_IRR7, 0x274),
            (AvicRegister::ICRH, 0x310),
            (AvicRegister::TIMER_DIVIDE, 0x3e0),
            (AvicRegister::IER7, 0x4f0),
            (AvicRegister::EXTENDED_LVT3, 0x530),
        ] {
            assert_eq!(register.into_bits(), offset);
        }
    }

    #[test]
    fn accesses_are_those_of_the_manual() {
        for (register, write, is_read_fault) in [
            (AvicRegister::ID, AvicWrite::Trap, false),
            (AvicRegister::VERSION, AvicWrite::Fault, false),
            (AvicRegister::TPR, AvicWrite::Accelerated, false),
            (AvicRegister::APR, AvicWrite::Fault, true),
            (AvicRegister::IRR3, AvicWrite::Fault, false),
            (AvicRegister::ALLOWED_IRR3, AvicWrite::Allowed, false),
            (AvicRegister::NMI_REQUEST, AvicWrite::Allowed, false),
            (AvicRegister::ICRH, AvicWrite::Allowed, false),
            (AvicRegister::TIMER_CURRENT_COUNT, AvicWrite::Fault, true),
            (AvicRegister::SEOI, AvicWrite::Fault, true),
            (AvicRegister::EXTENDED_LVT0, AvicWrite::Fault, true),
            (AvicRegister::from_bits(0x600), AvicWrite::Fault, true),
            (AvicRegister::from_bits(0x290), AvicWrite::Allowed, false),
        ] {
            assert_eq!((register.write(), register.is_read_fault()), (write, is_read_fault), "{register}");
        }
    }
}
