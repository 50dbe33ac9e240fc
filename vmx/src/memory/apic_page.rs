//! The virtual-APIC page.

use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};

use static_assertions::const_assert_eq;
use x86_virt_core::{TableRow, code_rows, codes};

use super::frame::FrameLayout;
use super::vectors::VectorSet;

codes! {
    /// The offset of a register of the local APIC, in the page of a virtual or of the real one. Each takes the first 4 of 16
    /// bytes.
    ///
    /// Intel SDM vol. 3, section 32.1.1, "Virtualized APIC Registers", and chapter "Advanced Programmable Interrupt Controller
    /// (APIC)", table "Local APIC Register Address Map".
    pub struct ApicOffset(u16) {
        /// Local APIC ID.
        ID = 0x020 aka "APIC_ID";
        /// Local APIC version.
        VERSION = 0x030 aka "APIC_LVR";
        /// Task priority (VTPR).
        TPR = 0x080 aka "VTPR" "APIC_TASKPRI";
        /// Arbitration priority.
        APR = 0x090 aka "APIC_ARBPRI";
        /// Processor priority (VPPR).
        PPR = 0x0a0 aka "VPPR" "APIC_PROCPRI";
        /// End of interrupt (VEOI).
        EOI = 0x0b0 aka "VEOI" "APIC_EOI";
        /// Remote read.
        RRD = 0x0c0 aka "APIC_RRR";
        /// Logical destination.
        LDR = 0x0d0 aka "APIC_LDR";
        /// Destination format.
        DFR = 0x0e0 aka "APIC_DFR";
        /// Spurious-interrupt vector.
        SVR = 0x0f0 aka "APIC_SPIV";
        /// In service (VISR), vectors 31:0.
        ISR_0 = 0x100 aka "VISR" "APIC_ISR";
        /// In service (VISR), vectors 63:32.
        ISR_1 = 0x110;
        /// In service (VISR), vectors 95:64.
        ISR_2 = 0x120;
        /// In service (VISR), vectors 127:96.
        ISR_3 = 0x130;
        /// In service (VISR), vectors 159:128.
        ISR_4 = 0x140;
        /// In service (VISR), vectors 191:160.
        ISR_5 = 0x150;
        /// In service (VISR), vectors 223:192.
        ISR_6 = 0x160;
        /// In service (VISR), vectors 255:224.
        ISR_7 = 0x170;
        /// Trigger mode, vectors 31:0.
        TMR_0 = 0x180 aka "APIC_TMR";
        /// Trigger mode, vectors 63:32.
        TMR_1 = 0x190;
        /// Trigger mode, vectors 95:64.
        TMR_2 = 0x1a0;
        /// Trigger mode, vectors 127:96.
        TMR_3 = 0x1b0;
        /// Trigger mode, vectors 159:128.
        TMR_4 = 0x1c0;
        /// Trigger mode, vectors 191:160.
        TMR_5 = 0x1d0;
        /// Trigger mode, vectors 223:192.
        TMR_6 = 0x1e0;
        /// Trigger mode, vectors 255:224.
        TMR_7 = 0x1f0;
        /// Interrupt request (VIRR), vectors 31:0.
        IRR_0 = 0x200 aka "VIRR" "APIC_IRR";
        /// Interrupt request (VIRR), vectors 63:32.
        IRR_1 = 0x210;
        /// Interrupt request (VIRR), vectors 95:64.
        IRR_2 = 0x220;
        /// Interrupt request (VIRR), vectors 127:96.
        IRR_3 = 0x230;
        /// Interrupt request (VIRR), vectors 159:128.
        IRR_4 = 0x240;
        /// Interrupt request (VIRR), vectors 191:160.
        IRR_5 = 0x250;
        /// Interrupt request (VIRR), vectors 223:192.
        IRR_6 = 0x260;
        /// Interrupt request (VIRR), vectors 255:224.
        IRR_7 = 0x270;
        /// Error status.
        ESR = 0x280 aka "APIC_ESR";
        /// Local vector table: corrected machine-check interrupt.
        LVT_CMCI = 0x2f0 aka "APIC_LVTCMCI";
        /// Interrupt command, bits 31:0 (VICR_LO).
        ICR_LOW = 0x300 aka "VICR_LO" "APIC_ICR";
        /// Interrupt command, bits 63:32 (VICR_HI).
        ICR_HIGH = 0x310 aka "VICR_HI" "APIC_ICR2";
        /// Local vector table: timer.
        LVT_TIMER = 0x320 aka "APIC_LVTT";
        /// Local vector table: thermal sensor.
        LVT_THERMAL = 0x330 aka "APIC_LVTTHMR";
        /// Local vector table: performance-monitoring counters.
        LVT_PERFORMANCE = 0x340 aka "APIC_LVTPC";
        /// Local vector table: LINT0 pin.
        LVT_LINT0 = 0x350 aka "APIC_LVT0";
        /// Local vector table: LINT1 pin.
        LVT_LINT1 = 0x360 aka "APIC_LVT1";
        /// Local vector table: error.
        LVT_ERROR = 0x370 aka "APIC_LVTERR";
        /// Initial count of the timer.
        ICT = 0x380 aka "APIC_TMICT";
        /// Current count of the timer.
        CCT = 0x390 aka "APIC_TMCCT";
        /// Divide configuration of the timer.
        DCR = 0x3e0 aka "APIC_TDCR";
    }
}

