//! Exceptions that a guest can let come without end, so that no interrupt reaches the host: they leave the guest in any case.
//!
//! The delivery of #AC to a handler at privilege level 3 whose stack is not aligned raises #AC again. So does that of #DB with a breakpoint
//! on the stack or on the descriptor of its handler. The processor does not look for interrupts in between. CVE-2015-5307 and
//! CVE-2015-8104 were of this.
//!
//! Intel SDM vol. 3, section 27.6.3, "Exception Bitmap"; AMD APM vol. 2, section 15.12, "Exception Intercepts".

use crate::debugger::{GuestDebug, give_debug, here};
use crate::event::{Event, Exception};

const DEBUG: u8 = Exception::DEBUG.vector;
const ALIGNMENT_CHECK: u8 = 17;
/// L0 to G3 of DR7.
const ENABLES: u64 = 0xff;
/// How many are given back to a guest in one run.
const MOST: u32 = 32;

/// How many exceptions were given back in one run.
#[derive(Clone, Copy, Debug, Default)]
pub struct GivenBack(u32);

impl GivenBack {
    /// None yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(0)
    }

    /// Gives the guest `event`, an exception that ended the run for the host's sake alone. False if the run shall end nevertheless: the
    /// guest has got so many that the host looks after what else there is. The next run delivers this one, too.
    #[cold]
    pub fn give_back<V: GuestDebug>(&mut self, vcpu: &mut V, event: Event) -> bool {
        match event {
            Event::Exception(Exception { vector: DEBUG, .. }) => {
                if is_at_breakpoint(vcpu) {
                    let flags = vcpu.rflags();
                    vcpu.set_rflags(flags.with_rf(true));
                }
                give_debug(vcpu, vcpu.debug_conditions());
            }
            Event::Exception(exception) => {
                // With an event in whose delivery it came, it is merged as a processor does.
                let _always = vcpu.raise(exception);
            }
            other => {
                // INT1: it was executed, so that no other event waits.
                let _always = vcpu.events_mut().inject(other);
            }
        }
        self.0 += 1;
        self.0 < MOST
    }
}

/// Whether the #DB that ended the run is one of the guest's breakpoints on instructions. It is a fault, so that the saved RFLAGS.RF is 1.
///
/// Intel SDM vol. 3, section 19.3.1.1, "Instruction-Breakpoint Exception Condition".
fn is_at_breakpoint<V: GuestDebug>(vcpu: &V) -> bool {
    let (dr7, here) = (vcpu.dr7(), here(vcpu));
    (0_u32..).zip(vcpu.breakpoints()).any(|(number, address)| {
        let is_enabled = dr7 >> (2 * number) & 3 != 0;
        let is_of_instructions = dr7 >> (16 + 4 * number) & 3 == 0;
        is_enabled && is_of_instructions && address == here
    })
}

/// The exceptions that must leave a guest with this DR7, by their vectors.
#[must_use]
pub const fn endless_exceptions(dr7: u64) -> u32 {
    1 << ALIGNMENT_CHECK | if dr7 & ENABLES == 0 { 0 } else { 1 << DEBUG }
}

/// Whether an exit by this exception may be one for the host's sake.
#[must_use]
pub const fn is_endless(vector: u8) -> bool {
    matches!(vector, DEBUG | ALIGNMENT_CHECK)
}

#[cfg(test)]
mod tests {
    use super::{ALIGNMENT_CHECK, GivenBack, MOST, endless_exceptions};
    use crate::event::{Event, Exception};
    use crate::state::CpuState;
    use crate::testing::ScriptedVcpu;
    use crate::vcpu::Vcpu;

    const ALIGNMENT: Event = Event::Exception(Exception { vector: ALIGNMENT_CHECK, error_code: Some(0) });
    const DEBUG: Event = Event::Exception(Exception::DEBUG);

    fn vcpu() -> ScriptedVcpu {
        ScriptedVcpu::vmx(CpuState::long_mode(0x1000, 0x8000, 0x2000))
    }

    #[test]
    fn debug_exceptions_leave_with_a_breakpoint_alone() {
        assert_eq!(endless_exceptions(0x400), 1 << 17);
        assert_eq!(endless_exceptions(0xffff_0700), 1 << 17, "none is enabled");
        for bit in 0..8 {
            assert_eq!(endless_exceptions(1 << bit), 1 << 17 | 1 << 1);
        }
    }

    #[test]
    fn the_guest_gets_them_and_the_host_its_turn() {
        let mut vcpu = vcpu();
        let mut given = GivenBack::new();
        for number in 1..=MOST {
            vcpu.cancel_event();
            assert_eq!(given.give_back(&mut vcpu, ALIGNMENT), number < MOST, "{number}");
            assert_eq!(vcpu.pending_event(), Some(ALIGNMENT));
        }
    }

    #[test]
    fn a_breakpoint_on_an_instruction_is_a_fault() {
        for (breakpoint, dr7, is_fault) in [(0x1000, 0x401, true), (0x1001, 0x401, false), (0x1000, 0x1_0401, false)] {
            let mut vcpu = vcpu();
            vcpu.set_breakpoints([breakpoint, 0, 0, 0]).unwrap();
            vcpu.set_dr7(dr7);
            assert!(GivenBack::new().give_back(&mut vcpu, DEBUG));
            assert_eq!(vcpu.pending_event(), Some(DEBUG));
            assert_eq!(vcpu.rflags().rf(), is_fault, "{breakpoint:#x} {dr7:#x}");
        }
        let int1 = Event::PrivilegedSoftwareException { length: 1 };
        let mut vcpu = vcpu();
        assert!(GivenBack::new().give_back(&mut vcpu, int1));
        assert_eq!(vcpu.pending_event(), Some(int1));
    }
}
