//! Where the state is that VMLOAD and VMSAVE move: FS, GS, LDTR, TR, KERNEL_GS_BASE, and the MSRs of SYSCALL and SYSENTER.
//!
//! A guest that is [resident](x86_virt_core::VcpuConfig::with_resident_segments) keeps it in the registers between runs, with the global
//! interrupt flag 0: no handler of the host runs on the guest's TR.
//!
//! AMD APM vol. 2, section 15.5.2, "VMSAVE and VMLOAD Instructions", and section 15.17, "Global Interrupt Flag, STGI and CLGI
//! Instructions".

use core::cell::Cell;

use x86_virt_core::Hpa;

use crate::exit_code::ExitCode;
use crate::instructions;
use crate::vmcb::save;

/// Where a guest's state is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Place {
    /// In the VMCB: the next entry loads it.
    #[default]
    Vmcb,
    /// In the registers, and the VMCB has what it had at the last VMLOAD or VMSAVE.
    Registers,
    /// In both.
    Both,
}

/// Keeps account of where the state of the VMCB at an address is.
#[derive(Debug, Default)]
pub(crate) struct Residence {
    place: Cell<Place>,
}

impl Residence {
    /// Whether an entry must load the state.
    #[inline]
    pub(crate) fn is_in_vmcb(&self) -> bool {
        self.place.get() == Place::Vmcb
    }

    /// The guest has run, and what it has changed is in the registers.
    #[inline]
    pub(crate) fn is_in_registers(&mut self) {
        self.place.set(Place::Registers);
    }

    /// Before `bytes` bytes of the VMCB at `vmcb` are read, from `offset` on.
    #[inline]
    pub(crate) fn before_read(&self, vmcb: Hpa, offset: usize, bytes: usize) {
        if is_moved(offset, bytes) && self.place.get() == Place::Registers {
            self.save(vmcb);
        }
    }

    /// Before they are written: from now on the VMCB has them.
    #[inline]
    pub(crate) fn before_write(&mut self, vmcb: Hpa, offset: usize, bytes: usize) {
        if is_moved(offset, bytes) && self.place.get() != Place::Vmcb {
            self.leave_registers(vmcb);
        }
    }

    /// Before other state comes into the registers.
    #[cold]
    pub(crate) fn leave_registers(&mut self, vmcb: Hpa) {
        if self.place.get() == Place::Registers {
            self.save(vmcb);
        }
        self.place.set(Place::Vmcb);
    }

    #[cold]
    #[expect(unsafe_code, reason = "executes VMSAVE")]
    fn save(&self, vmcb: Hpa) {
        // SAFETY: SVM is on, since a guest's state stays in the registers only while its virtual processor is loaded (`HostAway`);
        // the VMCB is owned by who has this.
        unsafe { instructions::vmsave(vmcb) };
        self.place.set(Place::Both);
    }
}

/// Where the state is in a VMCB.
const MOVED: [(usize, usize); 4] = [
    (save::FS.offset(), save::GDTR.offset()),
    (save::LDTR.offset(), save::IDTR.offset()),
    (save::TR.offset(), save::TR.offset() + 16),
    (save::STAR.offset(), save::CR2.offset()),
];

/// Whether VMLOAD and VMSAVE move one of `bytes` bytes at `offset`.
// Known when compiled for a field with a name.
#[inline(always)]
const fn is_moved(offset: usize, bytes: usize) -> bool {
    let end = offset.saturating_add(bytes);
    let [a, b, c, d] = MOVED;
    overlaps(offset, end, a) || overlaps(offset, end, b) || overlaps(offset, end, c) || overlaps(offset, end, d)
}

#[inline(always)]
const fn overlaps(start: usize, end: usize, (from, to): (usize, usize)) -> bool {
    start < to && from < end
}

/// Whether a guest may stay in the registers after an exit: the host answers an instruction, and neither waits for an interrupt nor
/// handles one.
pub(crate) const fn stays(code: ExitCode) -> bool {
    let waits = matches!(
        code,
        ExitCode::HLT | ExitCode::IDLE_HLT | ExitCode::PAUSE | ExitCode::MWAIT | ExitCode::MWAIT_CONDITIONAL
    );
    code.is_instruction() && !waits
}

