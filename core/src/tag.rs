//! The tags that keep the translations of one virtual processor apart from those of another: VPIDs and ASIDs.

use core::sync::atomic::{AtomicU64, Ordering};

/// The number of the next epoch, over all processors.
static NEXT_EPOCH: AtomicU64 = AtomicU64::new(1);

fn next_epoch() -> u64 {
    // Relaxed: only that numbers differ matters.
    NEXT_EPOCH.fetch_add(1, Ordering::Relaxed)
}

/// A tag that one virtual processor has had on one processor since its epoch began.
///
/// Intel SDM vol. 3, section 31.1, "Virtual Processor Identifiers (VPIDs)"; AMD APM vol. 2, section 15.16, "TLB Control".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Tag {
    value: u32,
    epoch: u64,
}

impl Tag {
    /// The number; 0 is the host's and never a guest's.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.value
    }
}

/// What must be flushed before a guest runs under a tag.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum TagFlush {
    /// Nothing: there are no translations under the tag, or they are right.
    Nothing,
    /// What there is under the tag.
    Tag,
    /// What there is under all tags: an epoch has begun, and this is the only flush for all tags of it.
    All,
}

/// What a processor can flush at the least.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum FlushReach {
    /// The translations under one tag.
    OneTag,
    /// Those under all tags only.
    AllTags,
}

/// Hands out the tags of one processor.
///
/// A tag goes to one virtual processor only until all have been handed out. Then a new epoch begins: tags of earlier ones are no
/// longer valid, and everything is flushed once, at the next entry of whichever virtual processor. So a tag that has just been
/// handed out needs no flush of its own, however few there are.
///
/// Epochs have numbers of their own on every processor, so that a virtual processor that has moved can tell whether it still owns
/// what it got.
///
/// ```
/// use x86_virt_core::{FlushReach, TagFlush, Tags};
///
/// // 0, which is the host's, 1 and 2.
/// let mut tags = Tags::new(3);
/// let (first, flush) = tags.keep(None);
/// assert_eq!((first.get(), flush), (1, TagFlush::All));
/// tags.flushed(flush);
/// assert_eq!(tags.keep(Some(first)), (first, TagFlush::Nothing));
/// assert_eq!(tags.renew(Some(first), FlushReach::OneTag), (first, TagFlush::Tag));
///
/// // A processor that cannot flush one tag alone takes another.
/// let (second, flush) = tags.renew(Some(first), FlushReach::AllTags);
/// assert_eq!((second.get(), flush), (2, TagFlush::Nothing));
///
/// // There are no more: a new epoch.
/// let (third, flush) = tags.keep(None);
/// assert_eq!((third.get(), flush), (1, TagFlush::All));
/// assert!(!tags.is_valid(first) && !tags.is_valid(second));
/// ```
#[derive(Debug)]
pub struct Tags {
    epoch: u64,
    next: u32,
    count: u32,
    is_flush_due: bool,
}

impl Tags {
    /// The tags 1 to `count - 1`, or 1 if there are fewer than two.
    #[must_use]
    pub fn new(count: u32) -> Self {
        Self { epoch: next_epoch(), next: 1, count, is_flush_due: true }
    }

    /// Whether `tag` is of this processor and its epoch has not ended.
    #[must_use]
    pub const fn is_valid(&self, tag: Tag) -> bool {
        tag.epoch == self.epoch
    }

    /// The tag under which a virtual processor runs whose last one was `held`, and what must be flushed at its entry. What was
    /// translated under `held` is still right.
    #[must_use]
    pub fn keep(&mut self, held: Option<Tag>) -> (Tag, TagFlush) {
        let tag = self.valid(held).unwrap_or_else(|| self.take());
        (tag, self.flush_or(TagFlush::Nothing))
    }

    /// The same where what was translated under `held` must not be used any more: flushed, or left behind under `held` if the
    /// processor's `reach` is too wide.
    #[must_use]
    pub fn renew(&mut self, held: Option<Tag>, reach: FlushReach) -> (Tag, TagFlush) {
        match (self.valid(held), reach) {
            (Some(tag), FlushReach::OneTag) => (tag, self.flush_or(TagFlush::Tag)),
            // The flush of all tags that is due takes these translations with it.
            (Some(tag), FlushReach::AllTags) if self.is_flush_due => (tag, TagFlush::All),
            _ => (self.take(), self.flush_or(TagFlush::Nothing)),
        }
    }

