//! EPTP switching: the host gives the guest other memory, or the guest chooses by VMFUNC.
#![expect(unsafe_code, reason = "tells the processor where tables are")]

use core::sync::atomic::{AtomicU64, Ordering};

use static_assertions::const_assert_eq;
use x86_virt_core::{AddressSpace, Frames, OutOfFrames};
use x86_virt_ept::{EptControls, EptFormat, Eptp};

use crate::access::{VmcsRead as _, VmcsWrite as _};
use crate::capability::Capabilities;
use crate::control::{SecondaryControls, UnsupportedControl, VmFunctionControls};
use crate::field;
use crate::memory::{EntryIndex, EptpList, FrameLayout, InFrame};
use crate::vcpu::VmxVcpu;

/// The EPT pointer of a space.
pub(crate) fn eptp<A: Frames>(space: &AddressSpace<'_, EptFormat, A>) -> Eptp {
    space.format().eptp(space.root())
}

/// Address spaces from which a guest chooses by VMFUNC, without an exit: an EPTP list, and the spaces that it refers to.
///
/// The spaces are borrowed, so they outlive every entry with the list. Each entry invalidates for those of them that have changed,
/// since the guest may switch to any.
///
/// Intel SDM vol. 3, section 28.5.6.3, "EPTP Switching".
///
/// ```no_run
/// use x86_virt_core::{AddressSpace, Frames};
/// use x86_virt_ept::EptFormat;
/// use x86_virt_vmx::{EptpSpaces, EptpSwitchingError, VmxVcpu};
///
/// fn give_two<'s, 'm, A: Frames>(
///     vcpu: &mut VmxVcpu<'_, 's, 'm, A>,
///     spaces: &'s [&'s AddressSpace<'m, EptFormat, A>; 2],
///     frames: &A,
/// ) -> Result<(), EptpSwitchingError> {
///     let spaces = EptpSpaces::new(vcpu.capabilities(), frames, spaces)?;
///     vcpu.set_eptp_spaces(spaces)
/// }
/// ```
#[derive(Debug)]
pub struct EptpSpaces<'s, 'm, A: Frames> {
    /// The EPT pointer of each is in `list`, at the same index. There is one at least.
    spaces: &'s [&'s AddressSpace<'m, EptFormat, A>],
    first: &'s AddressSpace<'m, EptFormat, A>,
    list: InFrame<EptpList, A>,
    seen: InFrame<Generations, A>,
}

/// The generation of each space that the processor has invalidated for; 0 if for none.
#[derive(Debug)]
#[repr(C, align(4096))]
struct Generations([AtomicU64; 512]);

const_assert_eq!(size_of::<Generations>(), 4096);

// SAFETY: an array of atomics, in which every value is one.
unsafe impl FrameLayout for Generations {}

/// Which of the spaces have changed: a bit for each.
type Changed = [u64; 8];

impl<'s, 'm, A: Frames> EptpSpaces<'s, 'm, A> {
    /// The list of these spaces, on a processor with these capabilities. VMFUNC with the index of another entry ends a run.
    ///
    /// It takes two frames.
    ///
    /// # Errors
    ///
    /// [`EptpSwitchingError`] if the processor has no EPTP switching, there are no frames, or there are no spaces or more than 512.
    pub fn new(
        capabilities: &Capabilities,
        frames: &A,
        spaces: &'s [&'s AddressSpace<'m, EptFormat, A>],
    ) -> Result<Self, EptpSwitchingError> {
        let none = VmFunctionControls::NONE;
        VmFunctionControls::negotiate(capabilities.vm_functions(), VmFunctionControls::EPTP_SWITCHING, none, none)?;
        let count = spaces.len();
        let first = match spaces.first() {
            Some(first) if count <= 512 => first,
            _ => return Err(EptpSwitchingError::Count { count }),
        };
        let (list, seen) = (InFrame::<EptpList, A>::new(frames)?, InFrame::new(frames)?);
        for (index, space) in (0..).zip(spaces) {
            if let Some(index) = EntryIndex::new(index) {
                list.set(index, eptp(space));
            }
        }
        Ok(Self { spaces, first, list, seen })
    }

    /// The spaces.
    #[must_use]
    pub const fn spaces(&self) -> &'s [&'s AddressSpace<'m, EptFormat, A>] {
        self.spaces
    }

    fn get(&self, index: EntryIndex) -> Option<&'s AddressSpace<'m, EptFormat, A>> {
        self.spaces.get(usize::from(index.get())).copied()
    }

    /// The index of the space with this EPT pointer.
    pub(crate) fn index_of(&self, pointer: Eptp) -> Option<EntryIndex> {
        let index = self.spaces.iter().position(|space| eptp(space) == pointer)?;
        u16::try_from(index).ok().and_then(EntryIndex::new)
    }

    /// Takes note of the generation of each space, and returns which ones had moved on: the caller invalidates for them.
    pub(crate) fn note_generations(&self) -> Changed {
        let mut changed = Changed::default();
        for (index, (space, seen)) in self.spaces.iter().zip(&self.seen.0).enumerate() {
            let generation = space.generation();
            // Relaxed: only the processor on which the virtual processor is loaded uses it.
            if seen.swap(generation, Ordering::Relaxed) != generation
                && let Some(word) = changed.get_mut(index / 64)
            {
                *word |= 1 << (index % 64);
            }
        }
        changed
    }

    /// The EPT pointers of those that have changed.
    pub(crate) fn eptps(&self, changed: Changed) -> impl Iterator<Item = Eptp> {
        let has_changed = move |index: usize| changed.get(index / 64).is_some_and(|word| word >> (index % 64) & 1 == 1);
        self.spaces.iter().enumerate().filter(move |(index, _)| has_changed(*index)).map(|(_, space)| eptp(space))
    }

    /// Nothing is known of what the processor has invalidated for.
    pub(crate) fn forget(&self) {
        for seen in &self.seen.0 {
            seen.store(0, Ordering::Relaxed);
        }
    }
}

