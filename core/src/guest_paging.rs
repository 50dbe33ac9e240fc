//! The guest's own paging: from linear to guest-physical addresses.

mod entry;
mod fault;

use crate::GuestMemory;
use crate::access::Access;
use crate::addr::{Gpa, Gva, PageSize};
use crate::register::{ControlRegister, Cr0, Cr4, Efer, Rflags};
use crate::segment::SegmentRegister;
use crate::vcpu::Vcpu;

pub use fault::GuestFault;

use entry::{Entry, Leaf, Mode};

/// The registers of a guest that decide how it translates linear addresses, and what it may do where.
///
/// [`translate`](Self::translate) tells what an access would find and changes nothing; [`access`](Self::access) also sets accessed
/// and dirty flags, as a processor does; [`read`](Self::read) and [`write`](Self::write) copy. All walk the tables in guest memory anew:
/// translations that the processor has cached are not looked at.
///
/// Masking of linear addresses (LAM, UAI) is the caller's part.
///
/// Intel SDM vol. 3, chapter 5, "Paging"; AMD APM vol. 2, chapter 5, "Page Translation and Protection".
///
/// ```
/// use x86_virt_core::{GuestAccess, GuestFault, GuestMemory, GuestPaging, Gva, Privilege, Vcpu};
///
/// /// Reads the string at which a guest's system call points, or raises the fault that the guest would see.
/// fn argument<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, at: Gva) -> Result<[u8; 16], GuestFault> {
///     let mut bytes = [0; 16];
///     GuestPaging::of(vcpu).read(memory, at, Privilege::User, &mut bytes)?;
///     Ok(bytes)
/// }
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct GuestPaging {
    /// CR0: PG and WP.
    pub cr0: Cr0,
    /// CR3.
    pub cr3: u64,
    /// CR4: PAE, PSE, LA57, SMEP, SMAP, PKE, PKS.
    pub cr4: Cr4,
    /// EFER: LMA and NXE.
    pub efer: Efer,
    /// RFLAGS: AC, which lifts supervisor-mode access prevention.
    pub rflags: Rflags,
    /// PKRU: protection keys of user pages.
    pub pkru: u32,
    /// IA32_PKRS: protection keys of supervisor pages.
    pub pkrs: u32,
    /// The width of the guest's physical addresses, as its CPUID says. Bits from there on are reserved. At most 52.
    pub address_width: u8,
    /// The largest page that the guest has, as its CPUID says, but for the 4 MiB pages of 32-bit paging, which follow CR4.PSE.
    pub largest_page: PageSize,
}

impl GuestPaging {
    /// The registers of `vcpu`, with addresses of 52 bits, pages of 1 GiB, and no protection keys.
    #[must_use]
    pub fn of<V: Vcpu>(vcpu: &V) -> Self {
        Self {
            cr0: vcpu.control(ControlRegister::Cr0).into(),
            cr3: vcpu.control(ControlRegister::Cr3),
            cr4: vcpu.control(ControlRegister::Cr4).into(),
            efer: vcpu.efer(),
            rflags: vcpu.rflags(),
            pkru: 0,
            pkrs: 0,
            address_width: 52,
            largest_page: PageSize::Size1G,
        }
    }

    /// What `gva` translates to, if `access` is allowed there. Nothing is changed.
    ///
    /// # Errors
    ///
    /// [`GuestFault`]: what the guest would see.
    pub fn translate(
        &self,
        memory: &impl GuestMemory,
        gva: Gva,
        access: GuestAccess,
    ) -> Result<GuestTranslation, GuestFault> {
        let (leaf, _) = self.walk(memory, gva, access)?;
        Ok(leaf.translation(gva))
    }

