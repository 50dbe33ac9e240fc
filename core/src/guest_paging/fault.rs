//! What a guest sees where it may not access memory.

use crate::access::Access;
use crate::addr::Gva;
use crate::event::Exception;
use crate::guest_memory::AccessError;
use crate::protection::PageFaultErrorCode;

use super::{GuestAccess, GuestAccessKind, GuestPaging, Privilege};

/// Why a guest cannot access a linear address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum GuestFault {
    /// The address is not canonical: the guest sees #GP, or #SS for an access to its stack.
    #[error("linear address {gva} is not canonical")]
    NonCanonical {
        /// The address.
        gva: Gva,
    },
    /// The guest sees #PF.
    #[error("page fault at linear address {gva}, error code {error_code}")]
    Page {
        /// The address, for CR2.
        gva: Gva,
        /// The error code.
        error_code: PageFaultErrorCode,
    },
    /// Guest-physical memory cannot be accessed: that of the address, or one of the tables on the way. On a processor it is a nested
    /// page fault.
    #[error("linear address {gva}: {error}")]
    Memory {
        /// The linear address.
        gva: Gva,
        /// Why.
        error: AccessError,
    },
    /// Other processors did not stop changing an entry.
    #[error("the entries of linear address {gva} do not stop changing")]
    Contended {
        /// The address.
        gva: Gva,
    },
}

impl GuestFault {
    /// The exception to inject, with the value for CR2 if it is a page fault. `None` where the guest has done nothing wrong.
    ///
    /// ```
    /// use x86_virt_core::{Exception, GuestFault, Gva, PageFaultErrorCode};
    ///
    /// let fault = GuestFault::Page { gva: Gva::new(0x1000), error_code: PageFaultErrorCode::new().with_wr(true) };
    /// assert_eq!(fault.exception(), Some((Exception::page_fault(2), Some(0x1000))));
    /// ```
    #[must_use]
    pub const fn exception(&self) -> Option<(Exception, Option<u64>)> {
        match *self {
            Self::NonCanonical { .. } => Some((Exception::general_protection(0), None)),
            Self::Page { gva, error_code } => Some((Exception::page_fault(error_code.into_bits()), Some(gva.get()))),
            Self::Memory { .. } | Self::Contended { .. } => None,
        }
    }

    /// The linear address.
    #[must_use]
    pub const fn gva(&self) -> Gva {
        match *self {
            Self::NonCanonical { gva }
            | Self::Page { gva, .. }
            | Self::Memory { gva, .. }
            | Self::Contended { gva } => gva,
        }
    }
}

impl GuestPaging {
    /// The page fault of `access`, with what `cause` adds to the error code.
    ///
    /// Intel SDM vol. 3, section 5.7, "Page-Fault Exceptions".
    pub(super) fn page_fault(
        &self,
        gva: Gva,
        access: GuestAccess,
        cause: impl FnOnce(PageFaultErrorCode) -> PageFaultErrorCode,
    ) -> GuestFault {
        let are_fetches_told = self.cr4.smep() || self.cr4.pae() && self.efer.nxe();
        let error_code = PageFaultErrorCode::new()
            .with_wr(access.kind.is_write())
            .with_us(access.privilege == Privilege::User)
            .with_id(access.kind == GuestAccessKind::Fetch && are_fetches_told)
            .with_ss(access.kind.is_shadow_stack());
        GuestFault::Page { gva, error_code: cause(error_code) }
    }
}

impl super::entry::Leaf {
    /// Whether the entries allow `access`, protection keys apart.
    ///
    /// Intel SDM vol. 3, section 5.6.1, "Determination of Access Rights".
    pub(super) fn allows(&self, paging: &GuestPaging, access: GuestAccess) -> bool {
        let is_user_access = access.privilege == Privilege::User;
        let is_reachable = match access.privilege {
            Privilege::User => self.is_user,
            Privilege::Supervisor => !self.is_user || !paging.cr4.smap() || paging.rflags.ac(),
            Privilege::Implicit => !self.is_user || !paging.cr4.smap(),
        };
        match access.kind {
            GuestAccessKind::Read => is_reachable,
            GuestAccessKind::Write => is_reachable && (self.is_writable() || !is_user_access && !paging.cr0.wp()),
            GuestAccessKind::Fetch => {
                let is_prevented = !is_user_access && self.is_user && paging.cr4.smep();
                !self.is_execute_disabled && (self.is_user || !is_user_access) && !is_prevented
            }
            GuestAccessKind::ShadowStackRead | GuestAccessKind::ShadowStackWrite => {
                self.is_shadow_stack() && self.is_user == is_user_access
            }
        }
    }

    /// Whether the protection key of the page forbids `access`.
    ///
    /// Intel SDM vol. 3, section 5.6.2, "Protection Keys".
    pub(super) fn is_denied_by_key(&self, paging: &GuestPaging, access: GuestAccess) -> bool {
        let (is_enabled, rights) =
            if self.is_user { (paging.cr4.pke(), paging.pkru) } else { (paging.cr4.pks(), paging.pkrs) };
        if !is_enabled || !paging.efer.lma() || !paging.cr0.pg() || access.kind == GuestAccessKind::Fetch {
            return false;
        }
        let bits = rights >> (2 * u32::from(self.key));
        let is_access_disabled = bits & 1 != 0;
        let is_write_disabled = bits & 2 != 0;
        let obeys_write_protection = access.privilege == Privilege::User || paging.cr0.wp();
        is_access_disabled || is_write_disabled && access.kind.is_write() && obeys_write_protection
    }

    /// What the entries allow, before the rights of who accesses it are looked at.
    pub(super) fn access(&self) -> Access {
        let write = if self.is_writable() { Access::WRITE } else { Access::NONE };
        let execute = if self.is_execute_disabled { Access::NONE } else { Access::EXECUTE };
        Access::READ | write | execute
    }
}
