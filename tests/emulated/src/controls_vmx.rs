//! The controls of VMX that end a run, one by one: the guest executes what is controlled, and the exit has its reason,
//! qualification and instruction information.
#![expect(unsafe_code, reason = "sets more controls than the library does")]

use alloc::format;
use alloc::vec::Vec;
use core::arch::x86_64::__cpuid_count;

use x86::msr::wrmsr;
use x86_virt::ept::{EptEntry, Eptp};
use x86_virt::vmx::field::{self, Field, FieldValue, Sensitive};
use x86_virt::vmx::{
    BasicExitReason, Control, ControlWord, ExitQualification, InstructionInformation, PinControls, PrimaryControls,
    SecondaryControls, VmcsRead as _, VmcsWrite as _, VmxVcpu,
};
use x86_virt::{
    AnyVcpu, CpuState, DescriptorTableAccess, ExitKind, Gprs, GuestRam, Hpa, Invpcid, Operand, Reason, Vcpu, VcpuConfig,
};

use crate::bench::{Bench, Frames};
use crate::coverage;
use crate::feature::{Feature, has};
use crate::guest::{CODE, DATA, Mode, STACK};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

type Vmx<'r, 's> = VmxVcpu<'r, 's, 'static, Frames>;

/// An instruction, what is set for it, and the exit that it must make.
struct Case {
    name: &'static str,
    bytes: &'static [u8],
    pin: PinControls,
    primary: PrimaryControls,
    secondary: SecondaryControls,
    /// Controls that the library sets and that would come first.
    without: PrimaryControls,
    prepare: fn(&mut Vmx<'_, '_>, &GuestRam<'_>, &mut CpuState) -> Outcome,
    reason: BasicExitReason,
    /// `None` where Bochs 2.7 leaves what was there before: the manual has zero for operands in registers.
    qualification: Option<u64>,
    /// Instruction information, if the exit has any: the bits that the manual defines, and their values.
    information: Option<(u32, u32)>,
    /// Effective address of the memory operand, if the exit tells one.
    operand: Option<u64>,
    /// How far RIP is behind the first instruction.
    offset: u64,
    needs: Option<Feature>,
}

const fn case(name: &'static str, bytes: &'static [u8], reason: BasicExitReason) -> Case {
    Case {
        name,
        bytes,
        pin: PinControls::NONE,
        primary: PrimaryControls::NONE,
        secondary: SecondaryControls::NONE,
        without: PrimaryControls::NONE,
        prepare: |_, _, _| Ok(()),
        reason,
        qualification: Some(0),
        information: None,
        operand: None,
        offset: 0,
        needs: None,
    }
}

impl Case {
    const fn pin(self, pin: PinControls) -> Self {
        Self { pin, ..self }
    }

    const fn primary(self, primary: PrimaryControls) -> Self {
        Self { primary, ..self }
    }

    const fn secondary(self, secondary: SecondaryControls) -> Self {
        Self { secondary, ..self }
    }

    const fn without(self, without: PrimaryControls) -> Self {
        Self { without, ..self }
    }

    const fn qualification(self, qualification: u64) -> Self {
        Self { qualification: Some(qualification), ..self }
    }

    /// Instruction information of an instruction whose operand is in a register.
    const fn register(self, mask: u32, value: u32) -> Self {
        Self { qualification: None, ..self.information(mask, value) }
    }

    const fn information(self, mask: u32, value: u32) -> Self {
        Self { information: Some((mask, value)), ..self }
    }

    /// A memory operand at [`DATA`], in RSI, with these bits besides.
    const fn at_rsi(self, mask: u32, value: u32) -> Self {
        Self { operand: Some(DATA), ..self.information(MEMORY | mask, AT_RSI | value) }
    }

    /// A memory operand with base, index and displacement, with these bits besides.
    const fn with_index(self, mask: u32, value: u32) -> Self {
        let case = self.qualification(0x10).information(MEMORY_WITH_INDEX | mask, AT_RBX_RDI_4 | value);
        Self { operand: Some(DATA + 4 * 8 + 0x10), ..case }
    }

    const fn at(self, offset: u64) -> Self {
        Self { offset, ..self }
    }

    const fn needs(self, feature: Feature) -> Self {
        Self { needs: Some(feature), ..self }
    }

