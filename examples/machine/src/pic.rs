//! The two 8259 interrupt controllers of the PC, which nobody here uses.

#![expect(unsafe_code, reason = "writes ports")]

use x86::io::outb;

/// The ports of the mask registers.
const MASKS: [u16; 2] = [0x21, 0xA1];

/// Masks every input: QEMU resets them unmasked, with vectors that belong to exceptions.
pub(crate) fn mask() {
    for port in MASKS {
        // SAFETY: CPL 0; a masked controller raises no interrupt, which is all this changes.
        unsafe { outb(port, 0xFF) };
    }
}
