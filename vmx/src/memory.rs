//! Structures in memory that the processor reads and writes.
//!
//! Their contents are inert: no safe function gives the address of one to a processor. Those that a processor may use while
//! the host does consist of atomics, so that they are behind shared references only.

mod apic_page;
mod entry_page;
mod field_bitmap;
mod frame;
mod msr_area;
mod pasid;
mod pid_table;
mod pml;
mod posted_interrupt;
mod region;
mod vectors;
mod virtualization_exception;

use core::mem::offset_of;

use x86_virt_core::{TableRow, register_rows};

pub use apic_page::{ApicOffset, ApicVectors, VirtualApicPage};
pub use entry_page::{EntryIndex, EntryPage, EptpList, PasidDirectory, PidPointerTable};
pub use field_bitmap::VmcsFieldBitmap;
pub use frame::{FrameLayout, InFrame};
pub use msr_area::{InvalidMsrArea, MsrAreaEntry};
pub use pasid::{Pasid, PasidDirectoryEntry, PasidTable, PasidTableEntry};
pub use pid_table::PidPointer;
pub use pml::PmlBuffer;
pub use posted_interrupt::{PostedInterruptControl, PostedInterruptDescriptor};
pub use region::{RegionRevision, VmcsHeader};
pub use vectors::VectorSet;
pub use virtualization_exception::{VeInformationArea, VirtualizationException};

/// A row of the layout of a structure: the name, the byte at which it is, and its bits.
type Part = (&'static str, usize, u32);

/// Visits the rows of `parts`, of which `encoding` makes the encoding.
fn part_rows(group: &str, parts: &[Part], visit: &mut dyn FnMut(&TableRow<'_>)) {
    for &(name, offset, width_bits) in parts {
        let encoding = u64::try_from(offset).unwrap_or(u64::MAX);
        visit(&row(&group, name, encoding, width_bits));
    }
}

/// A row with no other names and no conditions.
fn row<'a>(group: &'a &'a str, name: &'static str, encoding: u64, width_bits: u32) -> TableRow<'a> {
    TableRow {
        table: TABLE,
        name,
        aliases: &[],
        encoding,
        width_bits,
        access: "",
        group,
        requires: &"",
        provisional: false,
    }
}

const TABLE: &str = "vmx_memory";

/// Adds to the rows that `visit` gets the control without which no processor uses the structure.
fn with_control<'v>(control: &'v str, visit: &'v mut dyn FnMut(&TableRow<'_>)) -> impl FnMut(&TableRow<'_>) + 'v {
    move |row| visit(&TableRow { requires: &control, ..*row })
}

/// Visits the rows of all structures: in a structure of several words with the byte offset as encoding, in a word with the bit.
pub(crate) fn memory_rows(visit: &mut dyn FnMut(&TableRow<'_>)) {
    part_rows(
        "VMCS region",
        &[("REVISION", offset_of!(VmcsHeader, revision), 32), ("ABORT_INDICATOR", offset_of!(VmcsHeader, abort), 32)],
        visit,
    );
    register_rows::<RegionRevision>(TABLE, "first word of VMCS and VMXON region", visit);
    part_rows("MSR area entry", &msr_area::PARTS, visit);
    part_rows("MSR bitmaps", &crate::bitmap::MSR_PARTS, &mut with_control("USE_MSR_BITMAPS", visit));
    part_rows("I/O bitmaps", &crate::bitmap::IO_PARTS, &mut with_control("USE_IO_BITMAPS", visit));
    let field_bit = [("BIT_OF_ENCODING_14_0", 0, 0x8000)];
    part_rows("VMREAD or VMWRITE bitmap", &field_bit, &mut with_control("VMCS_SHADOWING", visit));
    apic_page::rows(&mut with_control("USE_TPR_SHADOW", visit));
    posted_interrupt::rows(&mut with_control("PROCESS_POSTED_INTERRUPTS", visit));
    pid_table::rows(&mut with_control("IPI_VIRTUALIZATION", visit));
    part_rows("PML buffer", &[("GUEST_PHYSICAL_ADDRESS", 0, 64)], &mut with_control("ENABLE_PML", visit));
    let exception = &virtualization_exception::PARTS;
    part_rows("virtualization-exception information area", exception, &mut with_control("EPT_VIOLATION_VE", visit));
    part_rows("EPTP list", &[("EPTP", 0, 64)], &mut with_control("EPTP_SWITCHING", visit));
    pasid::rows(&mut with_control("PASID_TRANSLATION", visit));
}

#[cfg(test)]
mod tests {
    use super::memory_rows;

    #[test]
    fn rows_have_names_and_places_of_their_own() {
        let mut rows = Vec::new();
        memory_rows(&mut |row| {
            assert_eq!(row.table, "vmx_memory");
            rows.push((row.group.to_string(), row.name, row.encoding, row.width_bits, row.requires.to_string()));
        });
        for (index, (group, name, encoding, width, _)) in rows.iter().enumerate() {
            for (other_group, other_name, other_encoding, ..) in rows.iter().skip(index + 1) {
                assert!(group != other_group || name != other_name, "{group} {name}");
                assert!(group != other_group || other_encoding > encoding, "{group} {name}");
            }
            assert_ne!(*width, 0);
        }
        assert_eq!(rows.len(), 79);
        let icr = ("virtual-APIC page".to_string(), "ICR_LOW", 0x300, 32, "USE_TPR_SHADOW".to_string());
        assert!(rows.contains(&icr));
    }
}
