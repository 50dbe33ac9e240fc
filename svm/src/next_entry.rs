//! The VMCB as the next entry will have it, read where it is: a copy takes 4 KiB of the stack.

use x86_virt_core::{Event, Frames};

use crate::check::VmcbRead;
use crate::vmcb::{EventInjection, VmcbFrame, VmcbValue, control};

/// A VMCB, and the event that will be in it.
pub(crate) struct NextEntry<'v, A: Frames> {
    vmcb: &'v VmcbFrame<A>,
    event: Option<[u8; EVENT_BYTES]>,
}

const EVENT_BYTES: usize = size_of::<EventInjection>();

impl<'v, A: Frames> NextEntry<'v, A> {
    pub(crate) fn new(vmcb: &'v VmcbFrame<A>, event: Option<Event>) -> Self {
        let event = event.and_then(|event| EventInjection::try_from(event).ok()).map(|injection| {
            let mut bytes = [0; EVENT_BYTES];
            injection.encode(&mut bytes);
            bytes
        });
        Self { vmcb, event }
    }

    fn byte(&self, offset: usize) -> Option<u8> {
        let of_event = offset.checked_sub(control::EVENTINJ.offset());
        match self.event.zip(of_event).and_then(|(event, offset)| event.get(offset).copied()) {
            Some(byte) => Some(byte),
            None => self.vmcb.byte(offset),
        }
    }
}

impl<A: Frames> VmcbRead for NextEntry<'_, A> {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        for (offset, byte) in (offset..).zip(bytes) {
            *byte = self.byte(offset)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::Event;

    use super::NextEntry;
    use crate::check::VmcbRead as _;
    use crate::vmcb::{EventInjection, VmcbFrame, VmcbValue as _, control, save};
    use x86_virt_core::testing::FakeFrames;

    #[test]
    fn the_event_that_waits_is_in_its_field_and_all_else_in_the_frame() {
        let frames = FakeFrames::new();
        let mut vmcb = VmcbFrame::zeroed(&frames).unwrap();
        vmcb.write(save::RIP, 0x1234_5678);
        let read = |next: &NextEntry<'_, _>, offset| {
            let mut bytes = [0; 8];
            next.read(offset, &mut bytes).map(|()| bytes)
        };
        let mut expected = [0; 8];
        EventInjection::try_from(Event::Nmi).unwrap().encode(&mut expected);
        let with = NextEntry::new(&vmcb, Some(Event::Nmi));
        assert_eq!(read(&with, control::EVENTINJ.offset()), Some(expected));
        assert_eq!(read(&with, save::RIP.offset()), Some(0x1234_5678_u64.to_le_bytes()));
        let without = NextEntry::new(&vmcb, None);
        assert_eq!(read(&without, control::EVENTINJ.offset()), Some([0; 8]));
        assert_eq!(read(&without, 4089), None);
    }
}
