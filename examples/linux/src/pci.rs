//! The configuration space of PCI, in which nothing is.
//!
//! PCI Local Bus Specification 3.0, section 3.2.2.3.2, "Software Generation of Configuration Transactions".

/// The ports of the mechanism.
pub const ADDRESS: u16 = 0xcf8;
/// The data of what [`ADDRESS`] selects.
pub const DATA: u16 = 0xcfc;

/// The bits of the address that can be written: enable, bus, device, function and register.
const ADDRESS_BITS: u32 = 0x80ff_fffc;

/// The host bridge's side of the mechanism.
#[derive(Debug, Default)]
pub struct Pci {
    address: u32,
}

impl Pci {
    /// Reads so many bytes at a port from 0CF8H to 0CFFH, in the low bits. Where there is no device, all bits are 1.
    #[must_use]
    pub fn read(&self, port: u16, bytes: u8) -> u32 {
        if port == ADDRESS && bytes == 4 { self.address } else { u32::MAX }
    }

    /// Writes so many bytes at a port from 0CF8H to 0CFFH.
    pub fn write(&mut self, port: u16, bytes: u8, value: u32) {
        if port == ADDRESS && bytes == 4 {
            self.address = value & ADDRESS_BITS;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{ADDRESS, DATA, Pci};

    #[test]
    fn the_mechanism_is_there_and_no_device() {
        let mut pci = Pci::default();
        pci.write(ADDRESS, 4, 0x8000_0801);
        assert_eq!(pci.read(ADDRESS, 4), 0x8000_0800);
        assert_eq!((pci.read(DATA, 4), pci.read(DATA + 2, 2)), (u32::MAX, u32::MAX));
        pci.write(ADDRESS, 1, 0);
        pci.write(DATA, 4, 0);
        assert_eq!(pci.read(ADDRESS, 4), 0x8000_0800);
    }
}
