//! The control area of the VMCB.

use crate::exit_code::ExitCode;
use crate::vmcb::field::area;
use crate::vmcb::{
    EventInjection, InterruptState, NestedControl, RapControl, TlbControl, VirtualExtensions, VirtualInterruptControl,
};

area! {
    /// The control area.
    ///
    /// AMD APM vol. 2, appendix B, "VMCB Layout" (table "VMCB Layout, Control Area").
    ///
    /// ```
    /// use x86_virt_svm::vmcb::control;
    ///
    /// assert_eq!(control::EXITCODE.offset(), 0x070);
    /// ```
    struct ControlArea at 0x000..0x400 {
        /// Intercepts of reads of CR0 to CR15.
        0x000..0x002 => INTERCEPT_CR_READ: u16, Owned, I;
        /// Intercepts of writes to CR0 to CR15.
        0x002..0x004 => INTERCEPT_CR_WRITE: u16, Owned, I;
        /// Intercepts of reads of DR0 to DR15.
        0x004..0x006 => INTERCEPT_DR_READ: u16, Owned, I;
        /// Intercepts of writes to DR0 to DR15.
        0x006..0x008 => INTERCEPT_DR_WRITE: u16, Owned, I;
        /// Intercepts of exceptions 0 to 31.
        0x008..0x00c => INTERCEPT_EXCEPTIONS: u32, Owned, I;
        /// Intercepts with exit codes 60h to 7fh.
        0x00c..0x010 => INTERCEPT_MISC1: u32, Owned, I;
        /// Intercepts with exit codes 80h to 9fh.
        0x010..0x014 => INTERCEPT_MISC2: u32, Owned, I;
        /// Intercepts with exit codes a0h to bfh.
        0x014..0x018 => INTERCEPT_MISC3: u32, Owned, I;
        /// Reserved.
        0x018..0x03c => _reserved018: [u8; 0x24];
        /// Cycles between two PAUSE that are taken for one loop.
        0x03c..0x03e => PAUSE_FILTER_THRESHOLD: u16, ReadWrite, I;
        /// How many PAUSE are let through before one is intercepted.
        0x03e..0x040 => PAUSE_FILTER_COUNT: u16, ReadWrite, I;
        /// Physical address of the I/O permission map.
        0x040..0x048 => IOPM_BASE_PA: u64, Owned, IOPM;
        /// Physical address of the MSR permission map.
        0x048..0x050 => MSRPM_BASE_PA: u64, Owned, IOPM;
        /// Added to the time-stamp counter that the guest reads.
        0x050..0x058 => TSC_OFFSET: u64, ReadWrite, I;
        /// Address-space identifier of the guest.
        0x058..0x05c => GUEST_ASID: u32, Owned, ASID;
        /// What the VMRUN flushes.
        0x05c..0x05d => TLB_CONTROL: TlbControl, Owned, NONE;
        /// Return-address predictor.
        0x05d..0x05e => RAP_CONTROL: RapControl, ReadWrite, NONE;
        /// Reserved.
        0x05e..0x060 => _reserved05e: [u8; 2];
        /// Virtual interrupts.
        0x060..0x068 => VIRTUAL_INTERRUPT_CONTROL: VirtualInterruptControl, Owned, TPR;
        /// Interrupt shadow.
        0x068..0x070 => INTERRUPT_STATE: InterruptState, ReadWrite, NONE;
        /// Why the guest was left.
        0x070..0x078 => EXITCODE: ExitCode, ReadOnly, NONE;
        /// More about the exit.
        0x078..0x080 => EXITINFO1: u64, ReadOnly, NONE;
        /// More about the exit.
        0x080..0x088 => EXITINFO2: u64, ReadOnly, NONE;
        /// The event whose delivery the exit interrupted.
        0x088..0x090 => EXITINTINFO: EventInjection, ReadOnly, NONE;
        /// Nested paging and encryption.
        0x090..0x098 => NESTED_CTL: NestedControl, Owned, NP;
        /// Guest-physical address of the APIC's registers, bits 51:0.
        0x098..0x0a0 => AVIC_APIC_BAR: u64, Owned, AVIC;
        /// Guest-physical address of the GHCB.
        0x0a0..0x0a8 => GHCB_GPA: u64, Owned, NONE;
        /// The event that VMRUN delivers.
        0x0a8..0x0b0 => EVENTINJ: EventInjection, Owned, NONE;
        /// CR3 for nested paging: physical address of the root of the nested tables.
        0x0b0..0x0b8 => N_CR3: u64, Owned, NP;
        /// LBR virtualization and other extensions.
        0x0b8..0x0c0 => VIRT_EXT: VirtualExtensions, Owned, LBR;
        /// VMCB clean bits.
        0x0c0..0x0c4 => VMCB_CLEAN: u32, Owned, NONE;
        /// Reserved.
        0x0c4..0x0c8 => _reserved0c4: [u8; 4];
        /// RIP of the next instruction.
        0x0c8..0x0d0 => NRIP: u64, Owned, NONE;
        /// How many bytes of the instruction were fetched, in bits 3:0.
        0x0d0..0x0d1 => INSN_LEN: u8, ReadOnly, NONE;
        /// The bytes of the instruction.
        0x0d1..0x0e0 => INSN_BYTES: [u8; 15], ReadOnly, NONE;
        /// Physical address of the APIC backing page.
        0x0e0..0x0e8 => AVIC_APIC_BACKING_PAGE: u64, Owned, AVIC;
        /// Reserved.
        0x0e8..0x0f0 => _reserved0e8: [u8; 8];
        /// Physical address of the AVIC logical table.
        0x0f0..0x0f8 => AVIC_LOGICAL_TABLE: u64, Owned, AVIC;
        /// Physical address of the AVIC physical table, and in bits 11:0 its last index.
        0x0f8..0x100 => AVIC_PHYSICAL_TABLE: u64, Owned, AVIC;
        /// Reserved.
        0x100..0x108 => _reserved100: [u8; 8];
        /// Physical address of the VMSA.
        0x108..0x110 => VMSA_PTR: u64, Owned, NONE;
        /// RAX at a VMGEXIT.
        0x110..0x118 => VMGEXIT_RAX: u64, Owned, NONE;
        /// CPL at a VMGEXIT.
        0x118..0x119 => VMGEXIT_CPL: u8, Owned, NONE;
        /// Reserved.
        0x119..0x120 => _reserved119: [u8; 7];
        /// How many bus locks are let through before one is intercepted.
        0x120..0x122 => BUS_LOCK_THRESHOLD_COUNTER: u16, ReadWrite, NONE;
        /// Reserved.
        0x122..0x134 => _reserved122: [u8; 0x12];
        /// Bit 0: REQUESTED_IRR is to be taken (Secure AVIC).
        0x134..0x138 => UPDATE_IRR: u32, Owned, NONE;
        /// Features that the guest may have on: bits 61:0, enable in bit 63.
        0x138..0x140 => ALLOWED_SEV_FEATURES: u64, Owned, NONE;
        /// Features that the guest has on: bits 61:0.
        0x140..0x148 => GUEST_SEV_FEATURES: u64, Owned, NONE;
        /// Reserved.
        0x148..0x150 => _reserved148: [u8; 8];
        /// Interrupts for the guest (Secure AVIC).
        0x150..0x170 => REQUESTED_IRR: [u32; 8], Owned, NONE;
        /// Reserved.
        0x170..0x3e0 => _reserved170: [u8; 0x270];
        /// For software.
        0x3e0..0x400 => HOST_SW_RESERVED: [u8; 0x20], Owned, NONE;
    }
}
