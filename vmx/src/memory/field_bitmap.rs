//! VMREAD and VMWRITE bitmaps.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};

use static_assertions::const_assert_eq;
use x86_virt_core::Permission;

use super::frame::FrameLayout;
use crate::field::Encoding;

/// A VMREAD bitmap or a VMWRITE bitmap: a bit for each VMCS field, which says whether the instruction ends a run, or reaches
/// the shadow VMCS.
///
/// Bits 14:0 of the encoding are the number of the bit. A new one lets every access end the run.
///
/// Intel SDM vol. 3, section 27.6.15, "VMCS Shadowing Bitmap Addresses".
///
/// ```
/// use x86_virt_core::Permission;
/// use x86_virt_vmx::{VmcsFieldBitmap, field};
///
/// let bitmap = VmcsFieldBitmap::new();
/// bitmap.set(field::GUEST_RIP.encoding(), Permission::PassThrough);
/// assert!(!bitmap.is_intercepted(0x681e));
/// assert!(bitmap.is_intercepted(0x6820));
/// assert!(bitmap.is_intercepted(1 << 15 | 0x681e));
/// ```
#[repr(C, align(4096))]
pub struct VmcsFieldBitmap {
    words: [AtomicU64; 512],
}

const_assert_eq!(size_of::<VmcsFieldBitmap>() * 8, 1 << 15);

impl VmcsFieldBitmap {
    /// A bitmap that intercepts every access.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "neither value is the natural one")]
    pub const fn new() -> Self {
        Self { words: [const { AtomicU64::new(u64::MAX) }; 512] }
    }

    /// Whether the instruction with `operand` for the field ends the run. With a bit above 14 set it always does.
    #[must_use]
    pub fn is_intercepted(&self, operand: u64) -> bool {
        match usize::try_from(operand / 64).ok().and_then(|index| self.words.get(index)) {
            Some(word) => word.load(Ordering::Relaxed) >> (operand % 64) & 1 == 1,
            None => true,
        }
    }

    /// Makes accesses to `field` end the run, or reach the shadow VMCS. An encoding with a bit above 14 set stays as it is.
    pub fn set(&self, field: Encoding, permission: Permission) {
        let operand = u64::from(field.get());
        let Some(word) = usize::try_from(operand / 64).ok().and_then(|index| self.words.get(index)) else { return };
        let mask = 1 << (operand % 64);
        match permission {
            Permission::Intercept => word.fetch_or(mask, Ordering::Relaxed),
            Permission::PassThrough => word.fetch_and(!mask, Ordering::Relaxed),
        };
    }
}

impl fmt::Debug for VmcsFieldBitmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VmcsFieldBitmap").finish_non_exhaustive()
    }
}

#[expect(unsafe_code, reason = "states what the layout is")]
// SAFETY: an array of atomics, in which every value is one.
unsafe impl FrameLayout for VmcsFieldBitmap {
    fn prepare(&self) {
        for word in &self.words {
            word.store(u64::MAX, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::{prop_assert_eq, proptest};
    use x86_virt_core::Permission;

    use super::VmcsFieldBitmap;
    use crate::field::Encoding;

    proptest! {
        #[test]
        fn a_bit_is_that_of_its_encoding(field in 0_u32..0x8000, other in 0_u64..0x1_0000) {
            let bitmap = VmcsFieldBitmap::new();
            bitmap.set(Encoding::new(field), Permission::PassThrough);
            prop_assert_eq!(bitmap.is_intercepted(other), other != u64::from(field));
            let byte = field / 64 * 8 + field % 64 / 8;
            prop_assert_eq!(byte, field >> 3, "the byte is bits 14:3 of the encoding");
            bitmap.set(Encoding::new(field), Permission::Intercept);
            prop_assert_eq!(bitmap.is_intercepted(u64::from(field)), true);
        }
    }

    #[test]
    fn encodings_out_of_range_are_intercepted() {
        let bitmap = VmcsFieldBitmap::new();
        bitmap.set(Encoding::new(0x8000), Permission::PassThrough);
        assert!(bitmap.is_intercepted(0) && bitmap.is_intercepted(0x8000) && bitmap.is_intercepted(u64::MAX));
    }
}
