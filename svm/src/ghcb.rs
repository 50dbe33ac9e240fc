//! The guest-hypervisor communication block of guests with SEV-ES.
//!
//! AMD, "SEV-ES Guest-Hypervisor Communication Block Standardization" (publication 56421), section "GHCB Layout"; AMD APM
//! vol. 2, section 15.35, "Encrypted State (SEV-ES)".

mod valid;

use x86_virt_core::Gpa;

use crate::exit_code::ExitCode;
use crate::vmcb::area;

area! {
    /// A page that a guest with SEV-ES shares with its hypervisor: registers that the guest shows, and its request.
    ///
    /// The guest can write the page at any time. A hypervisor makes a copy, and looks at the copy only.
    ///
    /// AMD, "SEV-ES Guest-Hypervisor Communication Block Standardization" (publication 56421), section "GHCB Layout".
    ///
    /// ```
    /// use x86_virt_svm::ghcb::{self, Ghcb};
    ///
    /// let mut block = Ghcb::from_bytes(&[0; 4096]);
    /// assert_eq!(block.rax(), None);
    /// block.set_rax(7);
    /// assert_eq!((block.rax(), block.RAX), (Some(7), 7));
    /// assert!(block.is_valid(ghcb::RAX) && !block.is_valid(ghcb::RCX));
    /// ```
    struct Ghcb of Ghcb, at 0x000..0x1000 {
        /// Reserved.
        0x000..0x0cb => _reserved000: [u8; 0xcb];
        /// Current privilege level.
        0x0cb..0x0cc => pub CPL: u8, ReadWrite, NONE aka "cpl";
        /// Reserved.
        0x0cc..0x140 => _reserved0cc: [u8; 0x74];
        /// XSS.
        0x140..0x148 => pub XSS: u64, ReadWrite, NONE aka "xss";
        /// Reserved.
        0x148..0x160 => _reserved148: [u8; 0x18];
        /// DR7.
        0x160..0x168 => pub DR7: u64, ReadWrite, NONE aka "dr7";
        /// Reserved.
        0x168..0x178 => _reserved168: [u8; 0x10];
        /// RIP.
        0x178..0x180 => pub RIP: u64, ReadWrite, NONE aka "rip";
        /// Reserved.
        0x180..0x1d8 => _reserved180: [u8; 0x58];
        /// RSP.
        0x1d8..0x1e0 => pub RSP: u64, ReadWrite, NONE aka "rsp";
        /// Reserved.
        0x1e0..0x1f8 => _reserved1e0: [u8; 0x18];
        /// RAX.
        0x1f8..0x200 => pub RAX: u64, ReadWrite, NONE aka "rax";
        /// Reserved.
        0x200..0x308 => _reserved200: [u8; 0x108];
        /// RCX.
        0x308..0x310 => pub RCX: u64, ReadWrite, NONE aka "rcx";
        /// RDX.
        0x310..0x318 => pub RDX: u64, ReadWrite, NONE aka "rdx";
        /// RBX.
        0x318..0x320 => pub RBX: u64, ReadWrite, NONE aka "rbx";
        /// Reserved.
        0x320..0x328 => _reserved320: [u8; 8];
        /// RBP.
        0x328..0x330 => pub RBP: u64, ReadWrite, NONE aka "rbp";
        /// RSI.
        0x330..0x338 => pub RSI: u64, ReadWrite, NONE aka "rsi";
        /// RDI.
        0x338..0x340 => pub RDI: u64, ReadWrite, NONE aka "rdi";
        /// R8.
        0x340..0x348 => pub R8: u64, ReadWrite, NONE aka "r8";
        /// R9.
        0x348..0x350 => pub R9: u64, ReadWrite, NONE aka "r9";
        /// R10.
        0x350..0x358 => pub R10: u64, ReadWrite, NONE aka "r10";
        /// R11.
        0x358..0x360 => pub R11: u64, ReadWrite, NONE aka "r11";
        /// R12.
        0x360..0x368 => pub R12: u64, ReadWrite, NONE aka "r12";
        /// R13.
        0x368..0x370 => pub R13: u64, ReadWrite, NONE aka "r13";
        /// R14.
        0x370..0x378 => pub R14: u64, ReadWrite, NONE aka "r14";
        /// R15.
        0x378..0x380 => pub R15: u64, ReadWrite, NONE aka "r15";
        /// Reserved.
        0x380..0x390 => _reserved380: [u8; 0x10];
        /// What the guest asks for: an exit code, or a code of the specification.
        0x390..0x398 => pub SW_EXITCODE: ExitCode, ReadWrite, NONE aka "sw_exit_code";
        /// More about what the guest asks for, and how it went.
        0x398..0x3a0 => pub SW_EXITINFO1: u64, ReadWrite, NONE aka "sw_exit_info_1";
        /// More about what the guest asks for, and how it went.
        0x3a0..0x3a8 => pub SW_EXITINFO2: u64, ReadWrite, NONE aka "sw_exit_info_2";
        /// Guest-physical address of data that belong to the request.
        0x3a8..0x3b0 => pub SW_SCRATCH: u64, ReadWrite, NONE aka "sw_scratch";
        /// Reserved.
        0x3b0..0x3e8 => _reserved3b0: [u8; 0x38];
        /// XCR0.
        0x3e8..0x3f0 => pub XCR0: u64, ReadWrite, NONE aka "xcr0";
        /// Which of the eight-byte words before this field hold a value.
        0x3f0..0x400 => pub VALID_BITMAP: [u8; 16], ReadWrite, NONE aka "valid_bitmap";
        /// Guest-physical address of the x87 state.
        0x400..0x408 => pub X87_STATE_GPA: Gpa, ReadWrite, NONE aka "x87_state_gpa";
        /// Reserved.
        0x408..0x800 => _reserved408: [u8; 0x3f8];
        /// Data that belong to the request.
        0x800..0xff0 => pub SHARED_BUFFER: [u8; 2032], ReadWrite, NONE aka "shared_buffer";
        /// Reserved.
        0xff0..0xffa => _reservedff0: [u8; 0xa];
        /// Version of the protocol.
        0xffa..0xffc => pub PROTOCOL_VERSION: u16, ReadWrite, NONE aka "protocol_version";
        /// How the page is used; 0 is as the specification says.
        0xffc..0x1000 => pub GHCB_USAGE: u32, ReadWrite, NONE aka "ghcb_usage";
    }
}

#[cfg(test)]
mod tests {
    use super::ALL;

    #[test]
    fn rows_are_as_many_as_the_specification_has() {
        assert_eq!(ALL.len(), 30);
    }
}
