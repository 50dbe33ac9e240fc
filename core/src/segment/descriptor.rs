//! Segments from descriptor tables.

use crate::GuestMemory;
use crate::addr::{Gva, PageSize};
use crate::event::Exception;
use crate::guest_paging::{GuestFault, GuestPaging, Privilege};
use crate::segment::{DescriptorTable, Segment, SegmentAccessRights, SegmentRegister};
use crate::state::CpuState;

/// TI of a selector: it is of the LDT.
const LOCAL: u16 = 1 << 2;
/// Bits of a selector that an error code has.
const IN_ERROR_CODE: u16 = 0xfffc;
/// Bits 55:40 of a descriptor that are access rights.
const RIGHTS: u32 = 0xf0ff;
/// Types of system segments: LDT, and task-state segments of 16 and of 32 or 64 bits, available.
const TYPE_LDT: u8 = 2;
const TYPE_TSS16: u8 = 1;
const TYPE_TSS: u8 = 9;
/// The bit that makes a task-state segment busy, and the one that makes code or data accessed.
const BUSY: u8 = 2;
const ACCESSED: u8 = 1;

impl Segment {
    /// The segment with the selector `selector` that `descriptor` describes: a code or data segment, an LDT or a task-state segment.
    ///
    /// Nothing is checked. In IA-32e mode, descriptors of system segments have 16 bytes: see
    /// [`from_long_descriptor`](Self::from_long_descriptor).
    ///
    /// Intel SDM vol. 3, section 3.4.5, "Segment Descriptors".
    ///
    /// ```
    /// use x86_virt_core::{Segment, SegmentAccessRights};
    ///
    /// let code = Segment::from_descriptor(8, 0x00af_9b00_0000_ffff);
    /// assert_eq!(code, Segment::flat(8, SegmentAccessRights::CODE64));
    /// assert_eq!(code.descriptor(), 0x00af_9b00_0000_ffff);
    /// ```
    #[must_use]
    pub const fn from_descriptor(selector: u16, descriptor: u64) -> Self {
        let [limit0, limit1, base0, base1, base2, type_word, high, base3] = descriptor.to_le_bytes();
        let raw_limit = u32::from_le_bytes([limit0, limit1, high & 0xf, 0]);
        let rights = SegmentAccessRights::from_bits(u32::from_le_bytes([type_word, high, 0, 0]) & RIGHTS);
        let limit = if rights.granularity() { raw_limit << 12 | 0xfff } else { raw_limit };
        let base = u64::from_le_bytes([base0, base1, base2, base3, 0, 0, 0, 0]);
        Self { selector, rights, limit, base }
    }

    /// The same for the 16 bytes of a system segment in IA-32e mode; `high` has bits 63:32 of the base.
    ///
    /// Intel SDM vol. 3, section 3.5.2, "Segment Descriptor Tables in IA-32e Mode".
    #[must_use]
    pub const fn from_long_descriptor(selector: u16, low: u64, high: u64) -> Self {
        let segment = Self::from_descriptor(selector, low);
        Self { base: segment.base | high << 32, ..segment }
    }

    /// The descriptor of the segment: its 8 bytes, or the low ones of a system segment in IA-32e mode.
    #[must_use]
    pub const fn descriptor(&self) -> u64 {
        let limit = if self.rights.granularity() { self.limit >> 12 } else { self.limit };
        let [limit0, limit1, limit2, _] = limit.to_le_bytes();
        let [base0, base1, base2, base3, ..] = self.base.to_le_bytes();
        let [type_word, high, ..] = (self.rights.into_bits() & RIGHTS).to_le_bytes();
        u64::from_le_bytes([limit0, limit1, base0, base1, base2, type_word, high | limit2 & 0xf, base3])
    }

    /// A register that holds no segment, as after a load of the null selector.
    #[must_use]
    pub const fn null(selector: u16) -> Self {
        Self { selector, rights: SegmentAccessRights::UNUSABLE, limit: 0, base: 0 }
    }
}