/// The host's own state, while a guest's is in the registers: it comes back with [`bring_back`](Self::bring_back), and when this is
/// dropped.
///
/// Invariant: while `is_away`, the global interrupt flag is 0, and what VMSAVE stored of the host is at `host`.
#[derive(Debug)]
pub(crate) struct HostAway {
    host: Hpa,
    is_away: bool,
}

impl HostAway {
    /// The host's state is in the registers, and will be stored at `host`.
    pub(crate) const fn new(host: Hpa) -> Self {
        Self { host, is_away: false }
    }

    pub(crate) const fn is_away(&self) -> bool {
        self.is_away
    }

    /// A guest's state has taken its place, and the global interrupt flag is 0.
    pub(crate) const fn went(&mut self) {
        self.is_away = true;
    }

    #[cold]
    #[expect(unsafe_code, reason = "executes VMLOAD and STGI")]
    pub(crate) fn bring_back(&mut self) {
        if core::mem::replace(&mut self.is_away, false) {
            // SAFETY: the invariant of the type; SVM is on while a virtual processor is loaded, which has this.
            unsafe { instructions::vmload(self.host) };
            // SAFETY: as above; all that the world switch changes is the host's again.
            unsafe { instructions::stgi() };
        }
    }
}

impl Drop for HostAway {
    fn drop(&mut self) {
        self.bring_back();
    }
}

#[cfg(test)]
mod tests {
    use super::{is_moved, stays};
    use crate::exit_code::ExitCode;
    use crate::vmcb::save;

    /// AMD APM vol. 2, section 15.5.2, "VMSAVE and VMLOAD Instructions".
    #[test]
    fn what_vmsave_stores_is_known() {
        for (name, offset, bytes) in [
            ("FS", save::FS.offset(), 16),
            ("GS", save::GS.offset(), 16),
            ("base of GS", save::GS.offset() + 8, 8),
            ("LDTR", save::LDTR.offset(), 16),
            ("TR", save::TR.offset(), 16),
            ("STAR", save::STAR.offset(), 8),
            ("LSTAR", save::LSTAR.offset(), 8),
            ("CSTAR", save::CSTAR.offset(), 8),
            ("SFMASK", save::SFMASK.offset(), 8),
            ("KERNEL_GS_BASE", save::KERNEL_GS_BASE.offset(), 8),
            ("SYSENTER_CS", save::SYSENTER_CS.offset(), 8),
            ("SYSENTER_ESP", save::SYSENTER_ESP.offset(), 8),
            ("SYSENTER_EIP", save::SYSENTER_EIP.offset(), 8),
            ("all", 0, 4096),
        ] {
            assert!(is_moved(offset, bytes), "{name}");
        }
        for (name, offset, bytes) in [
            ("ES", save::ES.offset(), 16),
            ("DS", save::DS.offset(), 16),
            ("GDTR", save::GDTR.offset(), 16),
            ("IDTR", save::IDTR.offset(), 16),
            ("CPL", save::CPL.offset(), 1),
            ("EFER", save::EFER.offset(), 8),
            ("RIP", save::RIP.offset(), 8),
            ("RAX", save::RAX.offset(), 8),
            ("CR2", save::CR2.offset(), 8),
            ("control area", 0, 0x400),
        ] {
            assert!(!is_moved(offset, bytes), "{name}");
        }
    }

    #[test]
    fn a_host_that_may_wait_has_its_own_state() {
        for code in [ExitCode::CPUID, ExitCode::IOIO, ExitCode::MSR, ExitCode::CR0_WRITE, ExitCode::VMMCALL] {
            assert!(stays(code), "{code}");
        }
        for code in [
            ExitCode::HLT,
            ExitCode::PAUSE,
            ExitCode::MWAIT,
            ExitCode::MWAIT_CONDITIONAL,
            ExitCode::IDLE_HLT,
            ExitCode::INTR,
            ExitCode::NMI,
            ExitCode::SMI,
            ExitCode::INIT,
            ExitCode::VINTR,
            ExitCode::EXCP_MC,
            ExitCode::EXCP_PF,
            ExitCode::NPF,
            ExitCode::SHUTDOWN,
            ExitCode::INVALID,
            ExitCode::BUSY,
        ] {
            assert!(!stays(code), "{code}");
        }
    }
}
