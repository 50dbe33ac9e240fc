//! EXITINFO1 and EXITINFO2, whose form depends on the exit code.

use x86_virt_core::register;
use x86_virt_core::{Access, AddressSize, IoDirection, IoSize, NestedFaultCause};

register! {
    /// EXITINFO1 of an IOIO exit.
    ///
    /// AMD APM vol. 2, section 15.10.2, "IN and OUT Behavior".
    ///
    /// ```
    /// use x86_virt_core::AddressSize;
    /// use x86_virt_svm::IoioInfo;
    ///
    /// // OUT of a byte to port 77h in real mode, from Bochs 2.7.
    /// let info = IoioInfo::from_bits(0x77_0090);
    /// assert_eq!((info.port(), info.address_size()), (0x77, Some(AddressSize::Bits16)));
    /// ```
    pub struct IoioInfo(u64) {
        /// TYPE: IN or INS.
        pub is_in: bool,
        _reserved1: bool,
        /// STR: INS or OUTS.
        pub string: bool,
        /// REP.
        pub repeat: bool,
        /// SZ8: one byte.
        pub sz8: bool,
        /// SZ16: two bytes.
        pub sz16: bool,
        /// SZ32: four bytes.
        pub sz32: bool,
        /// A16: 16-bit address.
        pub a16: bool,
        /// A32: 32-bit address.
        pub a32: bool,
        /// A64: 64-bit address.
        pub a64: bool,
        /// SEG: segment of the memory operand. Only with decode assists.
        #[bits(3)]
        pub segment: u8,
        #[bits(3)]
        _reserved13: u8,
        /// The port.
        pub port: u16,
        _reserved32: u32,
    }
}

impl IoioInfo {
    /// The direction.
    #[must_use]
    pub const fn direction(self) -> IoDirection {
        if self.is_in() { IoDirection::In } else { IoDirection::Out }
    }

    /// The operand size: that of the lowest size bit that is set.
    #[must_use]
    pub const fn size(self) -> Option<IoSize> {
        Some(if self.sz8() {
            IoSize::Byte
        } else if self.sz16() {
            IoSize::Word
        } else if self.sz32() {
            IoSize::Dword
        } else {
            return None;
        })
    }

    /// The address size, where the processor reports it.
    #[must_use]
    pub const fn address_size(self) -> Option<AddressSize> {
        Some(if self.a16() {
            AddressSize::Bits16
        } else if self.a32() {
            AddressSize::Bits32
        } else if self.a64() {
            AddressSize::Bits64
        } else {
            return None;
        })
    }
}

register! {
    /// EXITINFO1 of a nested page fault.
    ///
    /// AMD APM vol. 2, section 15.25.6, "Nested versus Guest Page Faults, Fault Ordering".
    ///
    /// ```
    /// use x86_virt_core::{Access, NestedFaultCause};
    /// use x86_virt_svm::NpfInfo;
    ///
    /// let info = NpfInfo::from_bits(0x1_0000_0007);
    /// assert_eq!((info.access(), info.cause()), (Access::WRITE, NestedFaultCause::Permission));
    /// ```
    pub struct NpfInfo(u64) {
        /// P: the page was present.
        pub p: bool,
        /// RW: the access was a write.
        pub rw: bool,
        /// US: the access was one of a user, as all accesses of a guest are.
        pub us: bool,
        /// RSV: a reserved bit of a nested entry was set.
        pub rsv: bool,
        /// ID: the access was an instruction fetch.
        pub id: bool,
        _reserved5: bool,
        /// SS: the access was one to a shadow stack.
        pub ss: bool,
        #[bits(24)]
        _reserved7: u32,
        /// RMP: the reverse map did not allow it.
        pub rmp: bool,
        /// The fault was in the translation of the final guest-physical address.
        pub final_address: bool,
        /// The fault was in the translation of a table of the guest.
        pub table_walk: bool,
        /// ENC: the guest-physical address was encrypted.
        pub enc: bool,
        /// SIZEM: page sizes of the nested entry and of the reverse map differ.
        pub sizem: bool,
        /// VMPL: the VM permission level did not allow it.
        pub vmpl: bool,
        /// SSS: supervisor shadow-stack restriction.
        pub sss: bool,
        #[bits(26)]
        _reserved38: u32,
    }
}

