//! Address-space identifiers.

use core::sync::atomic::{AtomicU64, Ordering};

/// The number of the next epoch, over all processors.
static NEXT_EPOCH: AtomicU64 = AtomicU64::new(1);

fn next_epoch() -> u64 {
    // Relaxed: only that numbers differ matters.
    NEXT_EPOCH.fetch_add(1, Ordering::Relaxed)
}

/// An address-space identifier that one virtual processor has had on one processor since its epoch began.
///
/// AMD APM vol. 2, section 15.16, "TLB Control".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Asid {
    value: u32,
    epoch: u64,
}

impl Asid {
    /// The identifier; 0 is the host's and never a guest's.
    pub(crate) const fn get(self) -> u32 {
        self.value
    }
}

/// Hands out the address-space identifiers of one processor.
///
/// An identifier goes to one virtual processor only until all have been handed out. Then a new epoch begins, and identifiers
/// of earlier epochs are no longer valid. Epochs have numbers of their own on every processor, so that a virtual processor
/// can tell whether it still owns what it got. What is in the TLB under an identifier from before is flushed by whoever gets
/// the identifier.
#[derive(Debug)]
pub(crate) struct Asids {
    epoch: u64,
    next: u32,
    count: u32,
}

impl Asids {
    /// The identifiers 1 to `count - 1`; there are at least two, the host's included.
    pub(crate) fn new(count: u32) -> Self {
        Self { epoch: next_epoch(), next: 1, count }
    }

    /// Whether `asid` is of this processor and its epoch has not ended.
    pub(crate) const fn is_valid(&self, asid: Asid) -> bool {
        asid.epoch == self.epoch
    }

    /// An identifier that no other virtual processor has had in this epoch. The caller flushes what is in the TLB under it.
    pub(crate) fn take(&mut self) -> Asid {
        if self.next >= self.count {
            self.epoch = next_epoch();
            self.next = 1;
        }
        let asid = Asid { value: self.next, epoch: self.epoch };
        self.next += 1;
        asid
    }
}

#[cfg(test)]
mod tests {
    use super::Asids;

    #[test]
    fn identifiers_are_handed_out_once_in_an_epoch() {
        let mut asids = Asids::new(4);
        let first: [_; 3] = core::array::from_fn(|_| asids.take());
        assert_eq!(first.map(super::Asid::get), [1, 2, 3]);
        assert!(first.iter().all(|asid| asids.is_valid(*asid)));
        let next = asids.take();
        assert_eq!(next.get(), 1);
        assert!(asids.is_valid(next));
        assert!(first.iter().all(|asid| !asids.is_valid(*asid)), "the epoch of the first ones has ended");
    }

    #[test]
    fn zero_is_never_handed_out_and_the_last_is() {
        let mut asids = Asids::new(2);
        assert!((0..5).all(|_| asids.take().get() == 1));
        let mut asids = Asids::new(16);
        assert!((0..100).map(|_| asids.take().get()).all(|asid| (1..16).contains(&asid)));
    }

    #[test]
    fn another_processor_has_other_epochs() {
        let mut here = Asids::new(16);
        let mut there = Asids::new(16);
        let asid = here.take();
        assert_eq!(asid.get(), there.take().get());
        assert!(here.is_valid(asid) && !there.is_valid(asid));
    }
}
