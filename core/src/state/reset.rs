//! Reset, INIT and SIPI.

use crate::register::{Cr0, Efer, Gprs, Rflags};
use crate::segment::{DescriptorTable, Segment, SegmentAccessRights};
use crate::state::{Activity, CpuState, ExtendedState, PendingDebugExceptions, VcpuState};

/// Whether a processor starts the machine, which is bit 8 of its IA32_APIC_BASE.
///
/// Intel SDM vol. 3, section 10.4.1, "BSP and AP Processors".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum ProcessorRole {
    /// The bootstrap processor: after INIT it executes what is at FFFFFFF0H.
    Bootstrap,
    /// An application processor: after INIT it waits for a start-up IPI.
    Application,
}

impl CpuState {
    /// The registers after power-up, reset or INIT. `signature` is EAX of CPUID leaf 1, which is in EDX then.
    ///
    /// Intel SDM vol. 3, section 10.1.1, "Processor State After Reset" (table "IA-32 and Intel 64 Processor States Following Power-up,
    /// Reset, or INIT"); AMD APM vol. 2, section 14.1.3, "Processor Initialization State".
    fn after_reset(signature: u32, cr0: Cr0) -> Self {
        let data = Segment::real_mode(0, SegmentAccessRights::DATA16);
        let table = DescriptorTable { base: 0, limit: 0xffff };
        Self {
            gprs: Gprs { rdx: signature.into(), ..Gprs::default() },
            rip: 0xfff0,
            rsp: 0,
            rflags: Rflags::new(),
            cr0,
            cr2: 0,
            cr3: 0,
            cr4: crate::register::Cr4::new(),
            efer: Efer::new(),
            es: data,
            cs: Segment { base: 0xffff_0000, ..Segment::real_mode(0xf000, SegmentAccessRights::CODE16) },
            ss: data,
            ds: data,
            fs: data,
            gs: data,
            ldtr: Segment::real_mode(0, SegmentAccessRights::LDT),
            tr: Segment::real_mode(0, SegmentAccessRights::BUSY_TSS),
            gdtr: table,
            idtr: table,
            dr7: 0x400,
        }
    }
}

impl VcpuState {
    /// A processor after power-up or reset, without a built-in self-test. `signature` is EAX of the guest's CPUID leaf 1.
    ///
    /// The bootstrap processor runs from here; set [`activity`](Self::activity) of the others to [`Activity::WaitForSipi`].
    ///
    /// Intel SDM vol. 3, section 10.1.1, "Processor State After Reset" (table "IA-32 and Intel 64 Processor States Following Power-up,
    /// Reset, or INIT"); AMD APM vol. 2, section 14.1.3, "Processor Initialization State".
    ///
    /// ```
    /// use x86_virt_core::VcpuState;
    ///
    /// let state = VcpuState::reset(0x0080_0f12);
    /// assert_eq!((state.cpu.cs.base + state.cpu.rip, state.cpu.gprs.rdx), (0xffff_fff0, 0x0080_0f12));
    /// ```
    #[must_use]
    pub fn reset(signature: u32) -> Self {
        let cr0 = Cr0::new().with_et(true).with_nw(true).with_cd(true);
        Self { extended: Some(ExtendedState::after_reset()), ..Self::new(CpuState::after_reset(signature, cr0)) }
    }

    /// What INIT does: as a reset, but CR0.CD and NW, XCR0, the MSRs but EFER, and x87, SSE and AVX state stay. `signature` is EAX of the
    /// guest's CPUID leaf 1.
    ///
    /// The manuals differ about EFER: AMD's says that INIT clears it, Intel's does not name it. It is cleared.
    ///
    /// Intel SDM vol. 3, section 10.1.1, "Processor State After Reset" (table "IA-32 and Intel 64 Processor States Following Power-up,
    /// Reset, or INIT"); AMD APM vol. 2, section 14.1.3, "Processor Initialization State".
    pub fn init(&mut self, signature: u32, role: ProcessorRole) {
        let before = self.cpu.cr0;
        let cr0 = Cr0::new().with_et(true).with_nw(before.nw()).with_cd(before.cd());
        let fresh = Self::new(CpuState::after_reset(signature, cr0));
        self.cpu = fresh.cpu;
        self.cr8 = fresh.cr8;
        self.breakpoints = fresh.breakpoints;
        self.dr6 = fresh.dr6;
        self.event = None;
        self.triple_fault = false;
        self.nmi_requested = false;
        self.interrupt_requested = None;
        self.global_interrupts = fresh.global_interrupts;
        self.shadow = false;
        self.nmi_blocked = false;
        self.pending_debug = PendingDebugExceptions::new();
        self.activity = match role {
            ProcessorRole::Bootstrap => Activity::Running,
            ProcessorRole::Application => Activity::WaitForSipi,
        };
    }

