//! States that enter, one for each guest mode, to be broken by tests.

use std::collections::BTreeMap;

use x86_virt_core::Hpa;

use crate::capability::{Capabilities, RawCapabilities};
use crate::check::{Entry, Machine, Report, check_entry};
use crate::control::{
    Control, ControlWord, EntryControls, ExitControls, PrimaryControls, SecondaryControls, TertiaryControls,
};
use crate::field::{self, AccessClass, Encoding, Field, FieldValue};
use crate::profile::SAPPHIRE_RAPIDS;
use crate::testing::FakeVmcs;

/// A guest mode, unrestricted or not.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Mode {
    Real,
    Protected,
    ProtectedUnrestricted,
    Pae,
    PaeUnrestricted,
    Long,
    LongUnrestricted,
    Virtual8086,
    Virtual8086Unrestricted,
}

impl Mode {
    pub(super) const ALL: [Self; 9] = [
        Self::Real,
        Self::Protected,
        Self::ProtectedUnrestricted,
        Self::Pae,
        Self::PaeUnrestricted,
        Self::Long,
        Self::LongUnrestricted,
        Self::Virtual8086,
        Self::Virtual8086Unrestricted,
    ];

    const fn is_unrestricted(self) -> bool {
        !matches!(self, Self::Protected | Self::Pae | Self::Long | Self::Virtual8086)
    }
}

/// A Sapphire Rapids with every control and feature that the manual names.
pub(super) fn capabilities() -> RawCapabilities {
    let raw = SAPPHIRE_RAPIDS.raw;
    RawCapabilities {
        basic: raw.basic | 1 << 58,
        true_primary: raw.true_primary | u64::from(PrimaryControls::ACTIVATE_TERTIARY_CONTROLS.into_bits()) << 32,
        secondary: 0xffff_ffff << 32,
        tertiary: 0x13ff,
        true_exit: raw.true_exit | u64::from(ExitControls::ACTIVATE_SECONDARY_CONTROLS.into_bits()) << 32,
        secondary_exit: 0xf,
        true_entry: raw.true_entry | 0x3ff_fe00 << 32,
        vm_functions: 1,
        // LA57, LAM_SUP, FRED.
        cr4_fixed1: raw.cr4_fixed1 | 1 << 12 | 1 << 28 | 1 << 32,
        // Both lengths and memory types, accessed and dirty flags, supervisor shadow stacks.
        ept_vpid: raw.ept_vpid | 0xc0 | 1 << 8 | 1 << 14 | 1 << 21 | 1 << 23,
        ..raw
    }
}

/// Memory that is zero but for what is written here, and MSRs that are all right but for those named.
#[derive(Clone, Default)]
pub(super) struct World {
    pub(super) memory: BTreeMap<u64, u64>,
    pub(super) refused_value: Option<u32>,
    pub(super) refused_msr: Option<u32>,
}

impl Machine for World {
    fn memory(&self, address: Hpa) -> Option<u64> {
        Some(self.memory.get(&address.get()).copied().unwrap_or_default())
    }

    fn accepts_msr(&self, msr: u32, _value: u64) -> Option<bool> {
        Some(self.refused_value != Some(msr))
    }

    fn can_load_msr(&self, msr: u32) -> Option<bool> {
        Some(self.refused_msr != Some(msr))
    }
}

/// A state and all that is known beside it.
#[derive(Clone)]
pub(super) struct State {
    pub(super) vmcs: FakeVmcs,
    pub(super) raw: RawCapabilities,
    pub(super) entry: Entry<'static>,
    pub(super) world: World,
}

pub(super) const CURRENT: u64 = 0x5000;
pub(super) const VMXON: u64 = 0x6000;
pub(super) const EXECUTIVE: u64 = 0x7000;
pub(super) const LINKED: u64 = 0x8000;
pub(super) const MSR_AREA: u64 = 0x9000;

/// The revision identifier of [`capabilities`].
pub(super) const REVISION: u64 = 0x13;

