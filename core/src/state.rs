//! The architectural state of a virtual processor as plain data.

use crate::register::{Cr0, Cr4, Efer, Gprs, Rflags};
use crate::segment::{DescriptorTable, Segment, SegmentAccessRights, SegmentRegister};

/// The registers of a virtual processor.
///
/// It is built by one of the constructors, changed where needed, and loaded by [`Vcpu::set_state`](crate::Vcpu::set_state).
///
/// ```
/// use x86_virt_core::CpuState;
///
/// let mut state = CpuState::real_mode(0x0000, 0x7c00);
/// state.rsp = 0x7000;
/// assert_eq!(state.cs.base, 0);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[expect(missing_docs, reason = "the names are the registers")]
pub struct CpuState {
    pub gprs: Gprs,
    pub rip: u64,
    pub rsp: u64,
    pub rflags: Rflags,
    pub cr0: Cr0,
    pub cr2: u64,
    pub cr3: u64,
    pub cr4: Cr4,
    pub efer: Efer,
    pub es: Segment,
    pub cs: Segment,
    pub ss: Segment,
    pub ds: Segment,
    pub fs: Segment,
    pub gs: Segment,
    pub ldtr: Segment,
    pub tr: Segment,
    pub gdtr: DescriptorTable,
    pub idtr: DescriptorTable,
    pub dr7: u64,
}

impl CpuState {
    /// Real mode at `cs:ip`, all other registers as after INIT.
    ///
    /// Intel SDM vol. 3, section 10.1.1, "Processor State After Reset".
    #[must_use]
    pub fn real_mode(cs: u16, ip: u16) -> Self {
        let data = Segment::real_mode(0, SegmentAccessRights::DATA16);
        Self {
            gprs: Gprs::default(),
            rip: u64::from(ip),
            rsp: 0,
            rflags: Rflags::new(),
            cr0: Cr0::new().with_et(true),
            cr2: 0,
            cr3: 0,
            cr4: Cr4::new(),
            efer: Efer::new(),
            es: data,
            cs: Segment::real_mode(cs, SegmentAccessRights::CODE16),
            ss: data,
            ds: data,
            fs: data,
            gs: data,
            ldtr: Segment::real_mode(0, SegmentAccessRights::LDT),
            tr: Segment::real_mode(0, SegmentAccessRights::BUSY_TSS),
            gdtr: DescriptorTable { base: 0, limit: 0xffff },
            idtr: DescriptorTable { base: 0, limit: 0x3ff },
            dr7: 0x400,
        }
    }

    /// 64-bit mode, privilege level 0, with the page tables at `cr3` and flat segments of selectors 8 (code) and 16 (data).
    ///
    /// The guest's GDT is empty until it loads one; `rsp` must point to its stack.
    ///
    /// Intel SDM vol. 3, section 10.8.5, "Initializing IA-32e Mode".
    #[must_use]
    pub fn long_mode(rip: u64, rsp: u64, cr3: u64) -> Self {
        let data = Segment::flat(16, SegmentAccessRights::DATA32);
        Self {
            rip,
            rsp,
            cr0: Cr0::new().with_pe(true).with_et(true).with_ne(true).with_wp(true).with_pg(true),
            cr3,
            cr4: Cr4::new().with_pae(true),
            efer: Efer::new().with_lme(true).with_lma(true),
            es: data,
            cs: Segment::flat(8, SegmentAccessRights::CODE64),
            ss: data,
            ds: data,
            fs: data,
            gs: data,
            gdtr: DescriptorTable::default(),
            idtr: DescriptorTable::default(),
            ..Self::real_mode(0, 0)
        }
    }

    /// The segment register `register`.
    #[must_use]
    pub const fn segment(&self, register: SegmentRegister) -> Segment {
        match register {
            SegmentRegister::Es => self.es,
            SegmentRegister::Cs => self.cs,
            SegmentRegister::Ss => self.ss,
            SegmentRegister::Ds => self.ds,
            SegmentRegister::Fs => self.fs,
            SegmentRegister::Gs => self.gs,
            SegmentRegister::Ldtr => self.ldtr,
            SegmentRegister::Tr => self.tr,
        }
    }
}

/// Why a register cannot have a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// An address is not in canonical form.
    #[error("{register} = {value:#x} is not canonical")]
    NonCanonical {
        /// The register.
        register: &'static str,
        /// The value.
        value: u64,
    },
    /// Bits are set that the processor does not support, or clear that it requires.
    #[error("{register} = {value:#x}: bits {bits:#x} cannot be so")]
    Bits {
        /// The register.
        register: &'static str,
        /// The value.
        value: u64,
        /// The bits that cannot be as they are in the value.
        bits: u64,
    },
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for StateError {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let (register, value) = (*bytes.choose(&["CR0", "CR4", "RIP", "PAT"])?, bytes.arbitrary()?);
        Ok(match bytes.arbitrary()? {
            false => Self::NonCanonical { register, value },
            true => Self::Bits { register, value, bits: bytes.arbitrary()? },
        })
    }
}
