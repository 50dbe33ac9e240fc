//! The tables of ACPI: which processors and interrupt controllers there are, and how the power goes off.
//!
//! ACPI Specification 6.5, section 5.2, "ACPI System Description Tables".

use alloc::vec;
use alloc::vec::Vec;

use acpi_tables::Aml;
use acpi_tables::aml::{Device, EISAName, IO, Interrupt, Name, Package, Path, ResourceTemplate};
use acpi_tables::facs::FACS;
use acpi_tables::fadt::{FADTBuilder, Flags};
use acpi_tables::gas::{AccessSize, AddressSpace, GAS};
use acpi_tables::rsdp::Rsdp;
use acpi_tables::sdt::Sdt;
use acpi_tables::xsdt::XSDT;

use crate::{ioapic, local_apic, power};

const MAKER: [u8; 6] = *b"X86VRT";
const TABLE: [u8; 8] = *b"LINUX   ";
const REVISION: u32 = 1;
/// Tables begin at multiples of this, which the FACS needs.
const ALIGNMENT: usize = 64;

/// The interrupt of ACPI, which never comes.
const SCI: u8 = 9;
/// The input of the I/O APIC at which the PC's timer is.
const TIMER_INPUT: u32 = 2;
/// The first serial port.
const SERIAL_PORT: u16 = 0x3f8;
const SERIAL_INPUT: u32 = 4;

/// Of the MADT: there are the PC's interrupt controllers, too.
const HAS_PIC: u32 = 1;
const HEADER_BYTES: u32 = 36;

/// Makes the tables of a machine with so many processors, to be put at `address`, the root pointer first.
#[must_use]
pub fn tables(address: u64, processors: u8) -> Vec<u8> {
    let mut tables = Tables { address, bytes: Vec::new() };
    // Its place is known, its contents come last.
    tables.add(&vec![0; Rsdp::len()]);
    let dsdt = tables.add(dsdt().as_slice());
    let facs = tables.add(&to_bytes(&FACS::new()));
    let fadt = tables.add(&to_bytes(&fadt(dsdt, facs)));
    let madt = tables.add(madt(processors).as_slice());
    let mut xsdt = XSDT::new(MAKER, TABLE, REVISION);
    xsdt.add_entry(fadt);
    xsdt.add_entry(madt);
    let xsdt = tables.add(&to_bytes(&xsdt));
    let root = to_bytes(&Rsdp::new(MAKER, xsdt));
    for (target, byte) in tables.bytes.iter_mut().zip(root) {
        *target = byte;
    }
    tables.bytes
}

/// Tables one after the other.
struct Tables {
    address: u64,
    bytes: Vec<u8>,
}

impl Tables {
    /// Adds a table; its address.
    fn add(&mut self, table: &[u8]) -> u64 {
        let offset = self.bytes.len().next_multiple_of(ALIGNMENT);
        self.bytes.resize(offset, 0);
        self.bytes.extend_from_slice(table);
        self.address + u64::try_from(offset).unwrap_or(0)
    }
}

fn to_bytes(table: &impl Aml) -> Vec<u8> {
    let mut bytes = Vec::new();
    table.to_aml_bytes(&mut bytes);
    bytes
}

/// The state S5, and the serial port with its interrupt.
fn dsdt() -> Sdt {
    let mut dsdt = Sdt::new(*b"DSDT", HEADER_BYTES, 2, MAKER, TABLE, REVISION);
    let sleep_type = power::S5;
    let off = Name::new(Path::new("_S5_"), &Package::new(vec![&sleep_type, &sleep_type]));
    let (is_consumer, is_edge, is_active_low, is_shared) = (true, true, false, false);
    let port = IO::new(SERIAL_PORT, SERIAL_PORT, 1, 8);
    let interrupt = Interrupt::new(is_consumer, is_edge, is_active_low, is_shared, SERIAL_INPUT);
    let resources = ResourceTemplate::new(vec![&port, &interrupt]);
    let kind = Name::new(Path::new("_HID"), &EISAName::new("PNP0501"));
    let number = Name::new(Path::new("_UID"), &0_u8);
    let settings = Name::new(Path::new("_CRS"), &resources);
    let serial = Device::new(Path::new("_SB_.COM1"), vec![&kind, &number, &settings]);
    dsdt.append_slice(&to_bytes(&off));
    dsdt.append_slice(&to_bytes(&serial));
    dsdt.update_checksum();
    dsdt
}

