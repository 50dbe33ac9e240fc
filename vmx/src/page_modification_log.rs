//! Page-modification logging of a virtual processor, for the dirty log of its address space.
#![expect(unsafe_code, reason = "gives the address of the buffer to the processor")]

use x86_virt_core::{AddressSpace, Exit, ExitKind, Format as _, Frames, LogMethod};
use x86_virt_ept::EptFormat;

use crate::access::{VmcsRead as _, VmcsWrite as _};
use crate::capability::{Capabilities, Unsupported};
use crate::control::SecondaryControls;
use crate::exit::{BasicExitReason, ExitReason};
use crate::field;
use crate::memory::{InFrame, PmlBuffer};
use crate::vcpu::{CreateError, VmxVcpu};

/// The buffer of a virtual processor, whose address is in its VMCS.
#[derive(Debug)]
pub(crate) struct PageModificationLog<A: Frames> {
    buffer: InFrame<PmlBuffer, A>,
    /// Whether the control is set.
    is_on: bool,
}

impl<A: Frames> PageModificationLog<A> {
    /// A buffer for a space of this format, if the format wants one. It takes one frame.
    pub(crate) fn new(
        capabilities: &Capabilities,
        format: &EptFormat,
        frames: &A,
    ) -> Result<Option<Self>, CreateError> {
        if format.log_method() != LogMethod::PageModificationLog {
            return Ok(None);
        }
        // The format may have been made for another processor.
        let (none, required) = (SecondaryControls::NONE, SecondaryControls::ENABLE_PML);
        SecondaryControls::negotiate(capabilities.secondary(), required, none, none).map_err(Unsupported::from)?;
        Ok(Some(Self { buffer: InFrame::new(frames)?, is_on: false }))
    }
}

impl<'s, 'm, A: Frames> VmxVcpu<'_, 's, 'm, A> {
    /// Gives the address of the buffer to the processor.
    pub(crate) fn initialize_log(&mut self) {
        if let Some(log) = &self.parts.log {
            // SAFETY: the frame is owned by `self`, and so by whatever holds the VMCS, and is used for nothing else.
            unsafe { self.vmcs.put_sensitive(field::PML_ADDRESS, log.buffer.hpa()) };
        }
    }

    /// Turns logging on or off, before the first entry after the dirty log of the space was started or stopped.
    pub(crate) fn switch_log(&mut self) {
        let is_wanted = self.is_log_wanted();
        let Some(log) = self.parts.log.as_mut().filter(|log| log.is_on != is_wanted) else { return };
        log.is_on = is_wanted;
        let without = self.parts.secondary.without(SecondaryControls::ENABLE_PML);
        if is_wanted {
            self.vmcs.put(field::PML_INDEX, PmlBuffer::START);
            self.write_secondary(without | SecondaryControls::ENABLE_PML);
        } else {
            self.write_secondary(without);
        }
    }

    /// Takes note in the dirty log of what the guest has written, and says whether the run ended for the log only, so that the guest
    /// goes on where it was.
    ///
    /// Interrupts are as the host has them: another thread of this processor may hold the lock of the log.
    #[inline]
    pub(crate) fn log_exit(&mut self, exit: &Exit<ExitReason>) -> bool {
        if self.is_log_wanted() {
            self.drain_log();
        }
        match (exit.reason.basic(), exit.kind) {
            // The log may have been stopped, and is turned off by the next entry. If it is not on, the caller has his own.
            (BasicExitReason::PAGE_MODIFICATION_LOG_FULL, _) => self.parts.log.as_ref().is_some_and(|log| log.is_on),
            (BasicExitReason::EPT_VIOLATION, ExitKind::NestedFault(fault)) => self.space().log_fault(&fault),
            _ => false,
        }
    }

    /// The spaces that the guest may have written to, whose log is that of the processor.
    fn logged_spaces(&self) -> impl Iterator<Item = &'s AddressSpace<'m, EptFormat, A>> {
        self.parts
            .spaces()
            .iter()
            .copied()
            .filter(|space| space.dirty_log_method() == Some(LogMethod::PageModificationLog))
    }

    #[inline]
    pub(crate) fn is_log_wanted(&self) -> bool {
        if self.parts.eptp_spaces.is_none() {
            return self.parts.space.dirty_log_method() == Some(LogMethod::PageModificationLog);
        }
        self.logged_spaces().next().is_some()
    }

    /// Moves what the processor has logged to the dirty log. It does not say in which of several spaces a page was written: all take
    /// note of it.
    #[cold]
    fn drain_log(&mut self) {
        let Some(log) = self.parts.log.as_ref().filter(|log| log.is_on) else {
            // The log was started while this was inside the guest.
            return self.logged_spaces().for_each(AddressSpace::log_missed);
        };
        let index = self.vmcs.get(field::PML_INDEX);
        if index != PmlBuffer::START {
            for space in self.logged_spaces() {
                space.log_pages(log.buffer.logged(index));
            }
            self.vmcs.put(field::PML_INDEX, PmlBuffer::START);
        }
    }
}
