//! The posted-interrupt descriptor.

use core::mem::offset_of;
use core::sync::atomic::{AtomicU64, Ordering};

use static_assertions::const_assert_eq;
use x86_virt_core::{TableRow, register, register_rows};

use super::frame::FrameLayout;
use super::vectors::{self, VectorSet};

register! {
    /// Bits 319:256 of a posted-interrupt descriptor: whether and whom to notify.
    ///
    /// Intel SDM vol. 3, section 32.6, "Posted-Interrupt Processing".
    ///
    /// ```
    /// use x86_virt_vmx::PostedInterruptControl;
    ///
    /// let control = PostedInterruptControl::new().with_nv(0xf2).with_xapic_destination(3);
    /// assert_eq!(control.into_bits(), 0x0000_0300_00f2_0000);
    /// assert_eq!(control.ndst(), 0x300);
    /// ```
    pub struct PostedInterruptControl(u64) {
        /// Bit 256: ON, a notification is outstanding: there are requests that the processor was or will be told of.
        #[doc(alias = "POSTED_INTR_ON")]
        pub on: bool,
        /// Bit 257: SN, notifications are suppressed.
        #[doc(alias = "POSTED_INTR_SN")]
        pub sn: bool,
        #[bits(14)]
        _reserved2: u16,
        /// Bits 279:272: NV, the vector of notifications.
        pub nv: u8,
        #[bits(8)]
        _reserved24: u8,
        /// Bits 319:288: NDST, the APIC ID of the processor to notify: in x2APIC mode all bits, in xAPIC mode bits 15:8.
        pub ndst: u32,
    }
}

impl PostedInterruptControl {
    /// The same with the processor of this APIC ID to notify, in xAPIC mode.
    #[must_use]
    pub const fn with_xapic_destination(self, id: u8) -> Self {
        self.with_ndst(u32::from_le_bytes([0, id, 0, 0]))
    }
}

/// A posted-interrupt descriptor: through it other processors and devices send interrupts to a virtual processor, without an
/// exit if it runs.
///
/// All methods take `&self` and may be used by any thread at any time, while the processor that runs the guest, and an IOMMU,
/// use the descriptor too. All are sequentially consistent: a request that [`post`](Self::post) does not notify of is seen by
/// the next [`take`](Self::take), or by the processor when it acts on the notification that is outstanding.
///
/// Intel SDM vol. 3, section 32.6, "Posted-Interrupt Processing".
///
/// ```
/// use x86_virt_vmx::{PostedInterruptControl, PostedInterruptDescriptor};
///
/// let descriptor = PostedInterruptDescriptor::new(PostedInterruptControl::new().with_nv(0xf2));
/// assert!(descriptor.post(0x31), "the first is to be notified of");
/// assert!(!descriptor.post(0x32), "a notification is outstanding");
/// assert_eq!(descriptor.take().iter().collect::<Vec<_>>(), [0x32, 0x31]);
/// assert!(descriptor.post(0x31));
/// ```
#[derive(Debug)]
#[repr(C, align(64))]
pub struct PostedInterruptDescriptor {
    requests: [AtomicU64; 4],
    control: AtomicU64,
    reserved: [AtomicU64; 3],
}

const_assert_eq!(size_of::<PostedInterruptDescriptor>(), 64);
const_assert_eq!(align_of::<PostedInterruptDescriptor>(), 64);
const_assert_eq!(offset_of!(PostedInterruptDescriptor, requests), 0);
const_assert_eq!(offset_of!(PostedInterruptDescriptor, control) * 8, 256);
const_assert_eq!(offset_of!(PostedInterruptDescriptor, reserved) * 8, 320);

const ON: u64 = PostedInterruptControl::new().with_on(true).into_bits();
const SN: u64 = PostedInterruptControl::new().with_sn(true).into_bits();

impl PostedInterruptDescriptor {
    /// A descriptor with no requests.
    #[must_use]
    pub const fn new(control: PostedInterruptControl) -> Self {
        Self {
            requests: [const { AtomicU64::new(0) }; 4],
            control: AtomicU64::new(control.into_bits()),
            reserved: [const { AtomicU64::new(0) }; 3],
        }
    }

    /// Requests `vector`, as an IOMMU does for an interrupt that is not urgent: sets its bit in PIR, and then ON, unless SN is
    /// set. Returns whether the processor of NDST must be sent an interrupt of vector NV: ON was clear, and now is set.
    ///
    /// Between the two steps another thread may change NV and NDST: read [`control`](Self::control) after this.
    #[must_use = "if true, the processor must be notified"]
    pub fn post(&self, vector: u8) -> bool {
        let (index, mask) = vectors::position(vector);
        if let Some(word) = self.requests.get(index) {
            word.fetch_or(mask, Ordering::SeqCst);
        }
        let notify = |control| (control & (ON | SN) == 0).then_some(control | ON);
        // Where ON is set nothing is written. `take` clears ON before it reads PIR, and all accesses have one order, so if ON
        // was still set here, `take` sees the request.
        self.control.fetch_update(Ordering::SeqCst, Ordering::SeqCst, notify).is_ok()
    }

    /// Takes all requests, as the processor does when it acts on a notification: clears ON, and then PIR.
    ///
    /// A request that is posted meanwhile may be among them, and notified of all the same.
    #[must_use = "the requests are in the descriptor no more"]
    pub fn take(&self) -> VectorSet {
        self.control.fetch_and(!ON, Ordering::SeqCst);
        VectorSet::from_words(self.requests.each_ref().map(|word| word.swap(0, Ordering::SeqCst)))
    }