/// Not canonical, with 57-bit linear addresses.
pub(super) const NOT_CANONICAL: u64 = 1 << 56;

/// Canonical with 57-bit linear addresses only.
pub(super) const CANONICAL_57: u64 = 0x00ff_ffff_ffff_f000;

impl State {
    /// A state that enters.
    pub(super) fn new(mode: Mode) -> Self {
        let entry = Entry {
            current_vmcs: Some(Hpa::new(CURRENT)),
            vmxon_pointer: Some(Hpa::new(VMXON)),
            executive_is_launched: Some(true),
            executive_controls_are_valid: Some(true),
            is_tracing: Some(false),
            has_rtm: Some(true),
            has_sgx: Some(true),
            debugctl_bits: Some(0xffc7),
            perf_global_ctrl_bits: Some(0xf_0000_00ff),
            rtit_ctl_bits: Some(0x3fff),
            lbr_ctl_bits: Some(0x7f_000f),
            spec_ctrl_bits: Some(7),
            ..Entry::new()
        };
        let mut state = Self { vmcs: FakeVmcs::new(), raw: capabilities(), entry, world: World::default() };
        for region in [VMXON, EXECUTIVE, LINKED] {
            state.world.memory.insert(region, REVISION);
        }
        state.controls(mode);
        state.host();
        state.guest(mode);
        state
    }

    fn controls(&mut self, mode: Mode) {
        for word in [ControlWord::Pin, ControlWord::Primary, ControlWord::Exit, ControlWord::Entry] {
            let (required, _) = Capabilities::from_raw(self.raw).bits(word);
            self.set_raw(encoding(word), required);
        }
        self.on(SecondaryControls::ENABLE_EPT.control());
        self.put(field::EPT_POINTER, 0x1234_501e);
        if mode.is_unrestricted() {
            self.on(SecondaryControls::UNRESTRICTED_GUEST.control());
        }
        self.on(ExitControls::HOST_ADDRESS_SPACE_SIZE.control());
    }

    fn host(&mut self) {
        self.put(field::HOST_CR0, 0x8005_0033);
        self.put(field::HOST_CR4, 0x2020);
        self.put(field::HOST_CR3, 0x1000);
        self.put(field::HOST_CS_SELECTOR, 0x8);
        self.put(field::HOST_SS_SELECTOR, 0x10);
        self.put(field::HOST_TR_SELECTOR, 0x18);
        self.put(field::HOST_RIP, 0xffff_8000_0010_0000);
        self.put(field::HOST_GDTR_BASE, 0xffff_8000_0020_0000);
    }

