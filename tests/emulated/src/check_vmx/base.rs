//! Valid states.
#![expect(unsafe_code, reason = "reads MSRs of the host")]

use alloc::vec::Vec;

use x86_virt::vmx::field::{self, Encoding};
use x86_virt::vmx::{Capabilities, ControlWord, SecondaryControls, VmcsRead as _};
use x86_virt::{CpuState, Segment, SegmentAccessRights, Vcpu as _};

use crate::check_vmx::memory::{GUARD, Layout};
use crate::check_vmx::slot::allowed;
use crate::check_vmx::{Vcpu, enter};
use crate::guest;
use crate::harness::Outcome;

/// In what mode the guest is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Real,
    Protected,
    Paging,
    Pae,
    Virtual8086,
    Compatibility,
    Long,
}

/// What the controls are like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Paging {
    Unrestricted,
    Ept,
    None,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Controls {
    /// Few.
    Lean,
    /// All that the processor has and that go together.
    Rich,
    /// The same, and an event is injected.
    Event,
}

/// A valid state.
#[derive(Clone, Copy, Debug)]
pub(super) struct Base {
    mode: Mode,
    paging: Paging,
    controls: Controls,
}

impl Base {
    /// One of them.
    pub(super) const FIRST: Self = Self { mode: Mode::Real, paging: Paging::Unrestricted, controls: Controls::Lean };

    /// All that this processor has.
    pub(super) fn all(capabilities: &Capabilities) -> Vec<Self> {
        let has_unrestricted = capabilities.secondary().may_be_one().contains(SecondaryControls::UNRESTRICTED_GUEST);
        let modes =
            [Mode::Real, Mode::Protected, Mode::Paging, Mode::Pae, Mode::Virtual8086, Mode::Compatibility, Mode::Long];
        let mut bases = Vec::new();
        for mode in modes {
            for paging in [Paging::Unrestricted, Paging::Ept, Paging::None] {
                let is_possible = match paging {
                    Paging::Unrestricted => has_unrestricted,
                    Paging::Ept | Paging::None => !matches!(mode, Mode::Real | Mode::Protected),
                };
                if is_possible {
                    bases.extend([Controls::Lean, Controls::Rich, Controls::Event].map(|controls| Self {
                        mode,
                        paging,
                        controls,
                    }));
                }
            }
        }
        bases
    }

    /// The registers.
    fn state(self, layout: &Layout) -> CpuState {
        let mut state = match self.mode {
            Mode::Real | Mode::Virtual8086 => guest::Mode::Real.state(),
            Mode::Protected | Mode::Paging | Mode::Pae => guest::Mode::Protected.state(),
            Mode::Compatibility | Mode::Long => guest::Mode::Long.state(),
        };
        match self.mode {
            Mode::Real | Mode::Protected | Mode::Long => {}
            Mode::Paging => state.cr0.set_pg(true),
            Mode::Pae => {
                state.cr0.set_pg(true);
                state.cr4.set_pae(true);
            }
            Mode::Virtual8086 => {
                state.cr0.set_pe(true);
                state.cr0.set_pg(true);
                state.rflags.set_vm(true);
                let rights = SegmentAccessRights::from_bits(0xf3);
                for segment in
                    [&mut state.es, &mut state.cs, &mut state.ss, &mut state.ds, &mut state.fs, &mut state.gs]
                {
                    *segment = Segment { rights, limit: 0xffff, base: u64::from(segment.selector) << 4, ..*segment };
                }
            }
            Mode::Compatibility => state.cs = Segment::flat(24, SegmentAccessRights::CODE32),
        }
        state.cr3 = match self.paging {
            Paging::None => layout.tables(),
            Paging::Unrestricted | Paging::Ept => guest::TABLES,
        };
        // The delivery of an event finds no gate.
        state.idtr.limit = 0;
        state.rflags.set_if(self.controls == Controls::Event);
        state
    }

    /// Makes the state.
    pub(super) fn make(self, vcpu: &mut Vcpu<'_, '_>, capabilities: &Capabilities, layout: &Layout) -> Outcome {
        let state = self.state(layout);
        vcpu.set_state(&state)?;
        for (field, value) in [
            (field::GUEST_RIP.encoding(), state.rip),
            (field::GUEST_RSP.encoding(), state.rsp),
            (field::GUEST_RFLAGS.encoding(), state.rflags.into_bits() | 2),
            (field::ENTRY_MSR_LOAD_COUNT.encoding(), GUARD),
            (field::ENTRY_MSR_LOAD_ADDRESS.encoding(), layout.entry_load()),
            (field::EXIT_MSR_LOAD_ADDRESS.encoding(), layout.exit_load()),
            (field::EXIT_MSR_STORE_ADDRESS.encoding(), layout.exit_store()),
        ] {
            enter::write(vcpu, field, value)?;
        }
        for field in [field::GUEST_PDPTE0, field::GUEST_PDPTE1, field::GUEST_PDPTE2, field::GUEST_PDPTE3] {
            enter::write(vcpu, field.encoding(), guest::GDT | 1)?;
        }
        addresses(vcpu, layout)?;
        self.set_controls(vcpu, capabilities, layout)
    }