    /// What a start-up IPI does: a processor that waits for one executes the code at `vector` times 4096, in real mode. False, and nothing
    /// is changed, if the processor does not wait for one: then it ignores the IPI.
    ///
    /// Intel SDM vol. 3, section 10.4.3, "MP Initialization Protocol Algorithm for MP Systems".
    pub fn start_up(&mut self, vector: u8) -> bool {
        if self.activity != Activity::WaitForSipi {
            return false;
        }
        self.activity = Activity::Running;
        self.cpu.cs = Segment::real_mode(u16::from(vector) << 8, SegmentAccessRights::CODE16);
        self.cpu.rip = 0;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::ProcessorRole;
    use crate::event::{Event, Exception};
    use crate::permission::SwitchedMsr;
    use crate::register::{Cr0, Cr4, Efer};
    use crate::segment::SegmentRegister;
    use crate::state::{Activity, CpuState, ExtendedState, StateComponent, VcpuState};

    const SIGNATURE: u32 = 0x0005_0654;

    /// The table of the SDM, for what is the same after reset and after INIT.
    fn check_common(state: &VcpuState) {
        let cpu = &state.cpu;
        assert_eq!(cpu.rflags.into_bits(), 2);
        assert_eq!(cpu.rip, 0xfff0);
        assert_eq!((cpu.cr2, cpu.cr3, cpu.cr4.into_bits()), (0, 0, 0));
        assert_eq!((cpu.cs.selector, cpu.cs.base, cpu.cs.limit), (0xf000, 0xffff_0000, 0xffff));
        assert_eq!(cpu.cs.rights.into_bits(), 0x9b, "present, readable and writable, accessed");
        for register in
            [SegmentRegister::Ss, SegmentRegister::Ds, SegmentRegister::Es, SegmentRegister::Fs, SegmentRegister::Gs]
        {
            let segment = cpu.segment(register);
            assert_eq!(
                (segment.selector, segment.base, segment.limit, segment.rights.into_bits()),
                (0, 0, 0xffff, 0x93)
            );
        }
        for (register, rights) in [(SegmentRegister::Ldtr, 0x82), (SegmentRegister::Tr, 0x8b)] {
            let segment = cpu.segment(register);
            assert_eq!(
                (segment.selector, segment.base, segment.limit, segment.rights.into_bits()),
                (0, 0, 0xffff, rights)
            );
        }
        assert_eq!((cpu.gdtr.base, cpu.gdtr.limit, cpu.idtr.base, cpu.idtr.limit), (0, 0xffff, 0, 0xffff));
        let gprs = [cpu.gprs.rax, cpu.gprs.rbx, cpu.gprs.rcx, cpu.gprs.rsi, cpu.gprs.rdi, cpu.gprs.rbp, cpu.rsp];
        assert_eq!(gprs, [0; 7]);
        assert_eq!((cpu.gprs.rdx, cpu.gprs.r8, cpu.gprs.r15), (u64::from(SIGNATURE), 0, 0));
        assert_eq!((state.breakpoints, state.dr6, cpu.dr7), ([0; 4], 0xffff_0ff0, 0x400));
        assert_eq!((cpu.efer.into_bits(), state.cr8), (0, 0));
        assert!(state.event.is_none() && !state.shadow && !state.nmi_blocked && !state.pending_debug.raises());
    }

    #[test]
    fn reset_is_as_in_the_table() {
        let state = VcpuState::reset(SIGNATURE);
        check_common(&state);
        assert_eq!(state.cpu.cr0.into_bits(), 0x6000_0010);
        assert_eq!((state.xcr0, state.activity), (1, Activity::Running));
        assert_eq!(state.msr(SwitchedMsr::Pat), 0x0007_0406_0007_0406);
        assert_eq!(state.extended, Some(ExtendedState::after_reset()));
    }

    #[test]
    fn init_keeps_what_the_table_says() {
        let mut state = VcpuState::new(CpuState::long_mode(0x1234, 0x5678, 0x9000));
        state.cpu.cr0 = Cr0::from_bits(0x8000_0033).with_cd(true);
        state.cpu.cr4 = Cr4::from_bits(0x6f0);
        state.cpu.efer = Efer::from_bits(0xd01);
        state.cpu.gprs.r8 = 8;
        state.cr8 = 3;
        state.xcr0 = 7;
        state.breakpoints = [1, 2, 3, 4];
        state.dr6 = 0xffff_4ff1;
        state.event = Some(Event::Exception(Exception::DOUBLE_FAULT));
        state.nmi_blocked = true;
        state.shadow = true;
        state.pending_debug.set_bs(true);
        state.activity = Activity::Shutdown;
        state.msrs.set(SwitchedMsr::Lstar, 0x1000);
        let mut extended = ExtendedState::new();
        extended.set_component(StateComponent::Sse, &[7; 256]).unwrap();
        state.extended = Some(extended.clone());

        state.init(SIGNATURE, ProcessorRole::Bootstrap);
        check_common(&state);
        assert_eq!(state.cpu.cr0.into_bits(), 0x4000_0010, "CD stays 1, and NW 0");
        assert_eq!((state.xcr0, state.msr(SwitchedMsr::Lstar)), (7, 0x1000));
        assert_eq!(state.extended, Some(extended));
        assert_eq!(state.activity, Activity::Running);
    }

    #[test]
    fn a_start_up_ipi_starts_a_processor_that_waits() {
        let mut state = VcpuState::default();
        assert!(!state.start_up(0x9a));
        assert_eq!(state, VcpuState::default());
        state.init(SIGNATURE, ProcessorRole::Application);
        assert_eq!(state.activity, Activity::WaitForSipi);
        assert!(state.start_up(0x9a));
        let cs = state.cpu.cs;
        assert_eq!((cs.selector, cs.base, cs.limit, cs.rights.into_bits()), (0x9a00, 0x9_a000, 0xffff, 0x9b));
        assert_eq!((state.cpu.rip, state.activity), (0, Activity::Running));
        assert!(!state.start_up(1), "it does not wait any more");
    }
}