    /// Says that what [`keep`](Self::keep) or [`renew`](Self::renew) asked for has been flushed. A flush of all that an entry did not
    /// make, since it was refused, stays due for the next one.
    pub fn flushed(&mut self, flush: TagFlush) {
        if flush == TagFlush::All {
            self.is_flush_due = false;
        }
    }

    fn valid(&self, held: Option<Tag>) -> Option<Tag> {
        held.filter(|tag| self.is_valid(*tag))
    }

    fn flush_or(&self, flush: TagFlush) -> TagFlush {
        if self.is_flush_due { TagFlush::All } else { flush }
    }

    /// A tag that no other virtual processor has had in this epoch.
    fn take(&mut self) -> Tag {
        if self.next >= self.count.max(2) {
            self.epoch = next_epoch();
            self.next = 1;
            self.is_flush_due = true;
        }
        let tag = Tag { value: self.next, epoch: self.epoch };
        self.next = self.next.saturating_add(1);
        tag
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::collections::HashSet;

    use proptest::collection::vec;
    use proptest::prelude::{Just, Strategy, any, prop_oneof, proptest};

    use super::{FlushReach, Tag, TagFlush, Tags};

    #[test]
    fn tags_are_handed_out_once_in_an_epoch() {
        let mut tags = Tags::new(4);
        let first: [_; 3] = core::array::from_fn(|_| tags.take());
        assert_eq!(first.map(Tag::get), [1, 2, 3]);
        assert!(first.iter().all(|tag| tags.is_valid(*tag)));
        let next = tags.take();
        assert_eq!(next.get(), 1);
        assert!(tags.is_valid(next));
        assert!(first.iter().all(|tag| !tags.is_valid(*tag)), "the epoch of the first ones has ended");
    }

    #[test]
    fn zero_is_never_handed_out_and_the_last_is() {
        for count in [0, 1, 2] {
            let mut tags = Tags::new(count);
            assert!((0..5).all(|_| tags.take().get() == 1));
        }
        let mut tags = Tags::new(16);
        assert!((0..100).map(|_| tags.take().get()).eq((0..100).map(|n| n % 15 + 1)));
        let mut tags = Tags { next: u32::MAX - 1, ..Tags::new(u32::MAX) };
        assert_eq!((tags.take().get(), tags.take().get()), (u32::MAX - 1, 1));
    }

    #[test]
    fn another_processor_has_other_epochs() {
        let mut here = Tags::new(16);
        let mut there = Tags::new(16);
        let tag = here.take();
        assert_eq!(tag.get(), there.take().get());
        assert!(here.is_valid(tag) && !there.is_valid(tag));
    }

    #[test]
    fn a_flush_stays_due_until_it_is_made() {
        let mut tags = Tags::new(8);
        let (tag, flush) = tags.keep(None);
        assert_eq!(flush, TagFlush::All);
        // The entry was refused, and so was that of another virtual processor.
        assert_eq!(tags.renew(Some(tag), FlushReach::AllTags), (tag, TagFlush::All));
        let (other, flush) = tags.keep(None);
        assert_eq!(flush, TagFlush::All);
        tags.flushed(flush);
        assert_eq!(tags.keep(Some(tag)), (tag, TagFlush::Nothing));
        assert_eq!(tags.renew(Some(other), FlushReach::OneTag), (other, TagFlush::Tag));
    }

    /// One thing that happens in the model.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        /// A virtual processor is entered on a processor, or the entry is refused.
        Enter { vcpu: usize, processor: usize, is_refused: bool },
        /// What a virtual processor's addresses mean changes.
        Change { vcpu: usize },
        /// A virtual processor goes, and another comes in its place.
        Replace { vcpu: usize },
        /// A processor is left and entered again; its TLB keeps what it has.
        Restart { processor: usize },
    }

    const VCPUS: usize = 6;
    const PROCESSORS: usize = 3;