impl CpuState {
    /// The segment that a load of `selector` into `register` gives, by the descriptor tables in the guest's memory, with the checks that
    /// a processor does. The state is not changed.
    ///
    /// CS is loaded as the target of a far jump, or of a return to the privilege level that the selector asks for: a conforming segment
    /// may have any level up to that, another one has it. TR takes a busy task-state segment, too, since that is what the tables of a
    /// running guest have. The accessed and busy flags are set in what is returned, not in the tables.
    ///
    /// In real and virtual-8086 mode the base follows from the selector, and the rest stays as it is.
    ///
    /// Intel SDM vol. 2, "MOV--Move", "JMP--Jump", "LLDT--Load Local Descriptor Table Register", "LTR--Load Task Register"; vol. 3, section
    /// 6.6, "Privilege Level Checking When Accessing Data Segments".
    ///
    /// ```
    /// use x86_virt_core::{CpuState, GuestMemory, SegmentError, SegmentRegister};
    ///
    /// /// Lets a guest start with descriptors of its own.
    /// fn load(state: &mut CpuState, memory: &impl GuestMemory) -> Result<(), SegmentError> {
    ///     state.cs = state.load_segment(SegmentRegister::Cs, 0x10, memory)?;
    ///     state.ds = state.load_segment(SegmentRegister::Ds, 0x18, memory)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`SegmentError`]: what the guest would see.
    pub fn load_segment(
        &self,
        register: SegmentRegister,
        selector: u16,
        memory: &impl GuestMemory,
    ) -> Result<Segment, SegmentError> {
        let is_system = matches!(register, SegmentRegister::Ldtr | SegmentRegister::Tr);
        if !is_system && (!self.cr0.pe() || self.rflags.vm()) {
            return Ok(Segment { selector, base: u64::from(selector) << 4, ..self.segment(register) });
        }
        if selector & IN_ERROR_CODE == 0 {
            return self.load_null(register, selector);
        }
        if is_system && selector & LOCAL != 0 {
            return Err(fault(Exception::general_protection, selector));
        }
        let low = self.descriptor_at(selector, 0, memory)?;
        let segment = if is_system && self.efer.lma() {
            Segment::from_long_descriptor(selector, low, self.descriptor_at(selector, 8, memory)?)
        } else {
            Segment::from_descriptor(selector, low)
        };
        self.check(register, segment)?;
        if !segment.rights.present() {
            let vector = if register == SegmentRegister::Ss { STACK_FAULT } else { NOT_PRESENT };
            return Err(SegmentError::Fault(Exception { vector, error_code: Some(error_code(selector)) }));
        }
        let segment_type = segment.rights.segment_type();
        let loaded = match register {
            SegmentRegister::Ldtr => segment_type,
            SegmentRegister::Tr => segment_type | BUSY,
            _ => segment_type | ACCESSED,
        };
        let selector = if register == SegmentRegister::Cs && !is_conforming(segment) {
            selector & IN_ERROR_CODE | u16::from(segment.rights.dpl())
        } else {
            selector
        };
        Ok(Segment { selector, rights: segment.rights.with_segment_type(loaded), ..segment })
    }

    /// Whether 64-bit code runs.
    fn is_64_bit(&self) -> bool {
        self.efer.lma() && self.cs.rights.long()
    }

    /// The current privilege level, which is the DPL of SS.
    const fn cpl(&self) -> u8 {
        if !self.cr0.pe() {
            0
        } else if self.rflags.vm() {
            3
        } else {
            self.ss.rights.dpl()
        }
    }

    fn load_null(&self, register: SegmentRegister, selector: u16) -> Result<Segment, SegmentError> {
        let null = Segment::null(selector);
        match register {
            SegmentRegister::Cs | SegmentRegister::Tr => Err(fault(Exception::general_protection, 0)),
            SegmentRegister::Ss => {
                let cpl = self.cpl();
                if self.is_64_bit() && cpl < 3 && requested(selector) == cpl {
                    Ok(Segment { rights: null.rights.with_dpl(cpl), ..null })
                } else {
                    Err(fault(Exception::general_protection, 0))
                }
            }
            _ => Ok(null),
        }
    }

