//! Guest-linear addresses: segmentation and the guest's own paging.

use crate::GuestMemory;
use crate::addr::{Gpa, Gva};
use crate::io::low_dword;
use crate::register::{ControlRegister, Cr0, Cr4};
use crate::segment::SegmentRegister;
use crate::vcpu::Vcpu;

/// Bits 51:12 of an entry: a physical address.
const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
const PRESENT: u64 = 1;
const PAGE_SIZE: u64 = 1 << 7;

/// The linear address of `offset` in `segment`. In 64-bit mode only FS and GS have a base.
///
/// Intel SDM vol. 3, section 3.4.4, "Segment Loading Instructions in IA-32e Mode".
pub(crate) fn address<V: Vcpu>(vcpu: &V, segment: SegmentRegister, offset: u64) -> u64 {
    let long = is_64_bit(vcpu);
    let base = match segment {
        SegmentRegister::Fs | SegmentRegister::Gs => vcpu.segment(segment).base,
        _ if long => 0,
        _ => vcpu.segment(segment).base,
    };
    let linear = base.wrapping_add(offset);
    if long { linear } else { u64::from(low_dword(linear)) }
}

/// Whether the guest executes 64-bit code.
pub(crate) fn is_64_bit<V: Vcpu>(vcpu: &V) -> bool {
    vcpu.efer().lma() && vcpu.segment(SegmentRegister::Cs).rights.long()
}

/// Copies guest memory at linear address `gva` to `buffer`.
pub(crate) fn read<V: Vcpu>(
    vcpu: &V,
    memory: &impl GuestMemory,
    gva: Gva,
    buffer: &mut [u8],
) -> Result<(), NotTranslated> {
    let mut at = gva.get();
    let mut rest = buffer;
    while !rest.is_empty() {
        let (now, later) = rest.split_at_mut(rest.len().min(to_page_end(at)));
        let gpa = translate(vcpu, memory, Gva::new(at))?;
        memory.read(gpa, now).map_err(|_| NotTranslated)?;
        at = at.wrapping_add(u64::try_from(now.len()).unwrap_or(0));
        rest = later;
    }
    Ok(())
}

/// Copies `data` to guest memory at linear address `gva`.
pub(crate) fn write<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, gva: Gva, data: &[u8]) -> Result<(), NotTranslated> {
    let mut at = gva.get();
    let mut rest = data;
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.len().min(to_page_end(at)));
        let gpa = translate(vcpu, memory, Gva::new(at))?;
        memory.write(gpa, now).map_err(|_| NotTranslated)?;
        at = at.wrapping_add(u64::try_from(now.len()).unwrap_or(0));
        rest = later;
    }
    Ok(())
}

/// Bytes from `address` to the end of its 4 KiB page.
pub(crate) fn to_page_end(address: u64) -> usize {
    usize::try_from(4096 - (address & 0xfff)).unwrap_or(4096)
}

/// The guest-physical address of `gva`. Permissions are not checked: the processor did so for the access that exited.
///
/// Intel SDM vol. 3, chapter 5, "Paging".
pub(crate) fn translate<V: Vcpu>(vcpu: &V, memory: &impl GuestMemory, gva: Gva) -> Result<Gpa, NotTranslated> {
    let cr0 = Cr0::from(vcpu.control(ControlRegister::Cr0));
    if !cr0.pg() {
        return Ok(Gpa::new(gva.get() & 0xffff_ffff));
    }
    let cr3 = vcpu.control(ControlRegister::Cr3);
    let cr4 = Cr4::from(vcpu.control(ControlRegister::Cr4));
    if !cr4.pae() {
        return translate_32_bit(memory, cr3, gva);
    }
    let lma = vcpu.efer().lma();
    let (top, mut table) = match (lma, cr4.la57()) {
        (true, true) => (5, cr3 & ADDRESS),
        (true, false) => (4, cr3 & ADDRESS),
        (false, _) => (3, cr3 & 0xffff_ffe0),
    };
    for level in (1..=top).rev() {
        let shift = 12 + 9 * (level - 1);
        let index = gva.get() >> shift & if level == 3 && !lma { 3 } else { 0x1ff };
        let mut entry = [0; 8];
        memory.read(Gpa::new(table | index << 3), &mut entry).map_err(|_| NotTranslated)?;
        let entry = u64::from_le_bytes(entry);
        if entry & PRESENT == 0 {
            return Err(NotTranslated);
        }
        let is_page = level == 1 || (level == 2 || level == 3 && lma) && entry & PAGE_SIZE != 0;
        if is_page {
            let offset = (1 << shift) - 1;
            return Ok(Gpa::new(entry & ADDRESS & !offset | gva.get() & offset));
        }
        table = entry & ADDRESS;
    }
    Err(NotTranslated)
}

/// Intel SDM vol. 3, section 5.3, "32-Bit Paging". The upper bits of a 4 MiB page (PSE-36) are in bits 20:13.
fn translate_32_bit(memory: &impl GuestMemory, cr3: u64, gva: Gva) -> Result<Gpa, NotTranslated> {
    let directory = entry_32(memory, cr3 & 0xffff_f000, gva.get() >> 22 & 0x3ff)?;
    if directory & PAGE_SIZE != 0 {
        let high = (directory >> 13 & 0xff) << 32;
        return Ok(Gpa::new(high | directory & 0xffc0_0000 | gva.get() & 0x3f_ffff));
    }
    let table = entry_32(memory, directory & 0xffff_f000, gva.get() >> 12 & 0x3ff)?;
    Ok(Gpa::new(table & 0xffff_f000 | gva.get() & 0xfff))
}

fn entry_32(memory: &impl GuestMemory, table: u64, index: u64) -> Result<u64, NotTranslated> {
    let mut entry = [0; 4];
    memory.read(Gpa::new(table | index << 2), &mut entry).map_err(|_| NotTranslated)?;
    let entry = u64::from(u32::from_le_bytes(entry));
    if entry & PRESENT == 0 { Err(NotTranslated) } else { Ok(entry) }
}

/// The address is not mapped by the guest, or its tables are not mapped for the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct NotTranslated;
