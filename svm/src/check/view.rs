//! What a check reads: the VMCB, CPUID, and what else VMRUN depends on.

use core::fmt;

use x86_virt_core::{Cr0, Efer, Hpa};

use crate::capability::{Capabilities, RawCpuid};
use crate::dump::{VmcbDump, VmsaDump};
use crate::register::{Mode, is_long};
use crate::vmcb::{EventInjection, Field, NestedControl, VmcbValue, control, save};
use crate::vmsa::Vmsa;

/// A VMCB or a VMSA to read from, of which parts may be unknown.
///
/// ```
/// use x86_virt_svm::check::VmcbRead;
///
/// /// The first bytes of a VMCB.
/// struct Cut<'b>(&'b [u8]);
///
/// impl VmcbRead for Cut<'_> {
///     fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
///         bytes.copy_from_slice(self.0.get(offset..)?.get(..bytes.len())?);
///         Some(())
///     }
/// }
///
/// let mut word = [0; 2];
/// assert!(Cut(&[1, 2, 3]).read(1, &mut word).is_some());
/// assert_eq!(word, [2, 3]);
/// assert!(Cut(&[1, 2, 3]).read(2, &mut word).is_none());
/// ```
pub trait VmcbRead {
    /// Fills `bytes` with those from `offset` on, or returns `None` if one of them is not known.
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()>;
}

impl VmcbRead for VmcbDump {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        read_slice(self.as_bytes(), offset, bytes)
    }
}

impl VmcbRead for VmsaDump {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        read_slice(self.as_bytes(), offset, bytes)
    }
}

impl<S: VmcbRead + ?Sized> VmcbRead for &S {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        (**self).read(offset, bytes)
    }
}

/// What the next VMRUN of a virtual processor sees: its VMCB, with the event that waits.
#[derive(Clone, Copy)]
pub struct NextVmcb<'v> {
    vmcb: &'v dyn VmcbRead,
    injection: Option<EventInjection>,
}

impl<'v> NextVmcb<'v> {
    pub(crate) const fn new(vmcb: &'v dyn VmcbRead, injection: Option<EventInjection>) -> Self {
        Self { vmcb, injection }
    }
}

impl VmcbRead for NextVmcb<'_> {
    fn read(&self, offset: usize, bytes: &mut [u8]) -> Option<()> {
        match self.injection {
            Some(injection) if offset == control::EVENTINJ.offset() => injection.encode(bytes),
            _ => self.vmcb.read(offset, bytes)?,
        }
        Some(())
    }
}

impl fmt::Debug for NextVmcb<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NextVmcb").field("injection", &self.injection).finish_non_exhaustive()
    }
}

fn read_slice(slice: &[u8], offset: usize, bytes: &mut [u8]) -> Option<()> {
    let end = offset.checked_add(bytes.len())?;
    bytes.copy_from_slice(slice.get(offset..end)?);
    Some(())
}

/// What VMRUN depends on besides the VMCB and CPUID. `None` stands for what is not known.
///
/// ```
/// use x86_virt_core::Hpa;
/// use x86_virt_svm::check::VmrunContext;
///
/// let mut context = VmrunContext::UNKNOWN;
/// context.vmcb_address = Some(Hpa::new(0x1000));
/// assert_eq!(context.cpl, None);
/// ```
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct VmrunContext<'c> {
    /// CR0 of the host.
    pub host_cr0: Option<Cr0>,
    /// EFER of the host.
    pub host_efer: Option<Efer>,
    /// Privilege level of the host.
    pub cpl: Option<u8>,
    /// RAX: the physical address of the VMCB.
    pub vmcb_address: Option<Hpa>,
    /// VM_HSAVE_PA.
    pub hsave_pa: Option<Hpa>,
    /// HWCR, of which SmmLock, bit 0, matters.
    pub hwcr: Option<u64>,
    /// SYSCFG, of which SecureNestedPagingEn, bit 24, matters.
    pub syscfg: Option<u64>,
    /// CPUID Fn8000_0008 EBX, which says which bits EFER has.
    pub leaf_8000_0008_ebx: Option<u32>,
    /// CPUID Fn8000_0021 EAX, which says which bits EFER has.
    pub leaf_8000_0021_eax: Option<u32>,
    /// The page-directory-pointer entries that CR3 of a guest with legacy PAE paging refers to.
    pub pdptes: Option<[u64; 4]>,
    /// U_CET of the processor, which a guest without SEV-ES shares.
    pub u_cet: Option<u64>,
    /// The VMSA of a guest with SEV-ES, such as a [`VmsaDump`](crate::VmsaDump).
    pub vmsa: Option<&'c dyn VmcbRead>,
    /// Whether the reverse map lets the host use the page of the VMCB.
    pub rmp_allows_vmcb: Option<bool>,
    /// Whether the reverse map lets the guest use the APIC backing page of AVIC.
    pub rmp_allows_avic_backing_page: Option<bool>,
    /// Whether the reverse map says that VMSA_PTR refers to a VMSA of the guest.
    pub rmp_allows_vmsa: Option<bool>,
    /// Whether instruction-based sampling of the host is on: IbsFetchEn or IbsOpEn.
    pub host_ibs: Option<bool>,
    /// Whether the sibling thread is idle.
    pub is_sibling_idle: Option<bool>,
    /// Whether the state of the performance counters permits to virtualize them.
    pub permits_pmc_virtualization: Option<bool>,
}