    /// The requests at this moment, which stay.
    #[must_use]
    pub fn requests(&self) -> VectorSet {
        VectorSet::from_words(self.requests.each_ref().map(|word| word.load(Ordering::SeqCst)))
    }

    /// Whether and whom to notify.
    #[must_use]
    pub fn control(&self) -> PostedInterruptControl {
        PostedInterruptControl::from_bits(self.control.load(Ordering::SeqCst))
    }

    /// Changes NV and NDST, in one step: the virtual processor has moved. ON and SN stay.
    pub fn set_notification(&self, nv: u8, ndst: u32) {
        let change = |control| Some(PostedInterruptControl::from_bits(control).with_nv(nv).with_ndst(ndst).into_bits());
        // `change` refuses nothing.
        let _ = self.control.fetch_update(Ordering::SeqCst, Ordering::SeqCst, change);
    }

    /// Sets SN: until [`resume`](Self::resume) requests collect, and nobody is notified.
    pub fn suppress(&self) {
        self.control.fetch_or(SN, Ordering::SeqCst);
    }

    /// Clears SN. Returns whether there are requests that nobody may have been notified of: [`take`](Self::take) them, or
    /// notify.
    #[must_use = "requests that were suppressed stay unnoticed"]
    pub fn resume(&self) -> bool {
        self.control.fetch_and(!SN, Ordering::SeqCst);
        !self.requests().is_empty()
    }
}

#[expect(unsafe_code, reason = "states what the layout is")]
// SAFETY: atomics, in which every value is one.
unsafe impl FrameLayout for PostedInterruptDescriptor {}

/// Visits the rows of the descriptor, with the bit as encoding.
pub(super) fn rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    const GROUP: &str = "posted-interrupt descriptor";
    const CONTROL_BIT: u64 = 256;
    visit(&super::row(&GROUP, "PIR", 0, 256));
    register_rows::<PostedInterruptControl>(super::TABLE, GROUP, &mut |row| {
        visit(&TableRow { encoding: CONTROL_BIT + row.encoding, ..*row });
    });
}

#[cfg(test)]
mod tests {
    use core::sync::atomic::Ordering;
    use std::thread;

    use proptest::prelude::any;
    use proptest::{collection, prop_assert_eq, proptest};

    use super::{PostedInterruptControl, PostedInterruptDescriptor, VectorSet, rows};

    #[test]
    fn bits_are_where_the_manual_has_them() {
        let mut table = Vec::new();
        rows(&mut |row| table.push((row.name, row.encoding, row.width_bits)));
        assert_eq!(table, [("PIR", 0, 256), ("ON", 256, 1), ("SN", 257, 1), ("NV", 272, 8), ("NDST", 288, 32)]);
        let descriptor = PostedInterruptDescriptor::new(PostedInterruptControl::new());
        assert!(descriptor.post(0x7f));
        assert_eq!(descriptor.requests[1].load(Ordering::Relaxed), 1 << 63);
        assert_eq!(descriptor.control.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn suppressed_requests_wait_for_the_end_of_suppression() {
        let descriptor = PostedInterruptDescriptor::new(PostedInterruptControl::new());
        descriptor.suppress();
        assert!(!descriptor.post(0x40));
        assert!(!descriptor.control().on(), "as an IOMMU leaves it");
        assert!(descriptor.resume());
        assert_eq!(descriptor.take(), VectorSet::EMPTY.with(0x40));
        descriptor.suppress();
        assert!(!descriptor.resume());
    }

    #[test]
    fn moving_keeps_on_and_sn() {
        let descriptor = PostedInterruptDescriptor::new(PostedInterruptControl::new());
        assert!(descriptor.post(0x40));
        descriptor.suppress();
        descriptor.set_notification(0xf2, 0x1234_5678);
        assert_eq!(descriptor.control().into_bits(), 0x1234_5678_00f2_0003);
    }

    proptest! {
        #[test]
        fn requests_are_taken_once(vectors in collection::vec(any::<u8>(), 1..30)) {
            let descriptor = PostedInterruptDescriptor::new(PostedInterruptControl::new());
            let notified = vectors.iter().filter(|&&vector| descriptor.post(vector)).count();
            prop_assert_eq!(notified, 1);
            prop_assert_eq!(descriptor.take(), vectors.into_iter().collect::<VectorSet>());
            prop_assert_eq!(descriptor.take(), VectorSet::EMPTY);
        }
    }

    #[test]
    fn no_request_is_lost_between_threads() {
        let descriptor = PostedInterruptDescriptor::new(PostedInterruptControl::new());
        for _ in 0..200 {
            let (notified, mut taken) = thread::scope(|scope| {
                let posters: Vec<_> = [0_u8, 128]
                    .map(|start| {
                        let descriptor = &descriptor;
                        scope.spawn(move || (start..start + 64).filter(|&vector| descriptor.post(vector)).count())
                    })
                    .into_iter()
                    .collect();
                let mut taken = Vec::new();
                for _ in 0..8 {
                    taken.extend(descriptor.take().iter());
                }
                (posters.into_iter().map(|poster| poster.join().unwrap()).sum::<usize>(), taken)
            });
            // What nobody took is outstanding, and somebody was told to notify.
            let rest = descriptor.requests();
            assert!(rest.is_empty() || descriptor.control().on() && notified > 0);
            taken.extend(descriptor.take().iter());
            taken.sort_unstable();
            let all: Vec<u8> = (0..64).chain(128..192).collect();
            assert_eq!(taken, all);
        }
    }
}