impl NpfInfo {
    /// What the guest, or the processor on its behalf, wanted to do.
    #[must_use]
    pub const fn access(self) -> Access {
        if self.rw() {
            Access::WRITE
        } else if self.id() {
            Access::EXECUTE
        } else {
            Access::READ
        }
    }

    /// Why it could not.
    #[must_use]
    pub const fn cause(self) -> NestedFaultCause {
        if self.rsv() {
            NestedFaultCause::Misconfiguration
        } else if self.p() {
            NestedFaultCause::Permission
        } else {
            NestedFaultCause::NotMapped
        }
    }
}

register! {
    /// EXITINFO1 of a MOV to or from a control or debug register, with decode assists.
    ///
    /// AMD APM vol. 2, section 15.8.1, "MOV CRx/DRx Intercepts".
    ///
    /// ```
    /// use x86_virt_svm::MoveInfo;
    ///
    /// let info = MoveInfo::from_bits(1 << 63 | 3);
    /// assert!(info.is_move() && info.gpr() == 3);
    /// ```
    pub struct MoveInfo(u64) {
        /// The number of the general-purpose register.
        #[bits(4)]
        pub gpr: u8,
        #[bits(59)]
        _reserved4: u64,
        /// Of CR accesses: the instruction was MOV, not CLTS, LMSW or SMSW.
        pub is_move: bool,
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{Access, AddressSize, IoDirection, IoSize, NestedFaultCause};

    use super::{IoioInfo, MoveInfo, NpfInfo};

    #[test]
    fn ioio_bits_are_where_the_manual_has_them() {
        // OUT 77h, AL in real mode: QEMU 7.2 and Bochs 2.7.
        for (raw, address_size) in [(0x77_0010, None), (0x77_0090, Some(AddressSize::Bits16))] {
            let info = IoioInfo::from_bits(raw);
            assert_eq!((info.port(), info.size(), info.direction()), (0x77, Some(IoSize::Byte), IoDirection::Out));
            assert_eq!((info.string(), info.repeat(), info.address_size()), (false, false, address_size));
        }
        let rep_insd = IoioInfo::from_bits(0x1f0_024d);
        assert!(rep_insd.string() && rep_insd.repeat());
        assert_eq!(
            (rep_insd.port(), rep_insd.size(), rep_insd.direction()),
            (0x1f0, Some(IoSize::Dword), IoDirection::In)
        );
        assert_eq!((rep_insd.address_size(), rep_insd.segment()), (Some(AddressSize::Bits64), 0));
        assert_eq!(IoioInfo::from_bits(0x0c00).segment(), 3);
        assert_eq!((IoioInfo::new().size(), IoioInfo::from_bits(0x120).size()), (None, Some(IoSize::Word)));
    }

    #[test]
    fn npf_bits_are_where_the_manual_has_them() {
        let not_mapped = NpfInfo::from_bits(0x1_0000_0004);
        assert_eq!((not_mapped.access(), not_mapped.cause()), (Access::READ, NestedFaultCause::NotMapped));
        assert!(not_mapped.final_address() && !not_mapped.table_walk());
        let walk = NpfInfo::from_bits(0x2_0000_0006);
        assert_eq!((walk.access(), walk.table_walk()), (Access::WRITE, true));
        let fetch = NpfInfo::from_bits(0x1_0000_0015);
        assert_eq!((fetch.access(), fetch.cause()), (Access::EXECUTE, NestedFaultCause::Permission));
        assert_eq!(NpfInfo::from_bits(0xd).cause(), NestedFaultCause::Misconfiguration);
        assert!(NpfInfo::from_bits(1 << 31).rmp() && NpfInfo::from_bits(1 << 37).sss());
    }

    #[test]
    fn move_bits_are_where_the_manual_has_them() {
        assert!(MoveInfo::from_bits(1 << 63).is_move());
        assert_eq!(MoveInfo::from_bits(0xf).gpr(), 15);
    }
}