impl VmrunContext<'_> {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        host_cr0: None,
        host_efer: None,
        cpl: None,
        vmcb_address: None,
        hsave_pa: None,
        hwcr: None,
        syscfg: None,
        leaf_8000_0008_ebx: None,
        leaf_8000_0021_eax: None,
        pdptes: None,
        u_cet: None,
        vmsa: None,
        rmp_allows_vmcb: None,
        rmp_allows_avic_backing_page: None,
        rmp_allows_vmsa: None,
        host_ibs: None,
        is_sibling_idle: None,
        permits_pmc_virtualization: None,
    };
}

impl fmt::Debug for VmrunContext<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmrunContext")
            .field("host_cr0", &self.host_cr0)
            .field("host_efer", &self.host_efer)
            .field("cpl", &self.cpl)
            .field("vmcb_address", &self.vmcb_address)
            .field("hsave_pa", &self.hsave_pa)
            .finish_non_exhaustive()
    }
}

/// What is not known and must be, to decide about a rule.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("cannot tell without {0}")]
pub struct Missing(pub(crate) &'static str);

impl Missing {
    /// What it is: a field of the VMCB, a register, or a CPUID leaf.
    #[must_use]
    pub const fn what(self) -> &'static str {
        self.0
    }
}

/// Bytes of the longest field that a rule reads: a segment.
const LONGEST: usize = 16;

/// All that a rule can read.
#[derive(Clone, Copy)]
pub(crate) struct View<'v> {
    vmcb: &'v dyn VmcbRead,
    cpuid: Option<RawCpuid>,
    pub(crate) context: &'v VmrunContext<'v>,
    is_encrypted: bool,
}

impl<'v> View<'v> {
    pub(crate) fn new(vmcb: &'v dyn VmcbRead, cpuid: Option<RawCpuid>, context: &'v VmrunContext<'v>) -> Self {
        let mut view = Self { vmcb, cpuid, context, is_encrypted: false };
        let nested = view.get(control::NESTED_CTL).unwrap_or_default();
        let may_be = || cpuid.is_none_or(|cpuid| Capabilities::of(cpuid).encryption().sev_es());
        view.is_encrypted = nested.sev() && nested.sev_es() && may_be();
        view
    }

    /// A field. Those of the save area are in the VMSA if the guest has SEV-ES.
    pub(crate) fn get<T: VmcbValue, X>(&self, field: Field<T, X>) -> Result<T, Missing> {
        let mut bytes = [0; LONGEST];
        let place = bytes.get_mut(..size_of::<T>().min(LONGEST)).unwrap_or_default();
        self.bytes(field.offset(), place, field.name())?;
        Ok(T::decode(&bytes))
    }

    /// The bytes of the field `name`.
    pub(crate) fn bytes(&self, offset: usize, bytes: &mut [u8], name: &'static str) -> Result<(), Missing> {
        match offset.checked_sub(save::START) {
            Some(offset) if self.is_encrypted() => self.vmsa_bytes(offset, bytes, name),
            _ => self.vmcb.read(offset, bytes).ok_or(Missing(name)),
        }
    }

    /// Whether the guest has SEV-ES. If the VMCB does not tell, its save area is taken for what it is without.
    pub(crate) const fn is_encrypted(&self) -> bool {
        self.is_encrypted
    }

    /// A field of the VMSA of a guest with SEV-ES.
    pub(crate) fn vmsa<T: VmcbValue, X>(&self, field: Field<T, X, Vmsa>) -> Result<T, Missing> {
        let mut bytes = [0; LONGEST];
        let place = bytes.get_mut(..size_of::<T>().min(LONGEST)).unwrap_or_default();
        self.vmsa_bytes(field.offset(), place, field.name())?;
        Ok(T::decode(&bytes))
    }

    /// The bytes of the field `name` of the VMSA.
    pub(crate) fn vmsa_bytes(&self, offset: usize, bytes: &mut [u8], name: &'static str) -> Result<(), Missing> {
        self.context.vmsa.ok_or(Missing("the VMSA"))?.read(offset, bytes).ok_or(Missing(name))
    }

    /// What the processor has. It need not be enough to run guests.
    pub(crate) fn processor(&self) -> Result<Capabilities, Missing> {
        self.cpuid.map(Capabilities::of).ok_or(Missing("CPUID"))
    }

    /// The control registers of the guest.
    pub(crate) fn mode(&self) -> Result<Mode, Missing> {
        Ok(Mode { cr0: self.get(save::CR0)?, cr4: self.get(save::CR4)?, efer: self.get(save::EFER)? })
    }

    /// Whether EFER.LME and CR0.PG are 1.
    pub(crate) fn is_long(&self) -> Result<bool, Missing> {
        Ok(is_long(self.get(save::CR0)?, self.get(save::EFER)?))
    }

    /// NESTED_CTL, if nested paging is on.
    pub(crate) fn nested_paging(&self) -> Result<Option<NestedControl>, Missing> {
        let nested: NestedControl = self.get(control::NESTED_CTL)?;
        Ok(nested.np_enable().then_some(nested))
    }

    /// Bits of `address` that no physical address of the host has. With memory encryption the C-bit may be set.
    pub(crate) fn beyond(&self, address: u64) -> Result<u64, Missing> {
        let processor = self.processor()?;
        let c_bit = match processor.encryption() {
            features if features.sme() || features.sev() => {
                1_u64.checked_shl(processor.encryption_parameters().cbit_position().into()).unwrap_or(0)
            }
            _ => 0,
        };
        let beyond = u64::MAX.checked_shl(processor.physical_width().into()).unwrap_or(0);
        Ok(address & beyond & !c_bit)
    }
}

const _: () = assert!(size_of::<crate::vmcb::VmcbSegment>() <= LONGEST);
