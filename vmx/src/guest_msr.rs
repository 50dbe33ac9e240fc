//! MSRs that entries load and exits save.

use x86_virt_core::register;

register! {
    /// The exception bitmap: which exceptions end a run.
    ///
    /// Intel SDM vol. 3, section 27.6.3, "Exception Bitmap".
    ///
    /// ```
    /// use x86_virt_vmx::ExceptionBitmap;
    ///
    /// assert_eq!(ExceptionBitmap::from_bits(0x4_4000).to_string(), "0x00044000 PF MC");
    /// ```
    pub struct ExceptionBitmap(u32) {
        /// #DE: divide error.
        pub de: bool,
        /// #DB: debug exception.
        pub db: bool,
        _nmi2: bool,
        /// #BP: breakpoint.
        pub bp: bool,
        /// #OF: overflow.
        pub of: bool,
        /// #BR: bound range exceeded.
        pub br: bool,
        /// #UD: invalid opcode.
        pub ud: bool,
        /// #NM: device not available.
        pub nm: bool,
        /// #DF: double fault.
        pub df: bool,
        _coprocessor9: bool,
        /// #TS: invalid task-state segment.
        pub ts: bool,
        /// #NP: segment not present.
        pub np: bool,
        /// #SS: stack-segment fault.
        pub ss: bool,
        /// #GP: general protection.
        pub gp: bool,
        /// #PF: page fault, as the error code's mask and match say.
        pub pf: bool,
        _reserved15: bool,
        /// #MF: floating-point error.
        pub mf: bool,
        /// #AC: alignment check.
        pub ac: bool,
        /// #MC: machine check.
        pub mc: bool,
        /// #XM: SIMD floating-point exception.
        pub xm: bool,
        /// #VE: virtualization exception.
        pub ve: bool,
        /// #CP: control protection.
        pub cp: bool,
        #[bits(10)]
        _reserved22: u16,
    }
}

register! {
    /// IA32_BNDCFGS.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    pub struct Bndcfgs(u64) {
        /// MPX is enabled for supervisor mode.
        pub en: bool,
        /// Bounds survive near branches without a prefix.
        pub bndpreserve: bool,
        #[bits(10)]
        _reserved2: u16,
        /// Bits 63:12 of the bound directory's address.
        #[bits(52)]
        pub base: u64,
    }
}

register! {
    /// IA32_RTIT_CTL: Intel Processor Trace.
    ///
    /// Intel SDM vol. 3, section 34.2.8.2, "IA32_RTIT_CTL MSR".
    pub struct RtitCtl(u64) {
        /// Tracing is enabled.
        pub trace_en: bool,
        /// CYC packets.
        pub cyc_en: bool,
        /// Tracing at privilege level 0.
        pub os: bool,
        /// Tracing at other privilege levels.
        pub user: bool,
        /// Packets of power events.
        pub pwr_evt_en: bool,
        /// A FUP packet after each PTW packet.
        pub fup_on_ptw: bool,
        /// Packets go to the trace fabric.
        pub fabric_en: bool,
        /// Tracing for one value of CR3 only.
        pub cr3_filter: bool,
        /// Packets go to tables of physical addresses.
        pub topa: bool,
        /// MTC packets.
        pub mtc_en: bool,
        /// TSC packets.
        pub tsc_en: bool,
        /// Returns are not compressed.
        pub dis_retc: bool,
        /// PTW packets.
        pub ptw_en: bool,
        /// Packets of branches.
        pub branch_en: bool,
        /// Rate of MTC packets.
        #[bits(4)]
        pub mtc_freq: u8,
        _reserved18: bool,
        /// Threshold of CYC packets.
        #[bits(4)]
        pub cyc_thresh: u8,
        _reserved23: bool,
        /// Rate of PSB packets.
        #[bits(4)]
        pub psb_freq: u8,
        #[bits(3)]
        _reserved28: u8,
        /// Event trace.
        pub event_en: bool,
        /// Use of address range 0: 0 none, 1 filter, 2 stop.
        #[bits(4)]
        pub addr0_cfg: u8,
        /// Use of address range 1.
        #[bits(4)]
        pub addr1_cfg: u8,
        /// Use of address range 2.
        #[bits(4)]
        pub addr2_cfg: u8,
        /// Use of address range 3.
        #[bits(4)]
        pub addr3_cfg: u8,
        #[bits(7)]
        _reserved48: u8,
        /// No TNT packets.
        pub dis_tnt: bool,
        /// A PSB packet and an interrupt when tracing is enabled.
        pub inject_psb_pmi_on_enable: bool,
        #[bits(7)]
        _reserved57: u8,
    }
}

register! {
    /// IA32_LBR_CTL: architectural last-branch records.
    ///
    /// Intel SDM vol. 3, chapter 20, "Last Branch Records".
    pub struct LbrCtl(u64) {
        /// Recording is enabled.
        pub lbr_en: bool,
        /// At privilege level 0.
        pub os: bool,
        /// At other privilege levels.
        pub usr: bool,
        /// As a call stack.
        pub call_stack: bool,
        #[bits(12)]
        _reserved4: u16,
        /// Conditional branches.
        pub jcc: bool,
        /// Near relative jumps.
        pub near_rel_jmp: bool,
        /// Near indirect jumps.
        pub near_ind_jmp: bool,
        /// Near relative calls.
        pub near_rel_call: bool,
        /// Near indirect calls.
        pub near_ind_call: bool,
        /// Near returns.
        pub near_ret: bool,
        /// Other branches.
        pub other_branch: bool,
        #[bits(41)]
        _reserved23: u64,
    }
}

register! {
    /// IA32_FRED_CONFIG.
    ///
    /// Intel SDM vol. 3, section 27.4.1, "Guest Register State".
    pub struct FredConfig(u64) {
        /// Current stack level.
        #[bits(2)]
        pub csl: u8,
        _reserved2: bool,
        /// The shadow-stack pointer moves at events that stay on their stack.
        pub ssp_decrement: bool,
        #[bits(2)]
        _reserved4: u8,
        /// How far the stack pointer moves at events that stay on their stack, in 64 bytes.
        #[bits(3)]
        pub rsp_decrement: u8,
        /// Stack level of maskable interrupts.
        #[bits(2)]
        pub interrupt_stack_level: u8,
        _reserved11: bool,
        /// Bits 63:12 of the address of the event handlers.
        #[bits(52)]
        pub handlers: u64,
    }
}

#[cfg(test)]
mod tests {
    use super::{Bndcfgs, ExceptionBitmap, FredConfig, LbrCtl, RtitCtl};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        assert_eq!(ExceptionBitmap::new().with_cp(true).with_pf(true).with_de(true).into_bits(), 0x20_4001);
        assert_eq!(Bndcfgs::new().with_base(1).with_bndpreserve(true).into_bits(), 0x1002);
        assert_eq!(
            RtitCtl::new().with_branch_en(true).with_event_en(true).with_dis_tnt(true).into_bits(),
            0x80_0000_8000_2000
        );
        assert_eq!(RtitCtl::new().with_psb_freq(1).with_addr3_cfg(1).into_bits(), 0x1000_0100_0000);
        assert_eq!(LbrCtl::new().with_jcc(true).with_other_branch(true).into_bits(), 0x41_0000);
        assert_eq!(
            FredConfig::new().with_csl(3).with_interrupt_stack_level(1).with_rsp_decrement(1).into_bits(),
            0x243
        );
    }
}