impl<'s, 'm, A: Frames> VmxVcpu<'_, 's, 'm, A> {
    /// Gives the guest `space` as its memory from the next entry on, which invalidates for it. The guest cannot switch any more.
    ///
    /// # Errors
    ///
    /// [`OtherControls`] if the entries of the space would mean something else; then nothing is changed.
    pub fn set_space(&mut self, space: &'s AddressSpace<'m, EptFormat, A>) -> Result<(), OtherControls> {
        self.check_controls(space)?;
        let secondary = self.parts.secondary.without(SecondaryControls::ENABLE_VM_FUNCTIONS);
        if self.parts.eptp_spaces.is_some() {
            self.write_secondary(secondary);
            self.parts.eptp_spaces = None;
        }
        self.parts.seen = 0;
        self.point_to(space, EntryIndex::FIRST);
        Ok(())
    }

    /// Whether the entries of `space` mean what they say with the controls that the virtual processor was made with.
    fn check_controls(&self, space: &AddressSpace<'_, EptFormat, A>) -> Result<(), OtherControls> {
        let (space, vcpu) = (space.format().controls(), self.parts.tables);
        if space == vcpu { Ok(()) } else { Err(OtherControls { space, vcpu }) }
    }

    /// Lets the guest switch between `spaces` by VMFUNC with EAX = 0 and the index in ECX, and gives it the first one.
    ///
    /// # Errors
    ///
    /// [`EptpSwitchingError`] if the processor has no VM functions, or the entries of a space would mean something else; then nothing
    /// is changed.
    pub fn set_eptp_spaces(&mut self, spaces: EptpSpaces<'s, 'm, A>) -> Result<(), EptpSwitchingError> {
        for space in spaces.spaces() {
            self.check_controls(space)?;
        }
        let none = SecondaryControls::NONE;
        let wanted = self.parts.secondary | SecondaryControls::ENABLE_VM_FUNCTIONS;
        let capability = self.parts.capabilities.secondary();
        let secondary = SecondaryControls::negotiate(capability, wanted, none, none)?;
        // SAFETY: the list and the spaces live as long as `parts`, and each entry invalidates for all of them.
        unsafe { self.vmcs.put_sensitive(field::EPTP_LIST_ADDRESS, spaces.list.hpa()) };
        // SAFETY: the only function is to switch between the spaces of the list.
        unsafe { self.vmcs.put_sensitive(field::VM_FUNCTION_CONTROLS, VmFunctionControls::EPTP_SWITCHING) };
        self.write_secondary(secondary);
        self.point_to(spaces.first, EntryIndex::FIRST);
        self.parts.eptp_spaces = Some(spaces);
        Ok(())
    }

    /// Switches to another of the spaces that were given by [`set_eptp_spaces`](Self::set_eptp_spaces), as the guest can itself. It
    /// invalidates nothing.
    ///
    /// # Errors
    ///
    /// [`NoSuchSpace`] if there is none with the index; then nothing is changed.
    pub fn select_space(&mut self, index: EntryIndex) -> Result<(), NoSuchSpace> {
        let space = self.parts.eptp_spaces.as_ref().and_then(|spaces| spaces.get(index));
        self.point_to(space.ok_or(NoSuchSpace { index: index.get() })?, index);
        Ok(())
    }

    /// The index of the space in which the guest is, if it has several. It is read from the VMCS, for the guest switches.
    #[must_use]
    pub fn eptp_index(&self) -> Option<EntryIndex> {
        self.parts.eptp_spaces.as_ref()?.index_of(self.vmcs.get(field::EPT_POINTER))
    }

    /// The memory: of several, that in which the guest is.
    #[must_use]
    pub fn space(&self) -> &'s AddressSpace<'m, EptFormat, A> {
        let Some(spaces) = &self.parts.eptp_spaces else { return self.parts.space };
        self.eptp_index().and_then(|index| spaces.get(index)).unwrap_or(self.parts.space)
    }

    fn point_to(&mut self, space: &'s AddressSpace<'m, EptFormat, A>, index: EntryIndex) {
        self.parts.space = space;
        // SAFETY: the space outlives the virtual processor (`'s`) and maps only memory that its creator gave to guests. The next
        // entry invalidates for it, or has done so at its generation.
        unsafe { self.vmcs.put_sensitive(field::EPT_POINTER, eptp(space)) };
        if self.parts.capabilities.secondary().may_be_one().contains(SecondaryControls::EPT_VIOLATION_VE) {
            // SAFETY: a number that the processor reports to the guest.
            unsafe { self.vmcs.put_sensitive(field::EPTP_INDEX, index.get()) };
        }
    }

    /// Writes the secondary controls.
    pub(crate) fn write_secondary(&mut self, secondary: SecondaryControls) {
        self.parts.secondary = secondary;
        // SAFETY: only called to change "enable VM functions", "EPT-violation #VE", "enable PML" and those of a virtual APIC, with the
        // structures that they make the processor use in place, and for what `Intercepts` names.
        unsafe { self.vmcs.put_sensitive(field::SECONDARY_CONTROLS, secondary) };
    }
}

