//! The debug registers with which the guest runs: its own, and those of the debugger.

#[cfg(feature = "decode")]
use super::BreakpointKind;
use super::{Breakpoint, GuestDebug, SLOTS};
use crate::addr::Gva;
use crate::linear;
use crate::register::{ControlRegister, Cr4};

/// Whose a breakpoint is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Owner {
    Guest,
    /// The debugger's with this number.
    Debugger(u8),
    /// That on the handler of the event that an entry delivers.
    #[cfg(feature = "decode")]
    Handler,
}

/// What the guest has of its own, to be put back.
#[derive(Clone, Copy, Debug)]
pub(super) struct Armed {
    owners: [Owner; SLOTS],
    addresses: [u64; SLOTS],
    dr6: u64,
    dr7: u64,
}

/// What the conditions of a #DB mean.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Found {
    /// Breakpoints of the debugger, by their numbers.
    pub(super) hits: u8,
    /// Those on handlers.
    #[cfg(feature = "decode")]
    pub(super) handler: bool,
    /// What is left for the guest, as in DR6.
    pub(super) own: u64,
}

/// DR7.G0, and R/W0 with LEN0.
const GLOBAL: u64 = 2;
const ENABLES: u64 = 3;
const CONTROL: u64 = 0xf;
const CONTROL_SHIFT: usize = 16;

impl Armed {
    /// Loads the debug registers, and watches the exceptions `vectors`.
    pub(super) fn load<V: GuestDebug>(
        vcpu: &mut V,
        wanted: impl Iterator<Item = (Owner, Breakpoint)>,
        vectors: u32,
    ) -> Self {
        let mut armed =
            Self { owners: [Owner::Guest; SLOTS], addresses: vcpu.breakpoints(), dr6: vcpu.dr6(), dr7: vcpu.dr7() };
        let (mut addresses, mut dr7) = (armed.addresses, armed.dr7);
        let reachable = wanted.filter(|(_, breakpoint)| can_be_met(vcpu, breakpoint.address));
        for (owner, breakpoint) in reachable {
            let Some(slot) = armed.free_slot() else { break };
            let all = ENABLES << (2 * slot) | CONTROL << (CONTROL_SHIFT + 4 * slot);
            dr7 = dr7 & !all | GLOBAL << (2 * slot) | breakpoint.control() << (CONTROL_SHIFT + 4 * slot);
            if let (Some(address), Some(entry)) = (addresses.get_mut(slot), armed.owners.get_mut(slot)) {
                *address = breakpoint.address.get();
                *entry = owner;
            }
        }
        if addresses != armed.addresses {
            // Only canonical ones were added.
            let _always = vcpu.set_breakpoints(addresses);
        }
        if dr7 != armed.dr7 {
            vcpu.set_dr7(dr7);
        }
        // So that the conditions of now can be told from those of before.
        vcpu.set_dr6(0);
        vcpu.watch_exceptions(vectors);
        armed
    }

    /// Where a breakpoint goes: where the guest has none, else in place of one of the guest's.
    fn free_slot(&self) -> Option<usize> {
        let is_guests = |slot: &usize| self.owners.get(*slot) == Some(&Owner::Guest);
        let is_enabled = |slot: &usize| self.dr7 >> (2 * slot) & ENABLES != 0;
        let unused = (0..SLOTS).filter(is_guests).find(|slot| !is_enabled(slot));
        unused.or_else(|| (0..SLOTS).rev().find(is_guests))
    }

    /// Puts the guest's own registers back. Returns the conditions of the #DB, if one has ended the run.
    pub(super) fn unload<V: GuestDebug>(&self, vcpu: &mut V) -> u64 {
        let conditions = vcpu.debug_conditions();
        vcpu.watch_exceptions(0);
        if vcpu.breakpoints() != self.addresses {
            // They were the guest's.
            let _always = vcpu.set_breakpoints(self.addresses);
        }
        if vcpu.dr7() != self.dr7 {
            vcpu.set_dr7(self.dr7);
        }
        vcpu.set_dr6(self.dr6);
        conditions
    }

    /// Whose the conditions of a #DB are. A processor may report breakpoints that are not enabled.
    pub(super) fn sort(&self, conditions: u64) -> Found {
        const BREAKPOINTS: u64 = 0xf;
        let mut found = Found { own: conditions & !BREAKPOINTS, ..Found::default() };
        for (slot, owner) in self.owners.iter().enumerate().filter(|(slot, _)| conditions >> slot & 1 == 1) {
            match owner {
                Owner::Debugger(number) => found.hits |= 1 << number,
                #[cfg(feature = "decode")]
                Owner::Handler => found.handler = true,
                Owner::Guest if self.dr7 >> (2 * slot) & ENABLES != 0 => found.own |= 1 << slot,
                Owner::Guest => {}
            }
        }
        found
    }
}

/// Whether the guest can come by the address. Others are not for debug registers.
fn can_be_met<V: GuestDebug>(vcpu: &V, address: Gva) -> bool {
    let width = if Cr4::from(vcpu.control(ControlRegister::Cr4)).la57() { 57 } else { 48 };
    address.is_canonical(width) && (address.get() >> 32 == 0 || linear::is_64_bit(vcpu) || vcpu.efer().lma())
}

/// Whether a breakpoint is met when an instruction has been executed, and not before.
#[cfg(feature = "decode")]
pub(super) fn is_of_data((_, breakpoint): &(Owner, Breakpoint)) -> bool {
    breakpoint.kind != BreakpointKind::Execute
}