    fn step() -> impl Strategy<Value = Step> {
        let enter = (0..VCPUS, 0..PROCESSORS, 0..8_u8).prop_map(|(vcpu, processor, luck)| Step::Enter {
            vcpu,
            processor,
            is_refused: luck == 0,
        });
        prop_oneof![
            12 => enter,
            4 => (0..VCPUS).prop_map(|vcpu| Step::Change { vcpu }),
            1 => (0..VCPUS).prop_map(|vcpu| Step::Replace { vcpu }),
            1 => (0..PROCESSORS).prop_map(|processor| Step::Restart { processor }),
        ]
    }

    /// What a virtual processor knows.
    #[derive(Clone, Copy, Debug)]
    struct Vcpu {
        /// Which one it is, and what its addresses mean.
        meaning: (usize, u64),
        tag: Option<Tag>,
        /// What its addresses meant when it was last flushed for, under `tag`.
        seen: u64,
    }

    /// A TLB: under which tag it holds translations of which meaning.
    type Tlb = HashSet<(u32, (usize, u64))>;

    fn run(steps: &[Step], count: u32, reach: FlushReach) {
        let new = |name| Vcpu { meaning: (name, 1), tag: None, seen: 0 };
        let mut vcpus: [Vcpu; VCPUS] = core::array::from_fn(new);
        // Someone else has used the TLBs before.
        let stale = (0..count.max(2)).map(|tag| (tag, (usize::MAX, 0))).collect::<Tlb>();
        let mut processors: [(Tags, Tlb); PROCESSORS] = core::array::from_fn(|_| (Tags::new(count), stale.clone()));
        let (mut names, mut handed_out, mut flushes) = (VCPUS, 0_u64, 0_u64);
        for step in steps {
            match *step {
                Step::Change { vcpu } => vcpus[vcpu].meaning.1 += 1,
                Step::Replace { vcpu } => {
                    vcpus[vcpu] = new(names);
                    names += 1;
                }
                Step::Restart { processor } => processors[processor].0 = Tags::new(count),
                Step::Enter { vcpu, processor, is_refused } => {
                    let vcpu = &mut vcpus[vcpu];
                    let (tags, tlb) = &mut processors[processor];
                    let is_valid = vcpu.tag.is_some_and(|tag| tags.is_valid(tag));
                    let (tag, flush) = if is_valid && vcpu.seen != vcpu.meaning.1 {
                        tags.renew(vcpu.tag, reach)
                    } else {
                        tags.keep(vcpu.tag)
                    };
                    handed_out += u64::from(vcpu.tag != Some(tag));
                    assert!((1..count.max(2)).contains(&tag.get()));
                    assert!(reach == FlushReach::OneTag || flush != TagFlush::Tag);
                    if is_refused {
                        // What the tag holds, if anything, is of another meaning, or it needs the flush again.
                        (vcpu.tag, vcpu.seen) = (Some(tag), 0);
                        continue;
                    }
                    match flush {
                        TagFlush::Nothing => {}
                        TagFlush::Tag => tlb.retain(|(held, _)| *held != tag.get()),
                        TagFlush::All => {
                            tlb.clear();
                            flushes += 1;
                        }
                    }
                    tags.flushed(flush);
                    (vcpu.tag, vcpu.seen) = (Some(tag), vcpu.meaning.1);
                    tlb.insert((tag.get(), vcpu.meaning));
                    // The guest runs: all that it can find is its own.
                    assert!(tlb.iter().all(|(held, meaning)| *held != tag.get() || *meaning == vcpu.meaning));
                }
            }
        }
        let restarts = steps.iter().filter(|step| matches!(step, Step::Restart { .. })).count();
        let epochs = u64::try_from(PROCESSORS + restarts).unwrap() + handed_out / u64::from(count.max(2) - 1);
        assert!(flushes <= epochs, "{flushes} flushes of all in at most {epochs} epochs");
    }

    proptest! {
        #[test]
        fn a_guest_never_finds_translations_of_another(
            steps in vec(step(), 0..300),
            count in prop_oneof![Just(0_u32), Just(2), Just(8), 2..12_u32],
            one in any::<bool>(),
        ) {
            run(&steps, count, if one { FlushReach::OneTag } else { FlushReach::AllTags });
        }
    }
}