    /// The same, and sets the accessed flags of the entries on the way and, for a write, the dirty flag of the last one, each by one
    /// locked operation.
    ///
    /// # Errors
    ///
    /// [`GuestFault`]; no flag is set then, unless an entry cannot be written or other processors do not stop changing it.
    pub fn access(
        &self,
        memory: &impl GuestMemory,
        gva: Gva,
        access: GuestAccess,
    ) -> Result<GuestTranslation, GuestFault> {
        'walk: for _ in 0..ATTEMPTS {
            let (leaf, entries) = self.walk(memory, gva, access)?;
            let last = entries.iter().flatten().count();
            for (number, entry) in (1..).zip(entries.iter().flatten()) {
                let is_written = number == last && access.kind.is_write();
                if !entry.mark(memory, gva, is_written)? {
                    continue 'walk;
                }
            }
            return Ok(leaf.translation(gva));
        }
        Err(GuestFault::Contended { gva })
    }

    /// Copies guest memory at `gva` to `buffer`, across borders of pages, and sets accessed flags.
    ///
    /// # Errors
    ///
    /// [`GuestFault`], with the first address that cannot be read. What is below it has been copied.
    pub fn read(
        &self,
        memory: &impl GuestMemory,
        gva: Gva,
        privilege: Privilege,
        buffer: &mut [u8],
    ) -> Result<(), GuestFault> {
        self.load(memory, gva, GuestAccess::read(privilege), buffer)
    }

    /// The same for bytes of instructions.
    ///
    /// # Errors
    ///
    /// [`GuestFault`], with the first address that cannot be fetched from. What is below it has been copied.
    pub fn fetch(
        &self,
        memory: &impl GuestMemory,
        gva: Gva,
        privilege: Privilege,
        buffer: &mut [u8],
    ) -> Result<(), GuestFault> {
        self.load(memory, gva, GuestAccess::fetch(privilege), buffer)
    }

    fn load(
        &self,
        memory: &impl GuestMemory,
        gva: Gva,
        access: GuestAccess,
        buffer: &mut [u8],
    ) -> Result<(), GuestFault> {
        let mut at = gva;
        let mut rest = buffer;
        while !rest.is_empty() {
            let (now, later) = rest.split_at_mut(rest.len().min(to_page_end(at)));
            let gpa = self.access(memory, at, access)?.gpa;
            memory.read(gpa, now).map_err(|error| GuestFault::Memory { gva: at, error })?;
            at = self.behind(at, now.len());
            rest = later;
        }
        Ok(())
    }

    /// Copies `data` to guest memory at `gva`, across borders of pages, and sets accessed and dirty flags.
    ///
    /// # Errors
    ///
    /// [`GuestFault`], with the first address that cannot be written. What is below it has been copied.
    pub fn write(
        &self,
        memory: &impl GuestMemory,
        gva: Gva,
        privilege: Privilege,
        data: &[u8],
    ) -> Result<(), GuestFault> {
        let mut at = gva;
        let mut rest = data;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(to_page_end(at)));
            let gpa = self.access(memory, at, GuestAccess::write(privilege))?.gpa;
            memory.write(gpa, now).map_err(|error| GuestFault::Memory { gva: at, error })?;
            at = self.behind(at, now.len());
            rest = later;
        }
        Ok(())
    }

    /// The address `length` bytes further on. Outside of 64-bit mode addresses wrap at 4 GiB.
    fn behind(&self, gva: Gva, length: usize) -> Gva {
        let address = gva.get().wrapping_add(u64::try_from(length).unwrap_or(0));
        Gva::new(if self.efer.lma() { address } else { address & 0xffff_ffff })
    }

    /// The leaf of `gva`, where `access` is allowed, and the entries from the root to it that have an accessed flag.
    fn walk(&self, memory: &impl GuestMemory, gva: Gva, access: GuestAccess) -> Result<Walk, GuestFault> {
        let mut entries = [None; MAX_LEVELS];
        let Some(mode) = Mode::of(self) else {
            return Ok((Leaf::without_paging(gva), entries));
        };
        if !mode.is_canonical(gva) {
            return Err(GuestFault::NonCanonical { gva });
        }
        let mut leaf = Leaf::new();
        let mut table = mode.root(self.cr3);
        let mut slots = entries.iter_mut();
        for level in (1..=mode.levels()).rev() {
            let entry = Entry::read(memory, mode, table, gva, level)?;
            if !entry.is_present() {
                return Err(self.page_fault(gva, access, |code| code));
            }
            let is_page = entry.is_page(self);
            if entry.bits & entry.reserved(self, is_page) != 0 {
                return Err(self.page_fault(gva, access, |code| code.with_p(true).with_rsvd(true)));
            }
            if entry.has_rights() {
                leaf.narrow(&entry, is_page);
                if let Some(slot) = slots.next() {
                    *slot = Some(entry);
                }
            }
            if is_page {
                leaf.page = Gpa::new(entry.page_address());
                leaf.bytes = entry.page_bytes();
                break;
            }
            table = entry.table_address();
        }
        let is_denied_by_key = leaf.is_denied_by_key(self, access);
        if is_denied_by_key || !leaf.allows(self, access) {
            return Err(self.page_fault(gva, access, |code| code.with_p(true).with_pk(is_denied_by_key)));
        }
        Ok((leaf, entries))
    }
}

