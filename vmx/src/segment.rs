//! The fields of the segment registers.

use x86_virt_core::{SegmentAccessRights, SegmentRegister};

use crate::field::{self, Field, ReadWrite};

/// The four fields of a segment register.
pub(crate) struct SegmentFields {
    pub(crate) selector: Field<u16, ReadWrite>,
    pub(crate) rights: Field<SegmentAccessRights, ReadWrite>,
    pub(crate) limit: Field<u32, ReadWrite>,
    pub(crate) base: Field<u64, ReadWrite>,
}

/// Names the fields of a segment register.
macro_rules! segment_fields {
    ($selector:ident, $rights:ident, $limit:ident, $base:ident) => {
        SegmentFields { selector: field::$selector, rights: field::$rights, limit: field::$limit, base: field::$base }
    };
}

impl SegmentFields {
    pub(crate) const fn of(register: SegmentRegister) -> Self {
        match register {
            SegmentRegister::Es => {
                segment_fields!(GUEST_ES_SELECTOR, GUEST_ES_ACCESS_RIGHTS, GUEST_ES_LIMIT, GUEST_ES_BASE)
            }
            SegmentRegister::Cs => {
                segment_fields!(GUEST_CS_SELECTOR, GUEST_CS_ACCESS_RIGHTS, GUEST_CS_LIMIT, GUEST_CS_BASE)
            }
            SegmentRegister::Ss => {
                segment_fields!(GUEST_SS_SELECTOR, GUEST_SS_ACCESS_RIGHTS, GUEST_SS_LIMIT, GUEST_SS_BASE)
            }
            SegmentRegister::Ds => {
                segment_fields!(GUEST_DS_SELECTOR, GUEST_DS_ACCESS_RIGHTS, GUEST_DS_LIMIT, GUEST_DS_BASE)
            }
            SegmentRegister::Fs => {
                segment_fields!(GUEST_FS_SELECTOR, GUEST_FS_ACCESS_RIGHTS, GUEST_FS_LIMIT, GUEST_FS_BASE)
            }
            SegmentRegister::Gs => {
                segment_fields!(GUEST_GS_SELECTOR, GUEST_GS_ACCESS_RIGHTS, GUEST_GS_LIMIT, GUEST_GS_BASE)
            }
            SegmentRegister::Ldtr => {
                segment_fields!(GUEST_LDTR_SELECTOR, GUEST_LDTR_ACCESS_RIGHTS, GUEST_LDTR_LIMIT, GUEST_LDTR_BASE)
            }
            SegmentRegister::Tr => {
                segment_fields!(GUEST_TR_SELECTOR, GUEST_TR_ACCESS_RIGHTS, GUEST_TR_LIMIT, GUEST_TR_BASE)
            }
        }
    }
}
