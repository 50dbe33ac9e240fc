//! Port I/O: exits of IN and OUT, and SMIs during them.

use x86_virt_core::{AddressSize, IoDirection, IoSize, register};

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
        #[doc(alias = "SVM_IOIO_TYPE_MASK")]
        pub is_in: bool,
        _reserved1: bool,
        /// STR: INS or OUTS.
        #[doc(alias = "SVM_IOIO_STR_MASK")]
        #[doc(alias = "SVM_IOIO_STR_SHIFT")]
        pub str: bool,
        /// REP.
        #[doc(alias = "SVM_IOIO_REP_MASK")]
        #[doc(alias = "SVM_IOIO_REP_SHIFT")]
        pub rep: bool,
        /// SZ8: one byte.
        #[doc(alias = "SVM_IOIO_SIZE_SHIFT")]
        pub sz8: bool,
        /// SZ16: two bytes.
        pub sz16: bool,
        /// SZ32: four bytes.
        pub sz32: bool,
        /// A16: 16-bit address.
        #[doc(alias = "SVM_IOIO_ASIZE_SHIFT")]
        pub a16: bool,
        /// A32: 32-bit address.
        pub a32: bool,
        /// A64: 64-bit address.
        pub a64: bool,
        /// SEG: segment of the memory operand. Only with decode assists.
        #[bits(3)]
        pub seg: u8,
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
    /// EXITINFO1 of an SMI: its source, and the port I/O that it interrupted.
    ///
    /// All but the source is undefined unless `val` is set.
    ///
    /// AMD APM vol. 2, section 15.13.3, "SMI Intercept".
    ///
    /// ```
    /// use x86_virt_svm::SmiInfo;
    ///
    /// let info = SmiInfo::from_bits(0xb2_0012_0000_0001);
    /// assert!(info.smisrc() && info.val() && info.sz8() && info.port() == 0xb2);
    /// ```
    pub struct SmiInfo(u64) {
        /// SMISRC: the SMI was asserted externally, not by I/O trapping.
        pub smisrc: bool,
        /// MCREDIR: the SMI was due to a redirected machine check.
        pub mcredir: bool,
        _reserved2: u8,
        /// SEG: segment of the memory operand.
        #[bits(3)]
        pub seg: u8,
        #[bits(19)]
        _reserved13: u32,
        /// TYPE: IN or INS.
        pub is_in: bool,
        /// VAL: the SMI was detected during an I/O instruction.
        pub val: bool,
        /// STR: INS or OUTS.
        pub str: bool,
        /// REP.
        pub rep: bool,
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
        _reserved42: bool,
        /// TF: RFLAGS.TF.
        pub tf: bool,
        /// BRP: the I/O breakpoints that match.
        #[bits(4)]
        pub brp: u8,
        /// PORT: the port.
        pub port: u16,
    }
}

#[cfg(test)]
mod tests {
    use x86_virt_core::{AddressSize, IoDirection, IoSize};

    use super::{IoioInfo, SmiInfo};

    #[test]
    fn ioio_bits_are_where_the_manual_has_them() {
        // OUT 77h, AL in real mode: QEMU 7.2 and Bochs 2.7.
        for (raw, address_size) in [(0x77_0010, None), (0x77_0090, Some(AddressSize::Bits16))] {
            let info = IoioInfo::from_bits(raw);
            assert_eq!((info.port(), info.size(), info.direction()), (0x77, Some(IoSize::Byte), IoDirection::Out));
            assert_eq!((info.str(), info.rep(), info.address_size()), (false, false, address_size));
        }
        let rep_insd = IoioInfo::from_bits(0x1f0_024d);
        assert!(rep_insd.str() && rep_insd.rep());
        assert_eq!(
            (rep_insd.port(), rep_insd.size(), rep_insd.direction()),
            (0x1f0, Some(IoSize::Dword), IoDirection::In)
        );
        assert_eq!((rep_insd.address_size(), rep_insd.seg()), (Some(AddressSize::Bits64), 0));
        assert_eq!(IoioInfo::from_bits(0x0c00).seg(), 3);
        assert_eq!((IoioInfo::new().size(), IoioInfo::from_bits(0x120).size()), (None, Some(IoSize::Word)));
    }

    #[test]
    fn smi_bits_are_where_the_manual_has_them() {
        let info = SmiInfo::from_bits(0x1234_f800_0000_1c02);
        assert!(!info.smisrc() && info.mcredir() && !info.val() && !info.a64() && info.tf());
        assert_eq!((info.seg(), info.brp(), info.port()), (7, 0xf, 0x1234));
        assert!(SmiInfo::from_bits(1 << 33).val() && SmiInfo::from_bits(1 << 32).is_in());
        assert!(SmiInfo::from_bits(1 << 36).sz8() && SmiInfo::from_bits(1 << 41).a64());
    }
}
