//! The architectural state of a virtual processor as plain data.

mod activity;
mod bytes;
mod difference;
mod display;
mod error;
mod extended;
mod msrs;
mod reset;
mod rows;
mod vcpu_state;

pub use activity::{Activity, PendingDebugExceptions};
pub use bytes::BytesError;
pub use difference::{Difference, Differences};
pub use error::StateError;
pub use extended::{ComponentError, ExtendedState, StateComponent};
pub use msrs::Msrs;
pub use reset::ProcessorRole;
pub use vcpu_state::VcpuState;

pub(crate) use vcpu_state::{restore, save};

use crate::register::{Cr0, Cr4, Efer, Gprs, Rflags};
use crate::segment::{DescriptorTable, Segment, SegmentAccessRights, SegmentRegister};

/// The registers that an entry point needs: what a loader sets up before a guest starts. [`VcpuState`] holds these and all the rest.
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

    /// 32-bit protected mode without paging, privilege level 0, and flat segments of selectors 8 (code) and 16 (data).
    ///
    /// The guest's GDT is empty until it loads one.
    ///
    /// Intel SDM vol. 3, section 10.8.4, "Initializing Protected Mode" and section 10.9.1, "Switching to Protected Mode".
    ///
    /// ```
    /// use x86_virt_core::CpuState;
    ///
    /// let state = CpuState::protected_mode(0x10_0000, 0x9000);
    /// assert!(state.cr0.pe() && !state.cr0.pg() && state.cs.rights.default_big());
    /// ```
    #[must_use]
    pub fn protected_mode(eip: u32, esp: u32) -> Self {
        let data = Segment::flat(16, SegmentAccessRights::DATA32);
        Self {
            rip: eip.into(),
            rsp: esp.into(),
            cr0: Cr0::new().with_pe(true).with_et(true).with_ne(true),
            es: data,
            cs: Segment::flat(8, SegmentAccessRights::CODE32),
            ss: data,
            ds: data,
            fs: data,
            gs: data,
            gdtr: DescriptorTable::default(),
            idtr: DescriptorTable::default(),
            ..Self::real_mode(0, 0)
        }
    }

    /// The same with PAE paging, by the page-directory-pointer table at `cr3`.
    ///
    /// Intel SDM vol. 3, section 5.4, "PAE Paging".
    #[must_use]
    pub fn pae_mode(eip: u32, esp: u32, cr3: u32) -> Self {
        let state = Self::protected_mode(eip, esp);
        Self { cr0: state.cr0.with_wp(true).with_pg(true), cr3: cr3.into(), cr4: Cr4::new().with_pae(true), ..state }
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
    /// The segment register `register`, to change.
    pub const fn segment_mut(&mut self, register: SegmentRegister) -> &mut Segment {
        match register {
            SegmentRegister::Es => &mut self.es,
            SegmentRegister::Cs => &mut self.cs,
            SegmentRegister::Ss => &mut self.ss,
            SegmentRegister::Ds => &mut self.ds,
            SegmentRegister::Fs => &mut self.fs,
            SegmentRegister::Gs => &mut self.gs,
            SegmentRegister::Ldtr => &mut self.ldtr,
            SegmentRegister::Tr => &mut self.tr,
        }
    }
}
