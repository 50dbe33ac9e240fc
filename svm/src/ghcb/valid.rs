//! Which fields of the GHCB hold a value.

use crate::exit_code::ExitCode;
use crate::ghcb::{self, Ghcb};
use crate::vmcb::Field;

impl Ghcb {
    /// Whether the other side has put a value into `field`. Fields that have no bit in VALID_BITMAP always hold one.
    #[must_use]
    pub fn is_valid<T, A>(&self, field: Field<T, A, Self>) -> bool {
        match position(field.offset()) {
            Some((byte, mask)) => self.VALID_BITMAP.get(byte).is_some_and(|bits| bits & mask != 0),
            None => true,
        }
    }

    /// Says that `field` holds a value.
    pub fn set_valid<T, A>(&mut self, field: Field<T, A, Self>) {
        let Some((byte, mask)) = position(field.offset()) else { return };
        if let Some(bits) = self.VALID_BITMAP.get_mut(byte) {
            *bits |= mask;
        }
    }

    /// Says that no field holds a value.
    pub const fn clear_valid(&mut self) {
        self.VALID_BITMAP = [0; 16];
    }
}

/// The byte of VALID_BITMAP and the bit in it for the field at `offset`: one bit for eight bytes before the bitmap itself.
fn position(offset: usize) -> Option<(usize, u8)> {
    let bit = offset / 8;
    (offset < ghcb::VALID_BITMAP.offset()).then_some((bit / 8, 1 << (bit % 8)))
}

/// Defines for each field that has a bit in VALID_BITMAP what reads it, and what writes it and sets the bit.
macro_rules! values {
    ($($name:ident: $type:ident, $get:ident, $set:ident;)*) => {
        impl Ghcb {
            $(
                #[doc = concat!(stringify!($name), ", if it holds a value.")]
                #[must_use]
                pub fn $get(&self) -> Option<$type> {
                    self.is_valid(ghcb::$name).then_some(self.$name)
                }

                #[doc = concat!("Sets ", stringify!($name), " and says that it holds a value.")]
                pub fn $set(&mut self, value: $type) {
                    self.$name = value;
                    self.set_valid(ghcb::$name);
                }
            )*
        }

        #[cfg(test)]
        const NAMES: &[&str] = &[$(stringify!($name)),*];
    };
}

values! {
    CPL: u8, cpl, set_cpl;
    XSS: u64, xss, set_xss;
    DR7: u64, dr7, set_dr7;
    RIP: u64, rip, set_rip;
    RSP: u64, rsp, set_rsp;
    RAX: u64, rax, set_rax;
    RCX: u64, rcx, set_rcx;
    RDX: u64, rdx, set_rdx;
    RBX: u64, rbx, set_rbx;
    RBP: u64, rbp, set_rbp;
    RSI: u64, rsi, set_rsi;
    RDI: u64, rdi, set_rdi;
    R8: u64, r8, set_r8;
    R9: u64, r9, set_r9;
    R10: u64, r10, set_r10;
    R11: u64, r11, set_r11;
    R12: u64, r12, set_r12;
    R13: u64, r13, set_r13;
    R14: u64, r14, set_r14;
    R15: u64, r15, set_r15;
    SW_EXITCODE: ExitCode, sw_exitcode, set_sw_exitcode;
    SW_EXITINFO1: u64, sw_exitinfo1, set_sw_exitinfo1;
    SW_EXITINFO2: u64, sw_exitinfo2, set_sw_exitinfo2;
    SW_SCRATCH: u64, sw_scratch, set_sw_scratch;
    XCR0: u64, xcr0, set_xcr0;
}

#[cfg(test)]
mod tests {
    use super::NAMES;
    use crate::ExitCode;
    use crate::ghcb::{self, Ghcb};

    #[test]
    fn every_field_before_the_bitmap_has_its_functions() {
        let before = ghcb::ALL.iter().filter(|field| field.offset < 0x3f0).map(|field| field.name);
        assert!(before.eq(NAMES.iter().copied()));
    }

    #[test]
    fn bits_are_those_of_the_eight_byte_words() {
        let mut block = Ghcb::from_bytes(&[0; 4096]);
        block.set_cpl(3);
        block.set_rax(1);
        block.set_sw_exitcode(ExitCode::CPUID);
        block.set_xcr0(7);
        let mut bitmap = [0; 16];
        for bit in [0xc8 / 8, 0x1f8 / 8, 0x390 / 8, 0x3e8 / 8] {
            bitmap[bit / 8] |= 1 << (bit % 8);
        }
        assert_eq!(block.VALID_BITMAP, bitmap);
        assert_eq!((block.cpl(), block.sw_exitcode(), block.rbx()), (Some(3), Some(ExitCode::CPUID), None));
        assert!(block.is_valid(ghcb::PROTOCOL_VERSION), "it has no bit");
        block.set_valid(ghcb::SHARED_BUFFER);
        assert_eq!(block.VALID_BITMAP, bitmap);
        block.clear_valid();
        assert_eq!((block.cpl(), block.xcr0()), (None, None));
    }
}