/// A register of 256 bits, one for each vector, in 8 parts.
///
/// Intel SDM vol. 3, section 32.1.1, "Virtualized APIC Registers".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum ApicVectors {
    /// ISR, the vectors in service (VISR).
    InService,
    /// TMR, the vectors that are triggered by level.
    TriggerMode,
    /// IRR, the vectors that are requested (VIRR).
    Requested,
}

impl ApicVectors {
    /// The offset of the first part.
    #[must_use]
    pub const fn offset(self) -> ApicOffset {
        match self {
            Self::InService => ApicOffset::ISR_0,
            Self::TriggerMode => ApicOffset::TMR_0,
            Self::Requested => ApicOffset::IRR_0,
        }
    }

    /// The offset of the part with `vector`.
    #[must_use]
    pub fn offset_of(self, vector: u8) -> ApicOffset {
        ApicOffset::from_bits(self.offset().into_bits() + u16::from(vector / 32) * STRIDE)
    }
}

/// Bytes from a register to the next.
const STRIDE: u16 = 16;

/// A virtual-APIC page: the registers of the local APIC of a virtual processor, as the guest sees them.
///
/// The processor that runs the guest reads and writes it. Other threads may write single registers, but only the processor
/// evaluates interrupts that are requested: use a [`PostedInterruptDescriptor`](crate::PostedInterruptDescriptor) for them.
///
/// Intel SDM vol. 3, section 32.1, "Virtual APIC State".
///
/// ```
/// use x86_virt_vmx::{ApicOffset, ApicVectors, VirtualApicPage};
///
/// let page = VirtualApicPage::new();
/// page.write(ApicOffset::TPR, 0x20);
/// page.insert(ApicVectors::Requested, 0x31);
/// assert_eq!(page.read(ApicOffset::IRR_1), Some(1 << 17));
/// assert_eq!(page.vectors(ApicVectors::Requested).highest(), Some(0x31));
/// assert_eq!(page.read(ApicOffset::from_bits(0x84)), None, "no register is there");
/// ```
#[repr(C, align(4096))]
pub struct VirtualApicPage {
    words: [AtomicU32; 1024],
}

const_assert_eq!(size_of::<VirtualApicPage>(), 4096);
const_assert_eq!(align_of::<VirtualApicPage>(), 4096);

impl VirtualApicPage {
    /// A page of zeros.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "zeroed is no default")]
    pub const fn new() -> Self {
        Self { words: [const { AtomicU32::new(0) }; 1024] }
    }

    /// The register at `offset`, or `None` if that is not a multiple of 16 below 4096.
    #[must_use]
    pub fn read(&self, offset: ApicOffset) -> Option<u32> {
        self.register(offset).map(|register| register.load(Ordering::Relaxed))
    }

    /// Writes `value` to the register at `offset`, if that is a multiple of 16 below 4096. Nothing follows from it, as
    /// from a write of the guest to its APIC.
    pub fn write(&self, offset: ApicOffset, value: u32) {
        if let Some(register) = self.register(offset) {
            register.store(value, Ordering::Relaxed);
        }
    }

    /// The 64 bits at `offset`, as RDMSR of an x2APIC reads them; `None` as in [`read`](Self::read). The halves are read one after the
    /// other.
    #[must_use]
    pub fn read_wide(&self, offset: ApicOffset) -> Option<u64> {
        let (low, high) = self.halves(offset)?;
        Some(u64::from(low.load(Ordering::Relaxed)) | u64::from(high.load(Ordering::Relaxed)) << 32)
    }

    /// Writes 64 bits at `offset`, as an x2APIC has them, if that is a multiple of 16 below 4096. Nothing follows from it.
    pub fn write_wide(&self, offset: ApicOffset, value: u64) {
        if let Some((low, high)) = self.halves(offset) {
            let [a, b, c, d, e, f, g, h] = value.to_le_bytes();
            low.store(u32::from_le_bytes([a, b, c, d]), Ordering::Relaxed);
            high.store(u32::from_le_bytes([e, f, g, h]), Ordering::Relaxed);
        }
    }

    /// The vectors in `register`. The parts are read one after the other.
    #[must_use]
    pub fn vectors(&self, register: ApicVectors) -> VectorSet {
        let part = |vector| u64::from(self.read(register.offset_of(vector)).unwrap_or(0));
        VectorSet::from_words([0_u8, 64, 128, 192].map(|vector| part(vector) | part(vector + 32) << 32))
    }

    /// Sets the bit of `vector` in `register`.
    pub fn insert(&self, register: ApicVectors, vector: u8) {
        if let Some(part) = self.register(register.offset_of(vector)) {
            part.fetch_or(1 << (vector % 32), Ordering::Relaxed);
        }
    }