    const fn prepare(self, prepare: fn(&mut Vmx<'_, '_>, &GuestRam<'_>, &mut CpuState) -> Outcome) -> Self {
        Self { prepare, ..self }
    }
}

/// [RSI], 64-bit address, DS: scaling 0, address size 2 in bits 9:7, segment 3 in bits 17:15, no index (bit 22), base RSI.
const AT_RSI: u32 = 2 << 7 | 3 << 15 | 1 << 22 | 6 << 23;
/// The bits of a memory operand: scaling, address size, memory or register, segment, index unless invalid, base.
const MEMORY: u32 = 0b111 << 7 | 1 << 10 | 7 << 15 | 1 << 22 | 0x1f << 23;
/// [RBX + RDI * 4 + 10H].
const AT_RBX_RDI_4: u32 = 2 | 2 << 7 | 3 << 15 | 7 << 18 | 3 << 23;
const MEMORY_WITH_INDEX: u32 = MEMORY | 0b11 | 0xf << 18;

/// Pages of the guest's memory that structures are put in.
const VIRTUAL_APIC: u64 = 0x1_4000;
const APIC_ACCESS: u64 = 0x1_5000;
const LOG: u64 = 0x1_6000;
/// The guest's own tables map it, and the extended ones do not.
const UNMAPPED: u64 = 0x3000_0000;

const DESCRIPTOR: SecondaryControls = SecondaryControls::DESCRIPTOR_TABLE_EXITING;
/// Which states of the supervisor XSAVES saves.
const IA32_XSS: u32 = 0xda0;
const TPR_SHADOW: PrimaryControls = PrimaryControls::USE_TPR_SHADOW;

#[rustfmt::skip]
const CASES: &[Case] = &[
    case("HLT exiting", &[0xf4], BasicExitReason::HLT).primary(PrimaryControls::HLT_EXITING),
    case("INVLPG exiting", &[0x0f, 0x01, 0x3e], BasicExitReason::INVLPG).primary(PrimaryControls::INVLPG_EXITING).qualification(DATA),
    case("RDPMC exiting", &[0x0f, 0x33], BasicExitReason::RDPMC).primary(PrimaryControls::RDPMC_EXITING),
    case("RDTSC exiting", &[0x0f, 0x31], BasicExitReason::RDTSC).primary(PrimaryControls::RDTSC_EXITING),
    case("RDTSCP under RDTSC exiting", &[0x0f, 0x01, 0xf9], BasicExitReason::RDTSCP).primary(PrimaryControls::RDTSC_EXITING)
        .secondary(SecondaryControls::ENABLE_RDTSCP),
    case("CR3-load exiting", &[0x0f, 0x22, 0xd8], BasicExitReason::CONTROL_REGISTER_ACCESS).primary(PrimaryControls::CR3_LOAD_EXITING)
        .qualification(0x003),
    case("CR3-store exiting", &[0x41, 0x0f, 0x20, 0xde], BasicExitReason::CONTROL_REGISTER_ACCESS)
        .primary(PrimaryControls::CR3_STORE_EXITING).qualification(0xe13),
    case("CR8-load exiting", &[0x44, 0x0f, 0x22, 0xc3], BasicExitReason::CONTROL_REGISTER_ACCESS)
        .primary(PrimaryControls::CR8_LOAD_EXITING).qualification(0x308),
    case("CR8-store exiting", &[0x44, 0x0f, 0x20, 0xc1], BasicExitReason::CONTROL_REGISTER_ACCESS)
        .primary(PrimaryControls::CR8_STORE_EXITING).qualification(0x118),
    case("CLTS with CR0.TS the host's", &[0x0f, 0x06], BasicExitReason::CONTROL_REGISTER_ACCESS).qualification(0x20).prepare(own_ts),
    case("LMSW AX with CR0.TS the host's", &[0x0f, 0x01, 0xf0], BasicExitReason::CONTROL_REGISTER_ACCESS).qualification(0x1_0030)
        .prepare(own_ts),
    case("LMSW [RSI] with CR0.TS the host's", &[0x0f, 0x01, 0x36], BasicExitReason::CONTROL_REGISTER_ACCESS).qualification(0x1_0070)
        .prepare(own_ts),
    case("MOV-DR exiting, to DR7", &[0x0f, 0x23, 0xf8], BasicExitReason::MOV_DR).primary(PrimaryControls::MOV_DR_EXITING).qualification(0x007),
    case("MOV-DR exiting, from DR2", &[0x41, 0x0f, 0x21, 0xd3], BasicExitReason::MOV_DR).primary(PrimaryControls::MOV_DR_EXITING).qualification(0xb12),
    case("unconditional I/O exiting, IN", &[0xe4, 0x60], BasicExitReason::IO_INSTRUCTION)
        .primary(PrimaryControls::UNCONDITIONAL_IO_EXITING).without(PrimaryControls::USE_IO_BITMAPS).qualification(0x60_0048),
    case("unconditional I/O exiting, REP OUTSW", &[0xf3, 0x66, 0x6f], BasicExitReason::IO_INSTRUCTION)
        .primary(PrimaryControls::UNCONDITIONAL_IO_EXITING).without(PrimaryControls::USE_IO_BITMAPS).qualification(0x1234_0031)
        .information(0x3_8380, 2 << 7 | 3 << 15),
    case("I/O bitmaps, OUT DX, EAX", &[0xef], BasicExitReason::IO_INSTRUCTION).primary(PrimaryControls::USE_IO_BITMAPS)
        .qualification(0x1234_0003),
    case("MSR bitmaps, RDMSR", &[0x0f, 0x32], BasicExitReason::RDMSR).primary(PrimaryControls::USE_MSR_BITMAPS).prepare(efer),
    case("MSR bitmaps, WRMSR", &[0x0f, 0x30], BasicExitReason::WRMSR).primary(PrimaryControls::USE_MSR_BITMAPS).prepare(efer),
    case("no MSR bitmaps, RDMSR", &[0x0f, 0x32], BasicExitReason::RDMSR).without(PrimaryControls::USE_MSR_BITMAPS),
    case("no MSR bitmaps, WRMSR", &[0x0f, 0x30], BasicExitReason::WRMSR).without(PrimaryControls::USE_MSR_BITMAPS),
    case("MONITOR exiting", &[0x0f, 0x01, 0xc8], BasicExitReason::MONITOR).primary(PrimaryControls::MONITOR_EXITING),
    case("MWAIT exiting", &[0x0f, 0x01, 0xc9], BasicExitReason::MWAIT).primary(PrimaryControls::MWAIT_EXITING),
    case("PAUSE exiting", &[0xf3, 0x90], BasicExitReason::PAUSE).primary(PrimaryControls::PAUSE_EXITING),
    case("PAUSE-loop exiting", &[0xf3, 0x90, 0xeb, 0xfc], BasicExitReason::PAUSE).secondary(SecondaryControls::PAUSE_LOOP_EXITING)
        .prepare(|vcpu, _, _| {
            vcpu.vmcs_mut().write(field::PLE_GAP, u32::MAX)?;
            Ok(vcpu.vmcs_mut().write(field::PLE_WINDOW, 100)?)
        }),
    case("monitor trap flag", &[0x90, 0x90], BasicExitReason::MONITOR_TRAP_FLAG).primary(PrimaryControls::MONITOR_TRAP_FLAG).at(1)
        .needs(Feature::MonitorTrapFlag),
    case("injected monitor trap flag", &[0x90, 0x90], BasicExitReason::MONITOR_TRAP_FLAG).primary(PrimaryControls::MONITOR_TRAP_FLAG)
        .prepare(|vcpu, _, _| {
            Ok(vcpu.vmcs_mut().write(field::ENTRY_INTERRUPTION_INFORMATION, FieldValue::from_raw(0x8000_0700))?)
        }),
    case("NMI-window exiting", &[0x90], BasicExitReason::NMI_WINDOW).pin(PinControls::VIRTUAL_NMIS)
        .primary(PrimaryControls::NMI_WINDOW_EXITING),
    case("interrupt-window exiting", &[0x90], BasicExitReason::INTERRUPT_WINDOW).primary(PrimaryControls::INTERRUPT_WINDOW_EXITING)
        .prepare(|_, _, state| {
            state.rflags.set_if(true);
            Ok(())
        }),
    case("preemption timer", &[0xeb, 0xfe], BasicExitReason::PREEMPTION_TIMER_EXPIRED).pin(PinControls::ACTIVATE_PREEMPTION_TIMER)
        .prepare(|vcpu, _, _| Ok(vcpu.vmcs_mut().write(field::PREEMPTION_TIMER_VALUE, 0)?)),
    case("SGDT [RSI]", &[0x0f, 0x01, 0x06], BasicExitReason::GDTR_OR_IDTR_ACCESS).secondary(DESCRIPTOR)
        .at_rsi(3 << 28, 0),
    case("SIDT [RBX+RDI*4+10H]", &[0x0f, 0x01, 0x4c, 0xbb, 0x10], BasicExitReason::GDTR_OR_IDTR_ACCESS).secondary(DESCRIPTOR).with_index(3 << 28, 1 << 28),
    case("LGDT [RSI]", &[0x0f, 0x01, 0x16], BasicExitReason::GDTR_OR_IDTR_ACCESS).secondary(DESCRIPTOR)
        .at_rsi(3 << 28, 2 << 28),
    case("LIDT [RSI]", &[0x0f, 0x01, 0x1e], BasicExitReason::GDTR_OR_IDTR_ACCESS).secondary(DESCRIPTOR)
        .at_rsi(3 << 28, 3 << 28),
    case("SLDT R9", &[0x41, 0x0f, 0x00, 0xc1], BasicExitReason::LDTR_OR_TR_ACCESS).secondary(DESCRIPTOR)
        .register(1 << 10 | 0xf << 3 | 3 << 28, 1 << 10 | 9 << 3),
    case("STR [RSI]", &[0x0f, 0x00, 0x0e], BasicExitReason::LDTR_OR_TR_ACCESS).secondary(DESCRIPTOR)
        .at_rsi(3 << 28, 1 << 28),
    case("LLDT AX", &[0x0f, 0x00, 0xd0], BasicExitReason::LDTR_OR_TR_ACCESS).secondary(DESCRIPTOR)
        .register(1 << 10 | 0xf << 3 | 3 << 28, 1 << 10 | 2 << 28),
    case("LTR [RSI]", &[0x0f, 0x00, 0x1e], BasicExitReason::LDTR_OR_TR_ACCESS).secondary(DESCRIPTOR)
        .at_rsi(3 << 28, 3 << 28),
    case("WBINVD exiting", &[0x0f, 0x09], BasicExitReason::WBINVD).secondary(SecondaryControls::WBINVD_EXITING),
    case("RDRAND exiting", &[0x48, 0x0f, 0xc7, 0xf7], BasicExitReason::RDRAND).secondary(SecondaryControls::RDRAND_EXITING)
        .information(0xf << 3 | 3 << 11, 7 << 3 | 2 << 11),
    case("RDSEED exiting", &[0x0f, 0xc7, 0xf9], BasicExitReason::RDSEED).secondary(SecondaryControls::RDSEED_EXITING)
        .information(0xf << 3 | 3 << 11, 1 << 3 | 1 << 11),
    case("INVPCID under INVLPG exiting", &[0x66, 0x0f, 0x38, 0x82, 0x1e], BasicExitReason::INVPCID)
        .primary(PrimaryControls::INVLPG_EXITING).secondary(SecondaryControls::ENABLE_INVPCID)
        .at_rsi(0xf << 28, 3 << 28),
    case("VMFUNC of a function that is not enabled", &[0x0f, 0x01, 0xd4], BasicExitReason::VMFUNC)
        .secondary(SecondaryControls::ENABLE_VM_FUNCTIONS)
        .prepare(|vcpu, _, _| sensitive(vcpu, field::VM_FUNCTION_CONTROLS, FieldValue::from_raw(0))),
    case("INVEPT RBX, [RSI]", &[0x66, 0x0f, 0x38, 0x80, 0x1e], BasicExitReason::INVEPT).at_rsi(0xf << 28, 3 << 28),
    case("INVVPID RAX, [RBX+RDI*4+10H]", &[0x66, 0x0f, 0x38, 0x81, 0x44, 0xbb, 0x10], BasicExitReason::INVVPID).with_index(0xf << 28, 0),
    case("VMCLEAR [RSI]", &[0x66, 0x0f, 0xc7, 0x36], BasicExitReason::VMCLEAR).at_rsi(0, 0),
    case("VMPTRLD [RSI]", &[0x0f, 0xc7, 0x36], BasicExitReason::VMPTRLD).at_rsi(0, 0),
    case("VMPTRST [RSI]", &[0x0f, 0xc7, 0x3e], BasicExitReason::VMPTRST).at_rsi(0, 0),
    case("VMXON [RSI]", &[0xf3, 0x0f, 0xc7, 0x36], BasicExitReason::VMXON).at_rsi(0, 0),
    case("VMREAD R9, RBX", &[0x41, 0x0f, 0x78, 0xd9], BasicExitReason::VMREAD)
        .register(1 << 10 | 0xf << 3 | 0xf << 28, 1 << 10 | 9 << 3 | 3 << 28),
    case("VMWRITE RCX, [RSI]", &[0x0f, 0x79, 0x0e], BasicExitReason::VMWRITE).at_rsi(0xf << 28, 1 << 28),
    // The link pointer refers to no VMCS: without the bit in the bitmap, the instruction would fail and not end the run.
    case("VMCS shadowing, VMREAD RCX, RBX", &[0x0f, 0x78, 0xd9], BasicExitReason::VMREAD)
        .secondary(SecondaryControls::VMCS_SHADOWING).register(1 << 10 | 0xf << 3 | 0xf << 28, 1 << 10 | 1 << 3 | 3 << 28)
        .prepare(|vcpu, ram, _| shadowing(vcpu, ram, field::VMREAD_BITMAP_ADDRESS)),
    case("VMCS shadowing, VMWRITE RCX, RBX", &[0x0f, 0x79, 0xcb], BasicExitReason::VMWRITE)
        .secondary(SecondaryControls::VMCS_SHADOWING).register(1 << 10 | 0xf << 3 | 0xf << 28, 1 << 10 | 3 << 3 | 1 << 28)
        .prepare(|vcpu, ram, _| shadowing(vcpu, ram, field::VMWRITE_BITMAP_ADDRESS)),
    case("XSAVES [RSI]", &[0x0f, 0xc7, 0x2e], BasicExitReason::XSAVES).secondary(SecondaryControls::ENABLE_XSAVES)
        .at_rsi(0, 0).needs(Feature::SupervisorStates).prepare(supervisor_states),
    case("XRSTORS [RSI]", &[0x0f, 0xc7, 0x1e], BasicExitReason::XRSTORS).secondary(SecondaryControls::ENABLE_XSAVES)
        .at_rsi(0, 0).needs(Feature::SupervisorStates).prepare(supervisor_states),
    case("GETSEC", &[0x0f, 0x37], BasicExitReason::GETSEC).needs(Feature::Smx).prepare(|vcpu, _, _| {
        // The library lets no guest have it.
        let cr4 = vcpu.vmcs().read(field::GUEST_CR4)?.with_smxe(true);
        sensitive(vcpu, field::GUEST_CR4, cr4)
    }),
    case("VMCALL", &[0x0f, 0x01, 0xc1], BasicExitReason::VMCALL),
    case("VMLAUNCH", &[0x0f, 0x01, 0xc2], BasicExitReason::VMLAUNCH),
    case("VMRESUME", &[0x0f, 0x01, 0xc3], BasicExitReason::VMRESUME),
    case("VMXOFF", &[0x0f, 0x01, 0xc4], BasicExitReason::VMXOFF),
    case("CPUID", &[0x0f, 0xa2], BasicExitReason::CPUID),
    case("INVD", &[0x0f, 0x08], BasicExitReason::INVD),
    case("XSETBV", &[0x0f, 0x01, 0xd1], BasicExitReason::XSETBV).needs(Feature::Xsave).prepare(|_, _, state| {
        state.cr4.set_osxsave(true);
        Ok(())
    }),
    // MOV CR8, RDX with RDX = 4.
    case("TPR below threshold", &[0x44, 0x0f, 0x22, 0xc2], BasicExitReason::TPR_BELOW_THRESHOLD).primary(TPR_SHADOW)
        .without(PrimaryControls::CR8_LOAD_EXITING).at(4).prepare(|vcpu, ram, state| {
            virtual_apic(vcpu, ram)?;
            // TPR = 80H, so that the entry is valid.
            ram.write(VIRTUAL_APIC + 0x80, &[0x80])?;
            state.gprs.rdx = 4;
            Ok(vcpu.vmcs_mut().write(field::TPR_THRESHOLD, 8)?)
        }),
    // WRMSR to TPR of the x2APIC.
    case("TPR below threshold, x2APIC", &[0x0f, 0x30], BasicExitReason::TPR_BELOW_THRESHOLD).primary(TPR_SHADOW)
        .secondary(SecondaryControls::VIRTUALIZE_X2APIC_MODE).at(2).prepare(|vcpu, ram, state| {
            virtual_apic(vcpu, ram)?;
            ram.write(VIRTUAL_APIC + 0x80, &[0x80])?;
            sensitive(vcpu, field::MSR_BITMAPS, FieldValue::from_raw(ram.hpa().get() + LOG))?;
            state.gprs.rcx = 0x808;
            state.gprs.rdx = 0;
            Ok(vcpu.vmcs_mut().write(field::TPR_THRESHOLD, 8)?)
        }),
    // MOV EAX, [EBX]: nothing is mapped there.
    case("EPT violation", &[0x67, 0x8b, 0x03], BasicExitReason::EPT_VIOLATION).secondary(SecondaryControls::ENABLE_EPT)
        .qualification(0x181).prepare(|_, _, state| {
            state.gprs.rbx = UNMAPPED;
            Ok(())
        }),
    // MOV EAX, [RSI].
    case("APIC access, read", &[0x8b, 0x06], BasicExitReason::APIC_ACCESS).secondary(SecondaryControls::VIRTUALIZE_APIC_ACCESSES)
        .qualification(0x020).prepare(|vcpu, ram, state| apic_access(vcpu, ram, state, 0x20)),
    // MOV [RSI], EAX.
    case("APIC access, write", &[0x89, 0x06], BasicExitReason::APIC_ACCESS).secondary(SecondaryControls::VIRTUALIZE_APIC_ACCESSES)
        .qualification(0x1300).prepare(|vcpu, ram, state| apic_access(vcpu, ram, state, 0x300)),
    case("virtualized EOI", &[0x89, 0x06], BasicExitReason::VIRTUALIZED_EOI).primary(TPR_SHADOW)
        .secondary(SecondaryControls::VIRTUALIZE_APIC_ACCESSES.union(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY))
        .qualification(0x51).at(2).prepare(|vcpu, ram, state| {
            virtual_apic(vcpu, ram)?;
            // Vector 51H is in service.
            ram.write(VIRTUAL_APIC + 0x120, &(1_u32 << 0x11).to_le_bytes())?;
            vcpu.vmcs_mut().write(field::GUEST_INTERRUPT_STATUS, FieldValue::from_raw(0x5100))?;
            vcpu.vmcs_mut().write(field::EOI_EXIT_BITMAP_1, u64::MAX)?;
            apic_access(vcpu, ram, state, 0xb0)
        }),
    case("APIC write", &[0x89, 0x06], BasicExitReason::APIC_WRITE).primary(TPR_SHADOW)
        .secondary(SecondaryControls::VIRTUALIZE_APIC_ACCESSES.union(SecondaryControls::APIC_REGISTER_VIRTUALIZATION))
        .qualification(0x0d0).at(2).prepare(|vcpu, ram, state| {
            virtual_apic(vcpu, ram)?;
            apic_access(vcpu, ram, state, 0xd0)
        }),
    // MOV [RSI], EAX: the first page that becomes dirty, with an index that is behind the end of the log.
    case("page-modification log full", &[0x89, 0x06], BasicExitReason::PAGE_MODIFICATION_LOG_FULL).secondary(SecondaryControls::ENABLE_PML)
        .prepare(|vcpu, ram, _| {
            let eptp = vcpu.vmcs().read(field::EPT_POINTER)?.with_accessed_dirty(true);
            sensitive(vcpu, field::EPT_POINTER, eptp)?;
            sensitive(vcpu, field::PML_ADDRESS, FieldValue::from_raw(ram.hpa().get() + LOG))?;
            Ok(vcpu.vmcs_mut().write(field::PML_INDEX, FieldValue::from_raw(0xffff))?)
        }),
    // MOV [RSI], EAX: the entry allows writes but no reads.
    case("EPT misconfiguration", &[0x89, 0x06], BasicExitReason::EPT_MISCONFIGURATION).prepare(|vcpu, _, _| {
        change_page(vcpu.vmcs().read(field::EPT_POINTER)?, DATA, |page| page.with_read(false).with_execute(false));
        Ok(())
    }),
    // UD2, with an empty IDT.
    case("triple fault", &[0x0f, 0x0b], BasicExitReason::TRIPLE_FAULT).prepare(|_, _, state| {
        state.idtr.limit = 0;
        Ok(())
    }),
    // MOV [RSI], EAX: the table of sub-page permissions is empty.
    case("sub-page write permissions", &[0x89, 0x06], BasicExitReason::SPP_RELATED_EVENT)
        .secondary(SecondaryControls::SUB_PAGE_WRITE_PERMISSIONS).qualification(1 << 11).prepare(|vcpu, ram, _| {
            sensitive(vcpu, field::SUB_PAGE_PERMISSION_TABLE_POINTER, FieldValue::from_raw(ram.hpa().get() + LOG))?;
            let eptp = vcpu.vmcs().read(field::EPT_POINTER)?;
            change_page(eptp, DATA, |page| page.with_write(false).with_sub_page_write(true));
            Ok(())
        }),
];

/// Changes the entry of the page at guest-physical `address`, which is of 4 KiB.
fn change_page(eptp: Eptp, address: u64, change: fn(EptEntry) -> EptEntry) {
    let mut table = eptp.root();
    for level in (1..=4_u64).rev() {
        let index = address >> (3 + 9 * level) & 0x1ff;
        let entry =
            core::ptr::with_exposed_provenance_mut::<u64>(usize::try_from(table.get() + 8 * index).unwrap_or(0));
        // SAFETY: the machine maps its memory one to one, and only this processor uses the tables.
        let old = EptEntry::from_bits(unsafe { entry.read_volatile() });
        if level == 1 {
            // SAFETY: as above; the changes give the guest less than before.
            unsafe { entry.write_volatile(change(old).into_bits()) };
        }
        table = old.hpa();
    }
}

/// CR0.TS is the host's, and the guest reads 1.
fn own_ts(vcpu: &mut Vmx<'_, '_>, ram: &GuestRam<'_>, state: &mut CpuState) -> Outcome {
    const TS: u64 = 1 << 3;
    let mask = vcpu.vmcs().read(field::CR0_GUEST_HOST_MASK)?.into_raw() | TS;
    sensitive(vcpu, field::CR0_GUEST_HOST_MASK, FieldValue::from_raw(mask))?;
    let shadow = vcpu.vmcs().read(field::CR0_READ_SHADOW)?.into_raw() | TS;
    vcpu.vmcs_mut().write(field::CR0_READ_SHADOW, FieldValue::from_raw(shadow))?;
    // PE alone: LMSW clears TS.
    state.gprs.rax = 1;
    Ok(ram.write(DATA, &[1, 0])?)
}

/// RCX selects EFER.
fn efer(_vcpu: &mut Vmx<'_, '_>, _ram: &GuestRam<'_>, state: &mut CpuState) -> Outcome {
    state.gprs.rcx = 0xc000_0080;
    Ok(())
}

/// A bitmap of VMREAD or VMWRITE in which all bits are set.
fn shadowing(vcpu: &mut Vmx<'_, '_>, ram: &GuestRam<'_>, bitmap: Field<Hpa, Sensitive>) -> Outcome {
    ram.write(LOG, &[0xff; 0x1000])?;
    let none = FieldValue::from_raw(ram.hpa().get() + VIRTUAL_APIC);
    sensitive(vcpu, field::VMREAD_BITMAP_ADDRESS, none)?;
    sensitive(vcpu, field::VMWRITE_BITMAP_ADDRESS, none)?;
    sensitive(vcpu, bitmap, FieldValue::from_raw(ram.hpa().get() + LOG))
}

/// The instruction asks for states that the bitmap of exits names.
fn supervisor_states(vcpu: &mut Vmx<'_, '_>, _ram: &GuestRam<'_>, state: &mut CpuState) -> Outcome {
    state.cr4.set_osxsave(true);
    state.gprs.rax = u64::MAX;
    state.gprs.rdx = u64::MAX;
    set_supervisor_states(true);
    sensitive(vcpu, field::XSS_EXITING_BITMAP, u64::MAX)
}

/// Gives XSAVES, where there is one, something to save, against the promise about IA32_XSS: the library has seen that it is 0, and does
/// not make it 0 for the guest.
fn set_supervisor_states(are_on: bool) {
    if has(Feature::SupervisorStates) {
        let supported = __cpuid_count(0xd, 1);
        let states = u64::from(supported.edx) << 32 | u64::from(supported.ecx);
        // SAFETY: the processor has these states, and nothing on this machine uses XSAVES but a guest that is not to get that far.
        unsafe { wrmsr(IA32_XSS, if are_on { states } else { 0 }) };
    }
}

/// A page of the guest's memory is its virtual APIC.
fn virtual_apic(vcpu: &mut Vmx<'_, '_>, ram: &GuestRam<'_>) -> Outcome {
    sensitive(vcpu, field::VIRTUAL_APIC_ADDRESS, FieldValue::from_raw(ram.hpa().get() + VIRTUAL_APIC))
}

/// A page of the guest's memory is the APIC-access page, and RSI points to the register at `offset`.
fn apic_access(vcpu: &mut Vmx<'_, '_>, ram: &GuestRam<'_>, state: &mut CpuState, offset: u64) -> Outcome {
    state.gprs.rsi = APIC_ACCESS + offset;
    sensitive(vcpu, field::APIC_ACCESS_ADDRESS, FieldValue::from_raw(ram.hpa().get() + APIC_ACCESS))
}

fn sensitive<T: FieldValue>(vcpu: &mut Vmx<'_, '_>, field: Field<T, Sensitive>, value: T) -> Outcome {
    // SAFETY: the cases give the processor nothing but pages of the guest's own memory, and ask for more exits.
    Ok(unsafe { vcpu.vmcs_mut().write_sensitive(field, value) }?)
}

/// Each control that this processor has.
pub(crate) fn that_end_a_run(bench: &Bench) -> Outcome {
    let mut failures = Vec::new();
    for case in CASES.iter().filter(|case| case.needs.is_none_or(has)) {
        if let Err(why) = check(bench, case) {
            failures.push(format!("{}: {why}", case.name));
        }
    }
    set_supervisor_states(false);
    ensure!(failures.is_empty(), "{}", failures.join("; "));
    Ok(())
}

fn check(bench: &Bench, case: &Case) -> Outcome {
    bench.with_guest(Mode::Long, case.bytes, &VcpuConfig::new(), |guest| {
        let AnyVcpu::Vmx(vcpu) = &mut guest.vcpu else { fail!("no VMX") };
        if !set(vcpu, case)? {
            return Ok(());
        }
        let mut state = Mode::Long.state();
        state.gprs = Gprs { rax: 1, rcx: 2, rdx: 0x1234, rbx: DATA, rsi: DATA, rdi: 8, ..Gprs::default() };
        state.rsp = STACK;
        vcpu.set_state(&state)?;
        (case.prepare)(vcpu, &guest.ram, &mut state)?;
        let shadow = vcpu.vmcs().read(field::CR0_READ_SHADOW)?;
        let cr4 = vcpu.vmcs().read(field::GUEST_CR4)?.into_bits();
        vcpu.set_state(&state)?;
        let cr4 = cr4 | vcpu.vmcs().read(field::GUEST_CR4)?.into_bits();
        sensitive(vcpu, field::GUEST_CR4, FieldValue::from_raw(cr4))?;
        vcpu.vmcs_mut().write(field::CR0_READ_SHADOW, shadow)?;
        let exit = guest.run()?;
        let Reason::Vmx(reason) = exit.reason else { fail!("no VMX: {}", exit.reason) };
        ensure_eq!(reason.basic(), case.reason, "reason at {:#x}", guest.vcpu.rip());
        ensure_eq!(guest.vcpu.rip(), CODE + case.offset, "RIP");
        ensure!(exit.kind != ExitKind::Vendor, "no kind for {reason}");
        match exit.kind {
            ExitKind::DescriptorTable(DescriptorTableAccess { operand: Operand::Memory(address), .. })
            | ExitKind::Invpcid(Invpcid { descriptor: address, .. }) => {
                ensure_eq!(Some(address.get()), case.operand, "linear address of the operand");
            }
            _ => {}
        }
        let AnyVcpu::Vmx(vcpu) = &guest.vcpu else { fail!("no VMX") };
        let raw = vcpu.vmcs().read(field::EXIT_QUALIFICATION)?;
        ensure_eq!(raw, case.qualification.unwrap_or(raw), "exit qualification");
        if let Some((mask, value)) = case.information {
            let information = vcpu.vmcs().read(field::EXIT_INSTRUCTION_INFORMATION)?;
            ensure_eq!(information & mask, value, "instruction information {information:#x}");
        }
        let information = InstructionInformation::read(reason, vcpu.vmcs());
        let operand = information.memory_operand(raw);
        let address = operand.map(|operand| operand.effective_address(vcpu.gprs(), vcpu.rsp()));
        ensure_eq!(address, case.operand, "address of the operand ({information})");
        let qualification = ExitQualification::read(reason, vcpu.vmcs());
        ensure_eq!(qualification.into_raw(), raw, "{qualification}");
        note_controls(case);
        Ok(())
    })
}

/// Sets the controls of the case. False if the processor lacks one.
fn set(vcpu: &mut Vmx<'_, '_>, case: &Case) -> Outcome<bool> {
    let capabilities = *vcpu.capabilities();
    let pin = vcpu.vmcs().read(field::PIN_CONTROLS)? | case.pin;
    let primary = (vcpu.vmcs().read(field::PRIMARY_CONTROLS)? | case.primary).without(case.without);
    let secondary = vcpu.vmcs().read(field::SECONDARY_CONTROLS)? | case.secondary;
    if !capabilities.pin().may_be_one().contains(pin)
        || !capabilities.primary().may_be_one().contains(primary)
        || !capabilities.secondary().may_be_one().contains(secondary)
    {
        machine::println!("not on this processor: {}", case.name);
        return Ok(false);
    }
    sensitive(vcpu, field::PIN_CONTROLS, pin)?;
    sensitive(vcpu, field::PRIMARY_CONTROLS, primary)?;
    sensitive(vcpu, field::SECONDARY_CONTROLS, secondary)?;
    Ok(true)
}

/// Takes note of the controls of a case that passed.
fn note_controls(case: &Case) {
    let words = [
        (ControlWord::Pin, case.pin.into_bits()),
        (ControlWord::Primary, case.primary.into_bits()),
        (ControlWord::Secondary, case.secondary.into_bits()),
    ];
    for (word, bits) in words {
        for bit in (0..32).filter(|bit| bits >> bit & 1 == 1) {
            coverage::control(Control { word, bit });
        }
    }
}
