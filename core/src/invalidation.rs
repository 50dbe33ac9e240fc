//! The duty that a change of a mapping leaves behind.

/// Processors may still use what a change took away; this says so.
///
/// A processor keeps translations that it has used. After each change of what was mapped, [`unmap`](crate::AddressSpace::unmap)
/// or [`protect`](crate::AddressSpace::protect) for example:
///
/// - A vCPU of the space sees at its next entry that [`generation`](crate::AddressSpace::generation) has moved on, and
///   invalidates by itself. Nothing is to be done for a vCPU that is not running.
/// - A processor that is inside the guest now goes on with the old translations, and may use any other mapping of the same
///   space in place of a detached one. Before the caller relies on the change, it must make each such vCPU leave the guest,
///   say by an interrupt to that processor.
///
/// Memory safety of the host does not hang on it: a stale translation leads to memory of the same space only, and that
/// lives as long as the space.
///
/// Intel SDM vol. 3, section 31.4.3.4, "Guidelines for Use of the INVEPT Instruction"; AMD APM vol. 2, section 15.16.1,
/// "TLB Flush".
///
/// ```
/// # use x86_virt_core::Invalidation;
/// fn after_unmap(token: Invalidation, mut kick_all_vcpus: impl FnMut()) -> u64 {
///     kick_all_vcpus();
///     let generation = token.generation();
///     token.at_next_entry();
///     generation
/// }
/// ```
#[must_use = "processors inside the guest use the old mapping until they are made to leave it"]
#[derive(PartialEq, Eq, Debug)]
pub struct Invalidation {
    generation: u64,
}

impl Invalidation {
    /// For whoever keeps other tables that processors cache, with generations of their own: the change holds from `generation` on.
    pub const fn new(generation: u64) -> Self {
        Self { generation }
    }

    /// The generation of the space, or of other tables, from which on the change holds: a vCPU that has invalidated at this one, or a later one,
    /// does not use the old mapping.
    #[must_use]
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// Says that it is enough if each vCPU invalidates at its next entry: no vCPU is in the guest now, or those that are have
    /// been made to leave it, or may use the old mapping a while longer.
    pub fn at_next_entry(self) {}
}