    /// Clears the bit of `vector` in `register`.
    pub fn remove(&self, register: ApicVectors, vector: u8) {
        if let Some(part) = self.register(register.offset_of(vector)) {
            part.fetch_and(!(1 << (vector % 32)), Ordering::Relaxed);
        }
    }

    /// The interrupt command, of which bits 63:32 are read after the others.
    #[must_use]
    pub fn interrupt_command(&self) -> u64 {
        let half = |offset| u64::from(self.read(offset).unwrap_or(0));
        half(ApicOffset::ICR_LOW) | half(ApicOffset::ICR_HIGH) << 32
    }

    fn halves(&self, offset: ApicOffset) -> Option<(&AtomicU32, &AtomicU32)> {
        let low = self.register(offset)?;
        Some((low, self.words.get(usize::from(offset.into_bits() / 4) + 1)?))
    }

    fn register(&self, offset: ApicOffset) -> Option<&AtomicU32> {
        let offset = offset.into_bits();
        if offset.is_multiple_of(STRIDE) { self.words.get(usize::from(offset / 4)) } else { None }
    }
}

impl fmt::Debug for VirtualApicPage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let registers = ApicOffset::ALL.iter().filter_map(|code| {
            let offset = ApicOffset::from_bits(code.value);
            self.read(offset).filter(|&value| value != 0).map(|value| (offset, value))
        });
        f.debug_map().entries(registers).finish()
    }
}

#[expect(unsafe_code, reason = "states what the layout is")]
// SAFETY: an array of atomics, in which every value is one.
unsafe impl FrameLayout for VirtualApicPage {}

/// Visits the rows of the page: every register has 32 bits.
pub(super) fn rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    code_rows(super::TABLE, "virtual-APIC page", ApicOffset::ALL, &mut |row| {
        visit(&TableRow { width_bits: u32::BITS, ..*row });
    });
}

#[cfg(test)]
mod tests {
    use proptest::prelude::any;
    use proptest::{prop_assert_eq, proptest};

    use super::{ApicOffset, ApicVectors, VirtualApicPage};
    use crate::memory::VectorSet;

    #[test]
    fn offsets_ascend_in_steps_of_16() {
        let offsets: Vec<u16> = ApicOffset::ALL.iter().map(|code| code.value).collect();
        assert!(offsets.is_sorted_by(|a, b| a < b));
        assert!(offsets.iter().all(|offset| offset % 16 == 0));
        assert_eq!(offsets.len(), 47);
        for (vectors, last) in [
            (ApicVectors::InService, ApicOffset::ISR_7),
            (ApicVectors::TriggerMode, ApicOffset::TMR_7),
            (ApicVectors::Requested, ApicOffset::IRR_7),
        ] {
            assert_eq!(vectors.offset_of(255), last);
            assert_eq!(vectors.offset_of(31), vectors.offset());
        }
        assert_eq!(ApicOffset::IRR_7.into_bits(), 0x270);
        assert_eq!(ApicOffset::ISR_7.into_bits(), 0x170);
    }

    #[test]
    fn registers_are_where_the_manual_has_them() {
        let page = VirtualApicPage::new();
        for (value, code) in (1..).zip(ApicOffset::ALL) {
            page.write(ApicOffset::from_bits(code.value), value);
        }
        for (value, code) in (1..).zip(ApicOffset::ALL) {
            assert_eq!(page.words[usize::from(code.value / 4)].load(super::Ordering::Relaxed), value);
        }
        for offset in [0x81, 0x84, 0x1000, 0xffff, 0xfff0] {
            page.write(ApicOffset::from_bits(offset), 1);
            assert_eq!(page.read(ApicOffset::from_bits(offset)), None);
        }
        page.write(ApicOffset::ICR_LOW, 0x4041);
        page.write(ApicOffset::ICR_HIGH, 0x0200_0000);
        assert_eq!(page.interrupt_command(), 0x0200_0000_0000_4041);
        page.write_wide(ApicOffset::ICR_LOW, 0x0000_0002_0000_40fd);
        assert_eq!(page.words[0xc1].load(super::Ordering::Relaxed), 2);
        assert_eq!(page.read(ApicOffset::ICR_LOW), Some(0x40fd));
        assert_eq!(page.read(ApicOffset::ICR_HIGH), Some(0x0200_0000), "a register of its own");
        assert_eq!(page.read_wide(ApicOffset::ICR_LOW), Some(0x0000_0002_0000_40fd));
        assert_eq!(page.read_wide(ApicOffset::from_bits(0x304)), None);
    }

    proptest! {
        #[test]
        fn vectors_are_bits_of_their_register(vectors in proptest::collection::btree_set(any::<u8>(), 0..20)) {
            let page = VirtualApicPage::new();
            for &vector in &vectors {
                page.insert(ApicVectors::Requested, vector);
            }
            let set: VectorSet = vectors.iter().copied().collect();
            prop_assert_eq!(page.vectors(ApicVectors::Requested), set);
            prop_assert_eq!(page.vectors(ApicVectors::InService), VectorSet::EMPTY);
            for &vector in &vectors {
                page.remove(ApicVectors::Requested, vector);
            }
            prop_assert_eq!(page.vectors(ApicVectors::Requested), VectorSet::EMPTY);
        }
    }
}
