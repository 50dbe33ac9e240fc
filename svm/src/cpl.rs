//! The current privilege level.

use x86_virt_core::{Cr0, Rflags};

/// The level at which a guest with these registers runs.
///
/// AMD APM vol. 2, section 15.5.1, "Basic Operation": CPL is 0 in real mode and 3 in virtual-8086 mode, else the DPL of SS.
pub(crate) fn cpl(cr0: Cr0, rflags: Rflags, ss_dpl: u8) -> u8 {
    if !cr0.pe() {
        0
    } else if rflags.vm() {
        3
    } else {
        ss_dpl
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Cr0, Rflags};

    use super::cpl;

    #[test]
    fn the_level_depends_on_the_mode() {
        let protected = Cr0::new().with_pe(true);
        assert_eq!(cpl(protected, Rflags::new(), 3), 3);
        assert_eq!(cpl(protected, Rflags::new(), 0), 0);
        assert_eq!(cpl(Cr0::new(), Rflags::new(), 3), 0);
        assert_eq!(cpl(protected, Rflags::new().with_vm(true), 0), 3);
    }
}
