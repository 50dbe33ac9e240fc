//! The control area of the VMCB.

use x86_virt_core::{Gpa, Hpa};

use crate::avic::AvicPhysicalTable;
use crate::exit_code::ExitCode;
use crate::sev::{AllowedSevFeatures, SevFeatures};
use crate::vmcb::area;
use crate::vmcb::{
    CleanBits, EventInjection, FetchedBytes, InterruptState, NestedControl, RapControl, TlbControl, UpdateIrr,
    VirtualExtensions, VirtualInterruptControl, Vmcb, intercepts,
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
    struct ControlArea of Vmcb, at 0x000..0x400 {
        /// Intercepts of reads of CR0 to CR15.
        0x000..0x002 => pub INTERCEPT_CR_READ: u16, Owned, I aka "intercepts" via intercepts::<0x00>;
        /// Intercepts of writes to CR0 to CR15.
        0x002..0x004 => pub INTERCEPT_CR_WRITE: u16, Owned, I via intercepts::<0x10>;
        /// Intercepts of reads of DR0 to DR15.
        0x004..0x006 => pub INTERCEPT_DR_READ: u16, Owned, I via intercepts::<0x20>;
        /// Intercepts of writes to DR0 to DR15.
        0x006..0x008 => pub INTERCEPT_DR_WRITE: u16, Owned, I via intercepts::<0x30>;
        /// Intercepts of exceptions 0 to 31.
        0x008..0x00c => pub INTERCEPT_EXCEPTIONS: u32, Owned, I via intercepts::<0x40>;
        /// Intercepts with exit codes 60h to 7fh.
        0x00c..0x010 => pub INTERCEPT_MISC1: u32, Owned, I via intercepts::<0x60>;
        /// Intercepts with exit codes 80h to 9fh.
        0x010..0x014 => pub INTERCEPT_MISC2: u32, Owned, I via intercepts::<0x80>;
        /// Intercepts with exit codes a0h to bfh.
        0x014..0x018 => pub INTERCEPT_MISC3: u32, Owned, I via intercepts::<0xa0>;
        /// Reserved.
        0x018..0x03c => _reserved018: [u8; 0x24];
        /// Cycles between two PAUSE that are taken for one loop.
        0x03c..0x03e => pub PAUSE_FILTER_THRESHOLD: u16, ReadWrite, I aka "pause_filter_thresh";
        /// How many PAUSE are let through before one is intercepted.
        0x03e..0x040 => pub PAUSE_FILTER_COUNT: u16, ReadWrite, I aka "pause_filter_count";
        /// Physical address of the I/O permission map.
        0x040..0x048 => pub IOPM_BASE_PA: Hpa, Owned, IOPM aka "iopm_base_pa";
        /// Physical address of the MSR permission map.
        0x048..0x050 => pub MSRPM_BASE_PA: Hpa, Owned, IOPM aka "msrpm_base_pa";
        /// Added to the time-stamp counter that the guest reads.
        0x050..0x058 => pub TSC_OFFSET: u64, ReadWrite, I aka "tsc_offset";
        /// Address-space identifier of the guest.
        0x058..0x05c => pub GUEST_ASID: u32, Owned, ASID aka "asid";
        /// What the VMRUN flushes.
        0x05c..0x05d => pub TLB_CONTROL: TlbControl, Owned, NONE aka "tlb_ctl";
        /// Return-address predictor.
        0x05d..0x05e => pub RAP_CONTROL: RapControl, ReadWrite, NONE aka "erap_ctl";
        /// Reserved.
        0x05e..0x060 => _reserved05e: [u8; 2];
        /// Virtual interrupts.
        0x060..0x068 => pub VIRTUAL_INTERRUPT_CONTROL: VirtualInterruptControl, Owned, TPR aka "int_ctl";
        /// Interrupt shadow.
        0x068..0x070 => pub INTERRUPT_STATE: InterruptState, ReadWrite, NONE aka "int_state";
        /// Why the guest was left.
        0x070..0x078 => pub EXITCODE: ExitCode, ReadOnly, NONE aka "exit_code";
        /// More about the exit.
        0x078..0x080 => pub EXITINFO1: u64, ReadOnly, NONE aka "exit_info_1";
        /// More about the exit.
        0x080..0x088 => pub EXITINFO2: u64, ReadOnly, NONE aka "exit_info_2";
        /// The event whose delivery the exit interrupted.
        0x088..0x090 => pub EXITINTINFO: EventInjection, ReadOnly, NONE aka "exit_int_info";
        /// Nested paging and encryption.
        0x090..0x098 => pub NESTED_CTL: NestedControl, Owned, NP aka "nested_ctl" "misc_ctl";
        /// Guest-physical address of the APIC's registers, bits 51:0.
        0x098..0x0a0 => pub AVIC_APIC_BAR: Gpa, Owned, AVIC aka "avic_vapic_bar";
        /// Guest-physical address of the GHCB.
        0x0a0..0x0a8 => pub GHCB_GPA: Gpa, Owned, NONE aka "ghcb_gpa";
        /// The event that VMRUN delivers.
        0x0a8..0x0b0 => pub EVENTINJ: EventInjection, Owned, NONE aka "event_inj";
        /// CR3 for nested paging: physical address of the root of the nested tables.
        0x0b0..0x0b8 => pub N_CR3: u64, Owned, NP aka "nested_cr3";
        /// LBR virtualization and other extensions.
        0x0b8..0x0c0 => pub VIRT_EXT: VirtualExtensions, Owned, LBR aka "virt_ext" "misc_ctl2";
        /// VMCB clean bits.
        0x0c0..0x0c4 => pub VMCB_CLEAN: CleanBits, Owned, NONE aka "clean";
        /// Reserved.
        0x0c4..0x0c8 => _reserved0c4: [u8; 4];
        /// RIP of the next instruction.
        0x0c8..0x0d0 => pub NRIP: u64, Owned, NONE aka "next_rip";
        /// How many bytes of the instruction were fetched, in bits 3:0.
        0x0d0..0x0d1 => pub INSN_LEN: FetchedBytes, ReadOnly, NONE aka "insn_len";
        /// The bytes of the instruction.
        0x0d1..0x0e0 => pub INSN_BYTES: [u8; 15], ReadOnly, NONE aka "insn_bytes";
        /// Physical address of the APIC backing page.
        0x0e0..0x0e8 => pub AVIC_APIC_BACKING_PAGE: Hpa, Owned, AVIC aka "avic_backing_page";
        /// Reserved.
        0x0e8..0x0f0 => _reserved0e8: [u8; 8];
        /// Physical address of the AVIC logical table.
        0x0f0..0x0f8 => pub AVIC_LOGICAL_TABLE: Hpa, Owned, AVIC aka "avic_logical_id";
        /// Physical address of the AVIC physical table, and in bits 11:0 its last index.
        0x0f8..0x100 => pub AVIC_PHYSICAL_TABLE: AvicPhysicalTable, Owned, AVIC aka "avic_physical_id";
        /// Reserved.
        0x100..0x108 => _reserved100: [u8; 8];
        /// Physical address of the VMSA.
        0x108..0x110 => pub VMSA_PTR: Hpa, Owned, NONE aka "vmsa_pa";
        /// RAX at a VMGEXIT.
        0x110..0x118 => pub VMGEXIT_RAX: u64, Owned, NONE;
        /// CPL at a VMGEXIT.
        0x118..0x119 => pub VMGEXIT_CPL: u8, Owned, NONE;
        /// Reserved.
        0x119..0x120 => _reserved119: [u8; 7];
        /// How many bus locks are let through before one is intercepted.
        0x120..0x122 => pub BUS_LOCK_THRESHOLD_COUNTER: u16, ReadWrite, NONE aka "bus_lock_counter";
        /// Reserved.
        0x122..0x134 => _reserved122: [u8; 0x12];
        /// Bit 0: REQUESTED_IRR is to be taken (Secure AVIC).
        0x134..0x138 => pub UPDATE_IRR: UpdateIrr, Owned, NONE;
        /// Features that the guest may have on: bits 61:0, enable in bit 63.
        0x138..0x140 => pub ALLOWED_SEV_FEATURES: AllowedSevFeatures, Owned, NONE aka "allowed_sev_features";
        /// Features that the guest has on: bits 61:0.
        0x140..0x148 => pub GUEST_SEV_FEATURES: SevFeatures, Owned, NONE aka "guest_sev_features";
        /// Reserved.
        0x148..0x150 => _reserved148: [u8; 8];
        /// Interrupts for the guest (Secure AVIC).
        0x150..0x170 => pub REQUESTED_IRR: [u32; 8], Owned, NONE;
        /// Event data of the event whose delivery the exit interrupted (FRED).
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x170..0x178 => pub EXITINTDATA: u64, Owned, NONE if feature = "provisional";
        /// Event data of the event that VMRUN delivers (FRED).
        ///
        /// Provisional: patches of Linux for FRED, 2026.
        0x178..0x180 => pub EVENTINJDATA: u64, Owned, NONE if feature = "provisional";
        /// Reserved.
        0x180..0x1c8 => _reserved180: [u8; 0x48];
        /// Physical address of the page-modification log.
        ///
        /// Provisional: patches of Linux for page-modification logging, 2025.
        0x1c8..0x1d0 => pub PML_ADDR: Hpa, Owned, NONE if feature = "provisional";
        /// Index of the next entry of the page-modification log.
        ///
        /// Provisional: patches of Linux for page-modification logging, 2025.
        0x1d0..0x1d2 => pub PML_INDEX: u16, Owned, NONE if feature = "provisional";
        /// Reserved.
        0x1d2..0x3e0 => _reserved1d2: [u8; 0x20e];
        /// For software.
        0x3e0..0x400 => pub HOST_SW_RESERVED: [u8; 0x20], Owned, SOFTWARE aka "hv_enlightenments" "reserved_sw";
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn rows_are_as_many_as_the_manual_has() {
        let proposed = ALL.iter().filter(|field| field.provisional).count();
        assert_eq!(ALL.len() - proposed, 44);
        assert_eq!(proposed, if cfg!(feature = "provisional") { 4 } else { 0 });
    }
}
