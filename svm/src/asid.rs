//! What is flushed under address-space identifiers (ASIDs), and how often.

use x86_virt_core::{FlushReach, TagFlush};

use crate::cpuid::SvmFeatures;
use crate::vmcb::TlbControl;

/// What a processor can flush at the least.
pub(crate) const fn reach(features: SvmFeatures) -> FlushReach {
    if features.flush_by_asid() { FlushReach::OneTag } else { FlushReach::AllTags }
}

/// The command to VMRUN.
pub(crate) const fn command(flush: TagFlush) -> TlbControl {
    match flush {
        TagFlush::Nothing => TlbControl::NOTHING,
        TagFlush::Tag => TlbControl::FLUSH_GUEST,
        TagFlush::All => TlbControl::FLUSH_ALL,
    }
}

/// How often a processor has flushed since SVM was turned on. It does so at the first entry after a change, and never at each.
///
/// AMD APM vol. 2, section 15.16, "TLB Control".
///
/// ```
/// # use x86_virt_core::{Frames, Vcpu};
/// # use x86_virt_svm::{EntryError, SvmVcpu};
/// fn flushes_of_one_run<A: Frames>(vcpu: &mut SvmVcpu<'_, '_, '_, A>) -> Result<u64, EntryError> {
///     let before = vcpu.flush_counts();
///     vcpu.run()?;
///     let after = vcpu.flush_counts();
///     Ok(after.all + after.guest - before.all - before.guest)
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub struct FlushCounts {
    /// Entries that flushed everything: the first one, and the first one after all ASIDs had been handed out.
    pub all: u64,
    /// Entries that flushed the ASID of the guest, where the processor can.
    pub guest: u64,
    /// ASIDs that were handed out: to a virtual processor that came to this processor, and in place of a flush of the guest
    /// where the processor has none.
    pub asids: u64,
}

impl FlushCounts {
    /// Counts one that has been made.
    pub(crate) const fn count(&mut self, flush: TagFlush) {
        match flush {
            TagFlush::Nothing => {}
            TagFlush::Tag => self.guest += 1,
            TagFlush::All => self.all += 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{FlushReach, TagFlush};

    use super::{FlushCounts, command, reach};
    use crate::cpuid::SvmFeatures;

    #[test]
    fn commands_are_those_of_the_manual() {
        let table = [(TagFlush::Nothing, 0), (TagFlush::Tag, 3), (TagFlush::All, 1)];
        for (flush, value) in table {
            assert_eq!(command(flush).into_bits(), value);
        }
        // CPUID Fn8000_000A EDX bit 6.
        assert_eq!(reach(SvmFeatures::from_bits(1 << 6)), FlushReach::OneTag);
        assert_eq!(reach(SvmFeatures::from_bits(!(1 << 6))), FlushReach::AllTags);
    }

    #[test]
    fn flushes_are_counted_by_kind() {
        let mut counts = FlushCounts::default();
        for flush in [TagFlush::All, TagFlush::Nothing, TagFlush::Tag, TagFlush::Tag] {
            counts.count(flush);
        }
        assert_eq!(counts, FlushCounts { all: 1, guest: 2, asids: 0 });
    }
}
