//! The VPIDs of one processor, and what is invalidated on it.

use x86_virt_core::{Gva, Tag, TagFlush, Tags};
use x86_virt_ept::{EptCapabilities, Eptp};

use crate::instruction_error::VmFail;
use crate::invalidate::Invalidate;
use crate::invept::{InveptDescriptor, InveptType};
use crate::invvpid::{InvvpidDescriptor, InvvpidType};

/// VPIDs have 16 bits.
const VPIDS: u32 = 1 << 16;

/// How often a processor has invalidated since it entered VMX operation. It does so at the first entry after a change, and never
/// at each.
///
/// Intel SDM vol. 3, section 31.4.3.1, "Operations that Invalidate Cached Mappings".
///
/// ```
/// # use x86_virt_core::{Frames, Vcpu};
/// # use x86_virt_vmx::{EntryError, VmxVcpu};
/// fn invalidations_of_one_run<A: Frames>(vcpu: &mut VmxVcpu<'_, '_, '_, A>) -> Result<u64, EntryError> {
///     let before = vcpu.flush_counts().invept_single;
///     vcpu.run()?;
///     Ok(vcpu.flush_counts().invept_single - before)
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub struct FlushCounts {
    /// INVEPT of one EPTP: after a change of its tables.
    pub invept_single: u64,
    /// INVEPT of all EPTPs: at the first entry, when all VPIDs have been handed out, and in place of the other kind where the
    /// processor has only this one.
    pub invept_all: u64,
    /// INVVPID of one VPID: after a change of the guest's paging registers by the host.
    pub invvpid_single: u64,
    /// INVVPID of all VPIDs: at the first entry, and when all VPIDs have been handed out.
    pub invvpid_all: u64,
    /// VPIDs that were handed out, one to each virtual processor that came to this processor.
    pub vpids: u64,
}

/// What a processor uses VPIDs for.
///
/// Without them each VM entry and VM exit flushes linear and combined translations itself.
///
/// Intel SDM vol. 3, section 31.4.3.1, "Operations that Invalidate Cached Mappings".
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum VpidUse {
    /// Guests run under VPID 0.
    None,
    /// Each virtual processor has its own.
    OneEach,
}

/// What one processor keeps of translations.
#[derive(Debug)]
pub(crate) struct Translations {
    ept: EptCapabilities,
    tags: Tags,
    counts: FlushCounts,
}

impl Translations {
    /// Those of a processor that has just entered VMX operation: whatever it had before is invalidated at the first entry.
    ///
    /// Intel SDM vol. 3, section 31.4.3.3, "Guidelines for Use of the INVVPID Instruction", and section 31.4.3.4, "Guidelines for Use
    /// of the INVEPT Instruction".
    pub(crate) fn new(ept: EptCapabilities) -> Self {
        Self { ept, tags: Tags::new(VPIDS), counts: FlushCounts::default() }
    }

    pub(crate) const fn counts(&self) -> FlushCounts {
        self.counts
    }

    /// A VPID for a virtual processor that comes with `held`, if that is not valid here.
    pub(crate) fn arrive(&mut self, held: Option<Tag>) -> Option<Tag> {
        if held.is_some_and(|tag| self.tags.is_valid(tag)) {
            return None;
        }
        self.counts.vpids += 1;
        // What must be flushed is asked again at the entry.
        Some(self.tags.keep(held).0)
    }