fn fadt(dsdt: u64, facs: u64) -> acpi_tables::fadt::FADT {
    /// There are devices at the PC's ports, and no VGA. That there is a keyboard controller is not said.
    const BOOT_ARCHITECTURE: u16 = 1 << 0 | 1 << 2;
    let below_4_gib = |address: u64| u32::try_from(address).unwrap_or(0);
    let mut fadt = FADTBuilder::new(MAKER, TABLE, REVISION)
        .dsdt_64(dsdt)
        .firmware_ctrl_32(below_4_gib(facs))
        .flag(Flags::Wbinvd)
        .flag(Flags::ProcC1)
        .flag(Flags::PwrButton)
        .flag(Flags::SlpButton)
        .flag(Flags::ResetRegSup);
    fadt.sci_int = u16::from(SCI).into();
    fadt.pm1a_evt_blk = u32::from(power::EVENT).into();
    fadt.pm1_evt_len = 4;
    fadt.pm1a_cnt_blk = u32::from(power::CONTROL).into();
    fadt.pm1_cnt_len = 2;
    fadt.pm_tmr_blk = u32::from(power::TIMER).into();
    fadt.pm_tmr_len = 4;
    fadt.iapc_boot_arch = BOOT_ARCHITECTURE.into();
    fadt.reset_reg = GAS::new(AddressSpace::SystemIo, 8, 0, AccessSize::ByteAccess, power::RESET.into());
    fadt.reset_value = power::RESET_VALUE;
    fadt.finalize()
}

fn madt(processors: u8) -> Sdt {
    let mut madt = Sdt::new(*b"APIC", HEADER_BYTES, 5, MAKER, TABLE, REVISION);
    let [a, b, c, d, ..] = local_apic::BASE.to_le_bytes();
    madt.append_slice(&[a, b, c, d]);
    madt.append_slice(&HAS_PIC.to_le_bytes());
    for number in 0..processors {
        let is_enabled = 1;
        madt.append_slice(&[0, 8, number, number, is_enabled, 0, 0, 0]);
    }
    let [a, b, c, d, ..] = ioapic::BASE.to_le_bytes();
    // Its identifier follows those of the processors; its first input is interrupt 0.
    madt.append_slice(&[1, 12, processors, 0, a, b, c, d, 0, 0, 0, 0]);
    for (source, input, flags) in [(0, TIMER_INPUT, 0_u16), (SCI, SCI.into(), 0x000d)] {
        madt.append_slice(&[2, 10, 0, source]);
        madt.append_slice(&input.to_le_bytes());
        madt.append_slice(&flags.to_le_bytes());
    }
    madt.update_checksum();
    madt
}

#[cfg(test)]
mod tests {
    use super::tables;

    const BASE: u64 = 0xe_0000;

    fn number(bytes: &[u8], at: usize, length: usize) -> usize {
        let mut word = [0; 8];
        word[..length].copy_from_slice(&bytes[at..at + length]);
        usize::try_from(u64::from_le_bytes(word)).unwrap()
    }

    /// The table at a guest-physical address, by the length in its header.
    fn table(all: &[u8], address: usize) -> &[u8] {
        let at = address - usize::try_from(BASE).unwrap();
        &all[at..at + number(all, at + 4, 4)]
    }

    fn sums_to_zero(bytes: &[u8]) -> bool {
        bytes.iter().fold(0_u8, |sum, byte| sum.wrapping_add(*byte)) == 0
    }

    #[test]
    fn every_table_is_found_and_sums_to_zero() {
        let all = tables(BASE, 2);
        assert_eq!(&all[..8], b"RSD PTR ");
        assert!(sums_to_zero(&all[..20]) && sums_to_zero(&all[..36]));
        let xsdt = table(&all, number(&all, 24, 8));
        assert_eq!((&xsdt[..4], xsdt.len()), (b"XSDT".as_slice(), 36 + 16));
        let fadt = table(&all, number(xsdt, 36, 8));
        let madt = table(&all, number(xsdt, 44, 8));
        let dsdt = table(&all, number(fadt, 140, 8));
        assert_eq!([&fadt[..4], &madt[..4], &dsdt[..4]], [b"FACP", b"APIC", b"DSDT"]);
        for table in [xsdt, fadt, madt, dsdt] {
            assert!(sums_to_zero(table));
        }
        assert_eq!(number(fadt, 36, 4) % 64, 0, "FACS");
        assert_eq!(table(&all, number(fadt, 36, 4)).len(), 64);
    }

    #[test]
    fn each_processor_has_an_apic() {
        for processors in 1..=8 {
            let all = tables(BASE, processors);
            let xsdt = table(&all, number(&all, 24, 8));
            let madt = table(&all, number(xsdt, 44, 8));
            let mut at = 44;
            let mut identifiers = alloc::vec::Vec::new();
            while at < madt.len() {
                if madt[at] == 0 {
                    identifiers.push(madt[at + 3]);
                }
                at += usize::from(madt[at + 1]);
            }
            assert_eq!(at, madt.len());
            assert_eq!(identifiers, (0..processors).collect::<alloc::vec::Vec<_>>());
        }
    }

    #[test]
    fn the_tables_fit_where_they_go() {
        assert!(tables(BASE, 8).len() < 0x1000);
    }
}