    fn set_controls(self, vcpu: &mut Vcpu<'_, '_>, capabilities: &Capabilities, layout: &Layout) -> Outcome {
        let secondary = field::SECONDARY_CONTROLS.encoding();
        if self.controls != Controls::Lean {
            for (word, field, bits) in RICH {
                change(vcpu, *field, bits & allowed(capabilities, *word), 0)?;
            }
            enter::write(vcpu, field::EXIT_MSR_LOAD_COUNT.encoding(), 2)?;
            enter::write(vcpu, field::EXIT_MSR_STORE_COUNT.encoding(), 2)?;
            let controls = allowed(capabilities, ControlWord::Secondary);
            if controls & VM_FUNCTIONS != 0 {
                let functions = allowed(capabilities, ControlWord::VmFunction);
                enter::write(vcpu, field::VM_FUNCTION_CONTROLS.encoding(), functions & 1)?;
            }
            let has_shadow = controls & SHADOWING != 0;
            let link = if has_shadow { layout.shadow_region() } else { layout.region() };
            enter::write(vcpu, field::VMCS_LINK_POINTER.encoding(), link)?;
        }
        match self.paging {
            Paging::Unrestricted => {}
            Paging::Ept => change(vcpu, secondary, 0, UNRESTRICTED)?,
            Paging::None => change(vcpu, secondary, 0, UNRESTRICTED | EPT | VM_FUNCTIONS | PML | SPP)?,
        }
        // What runs without EPT must have a timer.
        let timer = allowed(capabilities, ControlWord::Pin) & TIMER;
        change(vcpu, field::PIN_CONTROLS.encoding(), timer, 0)?;
        enter::write(vcpu, field::PREEMPTION_TIMER_VALUE.encoding(), 0)?;
        if self.controls == Controls::Event {
            // #UD.
            enter::write(vcpu, field::ENTRY_INTERRUPTION_INFORMATION.encoding(), 0x8000_0306)?;
        }
        Ok(())
    }
}

const TIMER: u64 = 1 << 6;
const EPT: u64 = 1 << 1;
const UNRESTRICTED: u64 = 1 << 7;
const VM_FUNCTIONS: u64 = 1 << 13;
const SHADOWING: u64 = 1 << 14;
const PML: u64 = 1 << 17;
const SPP: u64 = 1 << 23;

/// Controls of rich states.
const RICH: &[(ControlWord, Encoding, u64)] = &[
    // External interrupts, NMIs, virtual NMIs.
    (ControlWord::Pin, field::PIN_CONTROLS.encoding(), 0x29),
    // TSC offsetting, TPR shadow, I/O bitmaps, MSR bitmaps.
    (ControlWord::Primary, field::PRIMARY_CONTROLS.encoding(), 1 << 3 | 1 << 21 | 1 << 25 | 1 << 28),
    // All but x2APIC mode, which excludes APIC accesses, and what needs more than addresses.
    (
        ControlWord::Secondary,
        field::SECONDARY_CONTROLS.encoding(),
        1 | 1 << 2 | 1 << 5 | 1 << 8 | 1 << 9 | VM_FUNCTIONS | SHADOWING | PML | 1 << 18 | 1 << 20 | SPP | 1 << 25,
    ),
    // Acknowledge interrupts; save and load PAT and EFER; save the timer; load CET state and PKRS.
    (ControlWord::Exit, field::EXIT_CONTROLS.encoding(), 1 << 15 | 0x7c_0000 | 1 << 28 | 1 << 29),
    // Load PAT, EFER, BNDCFGS, CET state and PKRS.
    (ControlWord::Entry, field::ENTRY_CONTROLS.encoding(), 1 << 14 | 1 << 15 | 1 << 16 | 1 << 20 | 1 << 22),
];

/// Sets and clears bits.
fn change(vcpu: &mut Vcpu<'_, '_>, field: Encoding, set: u64, clear: u64) -> Outcome {
    let value = vcpu.vmcs().read_raw(field).map_err(enter::failed)?;
    enter::write(vcpu, field, (value | set) & !clear)
}

/// Gives right addresses to the fields, whether or not they are in force, as far as the processor has them.
fn addresses(vcpu: &mut Vcpu<'_, '_>, layout: &Layout) -> Outcome {
    const EFER: u32 = 0xc000_0080;
    const PAT: u32 = 0x277;
    // SAFETY: every processor with 64-bit mode has both.
    let efer = unsafe { x86::msr::rdmsr(EFER) };
    // SAFETY: as above.
    let pat = unsafe { x86::msr::rdmsr(PAT) };
    for (field, value) in [
        (field::VIRTUAL_APIC_ADDRESS.encoding(), layout.virtual_apic()),
        (field::APIC_ACCESS_ADDRESS.encoding(), layout.apic_access()),
        (field::PML_ADDRESS.encoding(), layout.page_modification_log()),
        (field::EPTP_LIST_ADDRESS.encoding(), layout.eptp_list()),
        (field::VMREAD_BITMAP_ADDRESS.encoding(), layout.vmread_bitmap()),
        (field::VMWRITE_BITMAP_ADDRESS.encoding(), layout.vmwrite_bitmap()),
        (field::VIRTUALIZATION_EXCEPTION_ADDRESS.encoding(), layout.exception_information()),
        (field::SUB_PAGE_PERMISSION_TABLE_POINTER.encoding(), layout.sub_page_table()),
        (field::POSTED_INTERRUPT_DESCRIPTOR_ADDRESS.encoding(), layout.interrupt_descriptor()),
        (field::VIRTUAL_PROCESSOR_ID.encoding(), 1),
        (field::TSC_MULTIPLIER.encoding(), 1 << 48),
        (field::HOST_IA32_EFER.encoding(), efer),
        (field::HOST_IA32_PAT.encoding(), pat),
        (field::EXCEPTION_BITMAP.encoding(), 0xffff_ffff),
    ] {
        if vcpu.vmcs().read_raw(field).is_ok() {
            enter::write(vcpu, field, value)?;
        }
    }
    Ok(())
}