    /// What the entry of a virtual processor with the VPID `held` invalidates.
    pub(crate) fn plan(&mut self, held: Tag, stale: Stale, vpids: VpidUse) -> Plan {
        let (_, flush) = self.tags.keep(Some(held));
        let is_epoch_new = flush == TagFlush::All;
        let ept = self.ept;
        let invept = match (is_epoch_new, stale.tables) {
            (true, _) if ept.invept_all_contexts() => Some(InveptType::GLOBAL),
            (_, true) if ept.invept_single_context() => Some(InveptType::SINGLE_CONTEXT),
            (_, true) => Some(InveptType::GLOBAL),
            (_, false) => None,
        };
        // Where a new epoch cannot be begun with all VPIDs, each of them is invalidated when it is first used.
        let is_one_stale = match (stale.is_first_use, ept.invvpid_all_contexts()) {
            (true, is_flushed) => !is_flushed,
            (false, _) => stale.registers,
        };
        let invvpid = match (is_epoch_new, is_one_stale) {
            _ if vpids == VpidUse::None => None,
            (true, _) if ept.invvpid_all_contexts() => Some(InvvpidType::ALL_CONTEXTS),
            (_, true) if ept.invvpid_single_context() => Some(InvvpidType::SINGLE_CONTEXT),
            (_, true) => Some(InvvpidType::ALL_CONTEXTS),
            (_, false) => None,
        };
        Plan { invept, invvpid, flush }
    }

    /// Has `processor` do what [`plan`](Self::plan) said, with the EPTPs whose tables have changed. After an error the same is due at the
    /// next entry.
    pub(crate) fn perform(
        &mut self,
        processor: &mut impl Invalidate,
        plan: Plan,
        held: Tag,
        eptps: impl Iterator<Item = Eptp>,
    ) -> Result<(), VmFail> {
        if let Some(kind) = plan.invvpid {
            // A VPID has 16 bits: there are no more.
            let vpid = u16::try_from(held.get()).unwrap_or(0);
            processor.invvpid(kind, InvvpidDescriptor::new(vpid, Gva::new(0)))?;
            let count = match kind {
                InvvpidType::ALL_CONTEXTS => &mut self.counts.invvpid_all,
                _ => &mut self.counts.invvpid_single,
            };
            *count += 1;
        }
        match plan.invept {
            None => {}
            Some(InveptType::SINGLE_CONTEXT) => {
                for eptp in eptps {
                    processor.invept(InveptType::SINGLE_CONTEXT, InveptDescriptor::new(eptp))?;
                    self.counts.invept_single += 1;
                }
            }
            Some(kind) => {
                processor.invept(kind, InveptDescriptor::new(Eptp::from_bits(0)))?;
                self.counts.invept_all += 1;
            }
        }
        self.tags.flushed(plan.flush);
        Ok(())
    }
}

/// What a virtual processor must not use any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Stale {
    /// What was translated with its tables, which have changed, or are new to the processor.
    pub(crate) tables: bool,
    /// What was translated with its paging registers, which the host has changed.
    pub(crate) registers: bool,
    /// It has never run under its VPID.
    pub(crate) is_first_use: bool,
}

/// What an entry invalidates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Plan {
    pub(crate) invept: Option<InveptType>,
    invvpid: Option<InvvpidType>,
    flush: TagFlush,
}

#[cfg(test)]
mod failure_tests;

#[cfg(test)]
mod tests {
    use x86_virt_core::{Tag, TagFlush};
    use x86_virt_ept::EptCapabilities;

    use super::{Stale, Translations, VpidUse};
    use crate::invept::InveptType;
    use crate::invvpid::InvvpidType;

    const NOTHING: Stale = Stale { tables: false, registers: false, is_first_use: false };
    const FIRST: Stale = Stale { tables: true, is_first_use: true, ..NOTHING };

    pub(super) const ALL: EptCapabilities = EptCapabilities::new()
        .with_invept(true)
        .with_invept_single_context(true)
        .with_invept_all_contexts(true)
        .with_invvpid(true)
        .with_invvpid_single_context(true)
        .with_invvpid_all_contexts(true);

    type Types = (Option<InveptType>, Option<InvvpidType>);

    fn plan(translations: &mut Translations, held: Tag, stale: Stale, vpids: VpidUse) -> Types {
        let plan = translations.plan(held, stale, vpids);
        (plan.invept, plan.invvpid)
    }