    fn guest(&mut self, mode: Mode) {
        let (cr0, cr4, rflags) = match mode {
            Mode::Real => (0x30, 0x2000, 2),
            Mode::Virtual8086 | Mode::Virtual8086Unrestricted => (0x8001_0031, 0x2000, 0x2_0002),
            Mode::Protected | Mode::ProtectedUnrestricted => (0x8001_0031, 0x2000, 2),
            Mode::Pae | Mode::PaeUnrestricted | Mode::Long | Mode::LongUnrestricted => (0x8001_0031, 0x2020, 2),
        };
        self.put(field::GUEST_CR0, cr0);
        self.put(field::GUEST_CR4, cr4);
        self.put(field::GUEST_CR3, 0x2000);
        self.put(field::GUEST_PDPTE0, 0x3001);
        self.put(field::GUEST_DR7, 0x400);
        self.put(field::GUEST_RFLAGS, rflags);
        self.put(field::GUEST_RIP, 0x1000);
        self.put(field::VMCS_LINK_POINTER, u64::MAX);
        if matches!(mode, Mode::Long | Mode::LongUnrestricted) {
            self.on(EntryControls::IA32E_MODE_GUEST.control());
        }
        let (code, data, limit) = match mode {
            Mode::Real => (0x9b, 0x93, 0xffff),
            Mode::Virtual8086 | Mode::Virtual8086Unrestricted => (0xf3, 0xf3, 0xffff),
            Mode::Long | Mode::LongUnrestricted => (0xa09b, 0xc093, 0xffff_ffff),
            _ => (0xc09b, 0xc093, 0xffff_ffff),
        };
        for (selector, rights, limit_field, value) in [
            (field::GUEST_ES_SELECTOR, field::GUEST_ES_ACCESS_RIGHTS, field::GUEST_ES_LIMIT, data),
            (field::GUEST_CS_SELECTOR, field::GUEST_CS_ACCESS_RIGHTS, field::GUEST_CS_LIMIT, code),
            (field::GUEST_SS_SELECTOR, field::GUEST_SS_ACCESS_RIGHTS, field::GUEST_SS_LIMIT, data),
            (field::GUEST_DS_SELECTOR, field::GUEST_DS_ACCESS_RIGHTS, field::GUEST_DS_LIMIT, data),
            (field::GUEST_FS_SELECTOR, field::GUEST_FS_ACCESS_RIGHTS, field::GUEST_FS_LIMIT, data),
            (field::GUEST_GS_SELECTOR, field::GUEST_GS_ACCESS_RIGHTS, field::GUEST_GS_LIMIT, data),
        ] {
            self.put(selector, 0);
            self.put(rights, value);
            self.put(limit_field, limit);
        }
        self.put(field::GUEST_TR_ACCESS_RIGHTS, 0x8b);
        self.put(field::GUEST_TR_LIMIT, 0x67);
        self.put(field::GUEST_TR_SELECTOR, 0x18);
        self.put(field::GUEST_LDTR_ACCESS_RIGHTS, 0x1_0000);
        self.put(field::GUEST_GDTR_LIMIT, 0x7f);
        self.put(field::GUEST_IDTR_LIMIT, 0xfff);
    }

    pub(super) fn put<T: FieldValue, A: AccessClass>(&mut self, field: Field<T, A>, value: u64) {
        self.set_raw(field.encoding(), value);
    }

    pub(super) fn set_raw(&mut self, field: Encoding, value: u64) {
        self.vmcs.set_raw(field.get(), value);
    }

    fn raw(&self, field: Encoding) -> u64 {
        crate::access::VmcsRead::read_raw(&self.vmcs, field).unwrap()
    }

    /// Sets bits of a field.
    pub(super) fn or<T: FieldValue, A: AccessClass>(&mut self, field: Field<T, A>, bits: u64) {
        self.put(field, self.raw(field.encoding()) | bits);
    }

    /// Clears bits of a field.
    pub(super) fn clear<T: FieldValue, A: AccessClass>(&mut self, field: Field<T, A>, bits: u64) {
        self.put(field, self.raw(field.encoding()) & !bits);
    }

    /// Sets a control, and those that activate its word.
    pub(super) fn on(&mut self, control: Option<Control>) {
        let Control { word, bit } = control.unwrap();
        self.set_raw(encoding(word), self.raw(encoding(word)) | 1 << bit);
        if let Some(activation) = word.activation() {
            self.on(Some(activation));
        }
    }

    /// Clears a control.
    pub(super) fn off(&mut self, control: Option<Control>) {
        let Control { word, bit } = control.unwrap();
        self.set_raw(encoding(word), self.raw(encoding(word)) & !(1 << bit));
    }

    /// Injects an event.
    pub(super) fn inject(&mut self, information: u64) {
        self.put(field::ENTRY_INTERRUPTION_INFORMATION, information);
    }

    /// Code and stack of privilege level `level`.
    pub(super) fn at_level(&mut self, level: u64) {
        self.put(field::GUEST_CS_SELECTOR, 8 | level);
        self.put(field::GUEST_SS_SELECTOR, 0x10 | level);
        self.or(field::GUEST_CS_ACCESS_RIGHTS, level << 5);
        self.or(field::GUEST_SS_ACCESS_RIGHTS, level << 5);
    }