type Walk = (Leaf, [Option<Entry>; MAX_LEVELS]);

/// The most levels that a walk has.
const MAX_LEVELS: usize = 5;
/// How often a walk starts anew since another processor changed an entry meanwhile.
const ATTEMPTS: usize = 16;

/// Bytes from `gva` to the end of its 4 KiB page.
pub(crate) fn to_page_end(gva: Gva) -> usize {
    usize::try_from(4096 - (gva.get() & 0xfff)).unwrap_or(4096)
}

/// What a guest does at a linear address, and with which rights.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct GuestAccess {
    /// What is done.
    pub kind: GuestAccessKind,
    /// Who does it.
    pub privilege: Privilege,
}

impl GuestAccess {
    /// A read of data.
    #[must_use]
    pub const fn read(privilege: Privilege) -> Self {
        Self { kind: GuestAccessKind::Read, privilege }
    }

    /// A write of data.
    #[must_use]
    pub const fn write(privilege: Privilege) -> Self {
        Self { kind: GuestAccessKind::Write, privilege }
    }

    /// A fetch of instructions.
    #[must_use]
    pub const fn fetch(privilege: Privilege) -> Self {
        Self { kind: GuestAccessKind::Fetch, privilege }
    }
}

/// What a guest does at a linear address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum GuestAccessKind {
    /// Reads data.
    Read,
    /// Writes data.
    Write,
    /// Fetches instructions.
    Fetch,
    /// Reads from a shadow stack, as RET does.
    ShadowStackRead,
    /// Writes to a shadow stack, as CALL does.
    ShadowStackWrite,
}

impl GuestAccessKind {
    const fn is_write(self) -> bool {
        matches!(self, Self::Write | Self::ShadowStackWrite)
    }

    const fn is_shadow_stack(self) -> bool {
        matches!(self, Self::ShadowStackRead | Self::ShadowStackWrite)
    }
}

/// With which rights a guest accesses memory.
///
/// Intel SDM vol. 3, section 5.6, "Access Rights".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Privilege {
    /// Privilege level 3.
    User,
    /// Privilege levels 0 to 2.
    Supervisor,
    /// Access to a system structure, a descriptor table or a task-state segment, at whatever privilege level.
    Implicit,
}

impl Privilege {
    /// That of the instructions that `vcpu` executes.
    #[must_use]
    pub fn of<V: Vcpu>(vcpu: &V) -> Self {
        let is_user = if Cr0::from(vcpu.control(ControlRegister::Cr0)).pe() {
            vcpu.rflags().vm() || vcpu.segment(SegmentRegister::Ss).rights.dpl() == 3
        } else {
            false
        };
        if is_user { Self::User } else { Self::Supervisor }
    }
}

/// What the guest's tables say of a linear address.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub struct GuestTranslation {
    /// The guest-physical address of the same byte. [`GuestMemory::translate`] says where that is.
    pub gpa: Gpa,
    /// How many bytes the page has: 4 KiB, 2 MiB, 4 MiB or 1 GiB; 4 KiB without paging.
    pub page_bytes: u64,
    /// What the entries allow, before the rights of who accesses it are looked at.
    pub access: Access,
    /// Whether it is user memory.
    pub is_user: bool,
    /// Whether the page is global.
    pub is_global: bool,
    /// The protection key.
    pub protection_key: u8,
}

#[cfg(test)]
mod tests;