    #[test]
    fn the_first_entry_invalidates_all_and_others_what_changed() {
        let mut translations = Translations::new(ALL);
        let held = translations.arrive(None).unwrap();
        assert_eq!(translations.arrive(Some(held)), None, "it has a VPID already");
        let all = (Some(InveptType::GLOBAL), Some(InvvpidType::ALL_CONTEXTS));
        assert_eq!(plan(&mut translations, held, FIRST, VpidUse::OneEach), all);
        assert_eq!(plan(&mut translations, held, FIRST, VpidUse::OneEach), all, "it was not done");
        assert_eq!(plan(&mut translations, held, FIRST, VpidUse::None), (all.0, None));
        translations.tags.flushed(TagFlush::All);

        let one = (Some(InveptType::SINGLE_CONTEXT), None);
        let changed = Stale { tables: true, ..NOTHING };
        assert_eq!(plan(&mut translations, held, changed, VpidUse::OneEach), one);
        let registers = Stale { registers: true, ..NOTHING };
        let invvpid = Some(InvvpidType::SINGLE_CONTEXT);
        assert_eq!(plan(&mut translations, held, registers, VpidUse::OneEach), (None, invvpid));
        assert_eq!(plan(&mut translations, held, registers, VpidUse::None), (None, None), "the entry flushes itself");
        assert_eq!(plan(&mut translations, held, NOTHING, VpidUse::OneEach), (None, None));

        // Another one: its VPID is fresh, its tables may be where others have been.
        let other = translations.arrive(None).unwrap();
        assert_ne!(other, held);
        let first = Stale { registers: true, ..FIRST };
        assert_eq!(plan(&mut translations, other, first, VpidUse::OneEach), one);
        assert_eq!(translations.counts().vpids, 2);
    }

    #[test]
    fn a_processor_without_a_type_uses_the_other() {
        let no_single = ALL.with_invept_single_context(false).with_invvpid_single_context(false);
        let mut translations = Translations::new(no_single);
        let held = translations.arrive(None).unwrap();
        translations.tags.flushed(TagFlush::All);
        let changed = Stale { tables: true, registers: true, is_first_use: false };
        let all = (Some(InveptType::GLOBAL), Some(InvvpidType::ALL_CONTEXTS));
        assert_eq!(plan(&mut translations, held, changed, VpidUse::OneEach), all);

        let no_all = ALL.with_invept_all_contexts(false).with_invvpid_all_contexts(false);
        let mut translations = Translations::new(no_all);
        let held = translations.arrive(None).unwrap();
        let single = (Some(InveptType::SINGLE_CONTEXT), Some(InvvpidType::SINGLE_CONTEXT));
        assert_eq!(plan(&mut translations, held, FIRST, VpidUse::OneEach), single);
        translations.tags.flushed(TagFlush::All);
        // Each VPID may hold what was there before the epoch.
        let other = translations.arrive(None).unwrap();
        assert_eq!(plan(&mut translations, other, FIRST, VpidUse::OneEach), single);
        assert_eq!(plan(&mut translations, held, NOTHING, VpidUse::OneEach), (None, None));
    }

    #[test]
    fn all_vpids_are_handed_out_before_an_epoch_begins() {
        let mut translations = Translations::new(ALL);
        let first = translations.arrive(None).unwrap();
        translations.tags.flushed(TagFlush::All);
        let last = (1..0xffff).map(|_| translations.arrive(None).unwrap()).last().unwrap();
        assert_eq!((first.get(), last.get()), (1, 0xffff));
        assert_eq!(plan(&mut translations, last, NOTHING, VpidUse::OneEach), (None, None));
        let next = translations.arrive(None).unwrap();
        assert_eq!(next.get(), 1);
        let all = (Some(InveptType::GLOBAL), Some(InvvpidType::ALL_CONTEXTS));
        assert_eq!(plan(&mut translations, next, FIRST, VpidUse::OneEach), all);
        assert!(translations.arrive(Some(first)).is_some(), "its VPID is another's now");
    }
}