    /// A host that is not in 64-bit mode, on a processor that is not in IA-32e mode.
    pub(super) fn host_32(&mut self) {
        self.off(ExitControls::HOST_ADDRESS_SPACE_SIZE.control());
        self.entry.is_ia32e = false;
        self.put(field::HOST_RIP, 0x10_0000);
    }

    /// Virtual interrupts with all that they need.
    pub(super) fn virtual_interrupts(&mut self) {
        self.on(PrimaryControls::USE_TPR_SHADOW.control());
        self.on(SecondaryControls::VIRTUAL_INTERRUPT_DELIVERY.control());
        self.on(crate::control::PinControls::EXTERNAL_INTERRUPT_EXITING.control());
    }

    /// Posted interrupts with all that they need.
    pub(super) fn posted_interrupts(&mut self) {
        self.virtual_interrupts();
        self.on(crate::control::PinControls::PROCESS_POSTED_INTERRUPTS.control());
        self.on(ExitControls::ACKNOWLEDGE_INTERRUPT_ON_EXIT.control());
    }

    /// A virtual timer with all that it needs.
    pub(super) fn timer(&mut self) {
        self.virtual_interrupts();
        self.on(TertiaryControls::APIC_TIMER_VIRTUALIZATION.control());
    }

    /// An entry that returns from system-management mode to VMX root operation.
    pub(super) fn return_to_root(&mut self) {
        self.entry.in_smm = true;
        self.put(field::EXECUTIVE_VMCS_POINTER, VMXON);
    }

    /// An entry that returns from system-management mode to a guest.
    pub(super) fn return_to_guest(&mut self) {
        self.entry.in_smm = true;
        self.put(field::EXECUTIVE_VMCS_POINTER, EXECUTIVE);
    }

    /// An entry to system-management mode.
    pub(super) fn enter_smm(&mut self) {
        self.entry.in_smm = true;
        self.on(EntryControls::ENTRY_TO_SMM.control());
        self.or(field::GUEST_INTERRUPTIBILITY_STATE, 1 << 2);
    }

    /// An area of one MSR to load.
    pub(super) fn load_msr(&mut self, index: u64, value: u64) {
        self.put(field::ENTRY_MSR_LOAD_COUNT, 1);
        self.put(field::ENTRY_MSR_LOAD_ADDRESS, MSR_AREA);
        self.world.memory.insert(MSR_AREA, index);
        self.world.memory.insert(MSR_AREA + 8, value);
    }

    /// What a check finds.
    pub(super) fn with_report<R>(&self, look: impl FnOnce(&Report<'_>) -> R) -> R {
        let capabilities = Capabilities::from_raw(self.raw);
        look(&check_entry(&self.vmcs, &capabilities, Entry { machine: Some(&self.world), ..self.entry }))
    }

    /// The rules that the state breaks, and those that are undecided.
    pub(super) fn broken(&self) -> (Vec<&'static str>, Vec<String>) {
        self.with_report(|report| {
            (
                report.violations().map(|violation| violation.rule().id).collect(),
                report.undecided().map(|undecided| undecided.to_string()).collect(),
            )
        })
    }
}

/// The field of a control word.
pub(super) fn encoding(word: ControlWord) -> Encoding {
    match word {
        ControlWord::Pin => field::PIN_CONTROLS.encoding(),
        ControlWord::Primary => field::PRIMARY_CONTROLS.encoding(),
        ControlWord::Secondary => field::SECONDARY_CONTROLS.encoding(),
        ControlWord::Tertiary => field::TERTIARY_CONTROLS.encoding(),
        ControlWord::Exit => field::EXIT_CONTROLS.encoding(),
        ControlWord::SecondaryExit => field::SECONDARY_EXIT_CONTROLS.encoding(),
        ControlWord::Entry => field::ENTRY_CONTROLS.encoding(),
        ControlWord::VmFunction => field::VM_FUNCTION_CONTROLS.encoding(),
    }
}