    /// The 8 bytes at `offset` in the descriptor of `selector`.
    fn descriptor_at(&self, selector: u16, offset: u16, memory: &impl GuestMemory) -> Result<u64, SegmentError> {
        let table = if selector & LOCAL == 0 { self.gdtr } else { self.local_table(selector)? };
        let index = u32::from(selector & !7) + u32::from(offset);
        if index + 7 > u32::from(table.limit) {
            return Err(fault(Exception::general_protection, selector));
        }
        let address = table.base.wrapping_add(index.into());
        let address = if self.efer.lma() { address } else { address & 0xffff_ffff };
        let mut descriptor = [0; 8];
        self.paging().read(memory, Gva::new(address), Privilege::Supervisor, &mut descriptor)?;
        Ok(u64::from_le_bytes(descriptor))
    }

    fn local_table(&self, selector: u16) -> Result<DescriptorTable, SegmentError> {
        if self.ldtr.rights.unusable() {
            return Err(fault(Exception::general_protection, selector));
        }
        let limit = u16::try_from(self.ldtr.limit).unwrap_or(u16::MAX);
        Ok(DescriptorTable { base: self.ldtr.base, limit })
    }

    /// The guest's paging, for what the processor reads itself.
    const fn paging(&self) -> GuestPaging {
        GuestPaging {
            cr0: self.cr0,
            cr3: self.cr3,
            cr4: self.cr4,
            efer: self.efer,
            rflags: self.rflags,
            pkru: 0,
            pkrs: 0,
            address_width: 52,
            largest_page: PageSize::Size1G,
        }
    }

    /// Type and privilege level of `segment`, which is to be loaded.
    fn check(&self, register: SegmentRegister, segment: Segment) -> Result<(), SegmentError> {
        let rights = segment.rights;
        let (kind, dpl, rpl, cpl) = (rights.segment_type(), rights.dpl(), requested(segment.selector), self.cpl());
        let is_code = rights.code_or_data() && kind & 8 != 0;
        let is_data = rights.code_or_data() && kind & 8 == 0;
        let may = match register {
            SegmentRegister::Cs => {
                let level = if is_conforming(segment) { dpl <= rpl } else { dpl == rpl };
                // In IA-32e mode, code cannot be of both 64 and 32 bits.
                is_code && level && !(self.efer.lma() && rights.long() && rights.default_big())
            }
            SegmentRegister::Ss => is_data && kind & 2 != 0 && dpl == cpl && rpl == cpl,
            SegmentRegister::Ldtr => !rights.code_or_data() && kind == TYPE_LDT,
            SegmentRegister::Tr => {
                let available = kind & !BUSY;
                // In IA-32e mode the other task-state segment has 16 bits.
                !rights.code_or_data() && (available == TYPE_TSS || available == TYPE_TSS16 && !self.efer.lma())
            }
            _ => {
                let is_readable = is_data || is_code && kind & 2 != 0;
                is_readable && (is_conforming(segment) || rpl <= dpl && cpl <= dpl)
            }
        };
        if may { Ok(()) } else { Err(fault(Exception::general_protection, segment.selector)) }
    }
}

/// #NP and #SS.
const NOT_PRESENT: u8 = 11;
const STACK_FAULT: u8 = 12;

/// The requested privilege level of a selector.
const fn requested(selector: u16) -> u8 {
    let [low, _] = selector.to_le_bytes();
    low & 3
}

fn error_code(selector: u16) -> u32 {
    u32::from(selector & IN_ERROR_CODE)
}

fn fault(exception: fn(u32) -> Exception, selector: u16) -> SegmentError {
    SegmentError::Fault(exception(error_code(selector)))
}

/// Whether it is code that runs at the privilege level of its caller.
const fn is_conforming(segment: Segment) -> bool {
    let rights = segment.rights;
    rights.code_or_data() && rights.segment_type() & 0xc == 0xc
}

/// Why a segment register cannot be loaded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[non_exhaustive]
pub enum SegmentError {
    /// The guest would see this exception.
    #[error("the load raises {0:?}")]
    Fault(Exception),
    /// The descriptor cannot be read.
    #[error(transparent)]
    Table(#[from] GuestFault),
}

#[cfg(test)]
mod tests;