/// Why a guest cannot switch between address spaces.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum EptpSwitchingError {
    /// The processor has no EPTP switching.
    #[error(transparent)]
    Unsupported(#[from] UnsupportedControl),
    /// The entries of a space would mean something else.
    #[error(transparent)]
    Controls(#[from] OtherControls),
    /// There is no frame for the list.
    #[error(transparent)]
    OutOfFrames(#[from] OutOfFrames),
    /// An EPTP list has 512 entries, and the first is where the guest begins.
    #[error("an EPTP list has from 1 to 512 spaces, and not {count}")]
    Count {
        /// How many spaces there were.
        count: usize,
    },
}

/// The tables of a space need other controls than those with which the virtual processor was made: their entries would mean
/// something else.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("the tables of the space need {space}, and the virtual processor was made with {vcpu}")]
pub struct OtherControls {
    /// What the space needs.
    pub space: EptControls,
    /// What the virtual processor has.
    pub vcpu: EptControls,
}

/// The virtual processor has no space with this index.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("the virtual processor has no address space with the index {index}")]
pub struct NoSuchSpace {
    /// The index.
    pub index: u16,
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{AddressSpace, PageSize};
    use x86_virt_ept::EptFormat;

    use super::{EptpSpaces, EptpSwitchingError, eptp};
    use crate::capability::{Capabilities, RawCapabilities};
    use crate::memory::EntryIndex;
    use crate::setup::tests::HASWELL;
    use x86_virt_core::testing::FakeFrames;

    const SWITCHING: RawCapabilities = RawCapabilities { vm_functions: 1, ..HASWELL };

    fn format() -> EptFormat {
        // The frames are on the heap, wherever that is.
        EptFormat::new(Capabilities::from_raw(HASWELL).ept(), 52).unwrap()
    }

    #[test]
    fn the_list_has_the_pointers_and_tells_what_changed() {
        let frames = FakeFrames::limited(16);
        let spaces: [_; 3] = core::array::from_fn(|_| AddressSpace::new(format(), frames.clone()).unwrap());
        let borrowed = spaces.each_ref();
        let capabilities = Capabilities::from_raw(SWITCHING);
        let list = EptpSpaces::new(&capabilities, &frames, &borrowed).unwrap();
        for (index, space) in (0..).zip(&spaces) {
            let index = EntryIndex::new(index).unwrap();
            assert_eq!(list.list.get(index), eptp(space));
            assert_eq!(list.index_of(eptp(space)), Some(index));
        }
        assert_eq!(list.list.get(EntryIndex::new(3).unwrap()).into_bits(), 0);
        let all: Vec<_> = spaces.iter().map(eptp).collect();
        let changed = || list.eptps(list.note_generations()).collect::<Vec<_>>();
        assert_eq!(changed(), all, "the processor has invalidated for none");
        assert!(changed().is_empty());
        list.forget();
        assert_eq!(changed(), all);
        assert!(changed().is_empty());
        // A change that needs no memory: of what is not mapped, nothing is split.
        let gpa = x86_virt_core::Gpa::new(0)..x86_virt_core::Gpa::new(PageSize::Size4K.bytes());
        assert!(spaces[1].unmap(gpa).is_err());
        assert!(changed().is_empty(), "a change that was refused");
    }

    #[test]
    fn what_is_missing_is_named() {
        let frames = FakeFrames::limited(2);
        let space = AddressSpace::new(format(), frames.clone()).unwrap();
        let (one, none) = ([&space], []);
        let with = Capabilities::from_raw(SWITCHING);
        let error = EptpSpaces::new(&Capabilities::from_raw(HASWELL), &frames, &one).unwrap_err();
        assert_eq!(error.to_string(), "the VM-function control bit 0 (EPTP_SWITCHING) cannot be 1");
        assert_eq!(EptpSpaces::new(&with, &frames, &none).unwrap_err(), EptpSwitchingError::Count { count: 0 });
        let many = [&space; 513];
        assert_eq!(EptpSpaces::new(&with, &frames, &many).unwrap_err(), EptpSwitchingError::Count { count: 513 });
        // One frame is left, and two are needed.
        assert!(matches!(EptpSpaces::new(&with, &frames, &one), Err(EptpSwitchingError::OutOfFrames(_))));
    }
}
