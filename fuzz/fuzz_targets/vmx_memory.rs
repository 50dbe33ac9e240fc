//! Structures in memory: steps against plain models, and entries against the bits of the manual.
#![no_main]

use std::collections::BTreeSet;

use fuzz::register::{bits, check};
use libfuzzer_sys::fuzz_target;
use x86_virt::ept::Eptp;
use x86_virt::vmx::field::Encoding;
use x86_virt::vmx::{
    ApicOffset, ApicVectors, EntryIndex, EptpList, InvalidMsrArea, InveptDescriptor, InvvpidDescriptor, MsrAreaEntry,
    Pasid, PasidDirectoryEntry, PasidTable, PasidTableEntry, PidPointer, PmlBuffer, PostedInterruptControl,
    PostedInterruptDescriptor, RegionRevision, VeInformationArea, VectorSet, VirtualApicPage, VirtualizationException,
    VmcsFieldBitmap,
};
use x86_virt::{Gpa, Gva, Hpa, Permission, Register};

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Input {
    PostedInterrupts(PostedInterruptControl, Vec<Posted>),
    Vectors(VectorSet, u8),
    VirtualizationExceptions(Vec<Option<VirtualizationException>>),
    VirtualApic(Vec<Apic>),
    MsrEntry(MsrAreaEntry),
    MsrArea { address: u64, count: u32, address_width: u8 },
    FieldBitmap { fields: Vec<(u16, bool)>, operand: u64 },
    Entries { first: (EntryIndex, Eptp), second: (EntryIndex, Eptp) },
    Pasids { first: (Pasid, PasidTableEntry), second: (Pasid, PasidTableEntry) },
    Words(u64, u64, u8),
    Descriptors([u8; 16]),
    PageModificationLog(u16),
}

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Posted {
    Post(u8),
    Take,
    Suppress,
    Resume,
    Notification(u8, u32),
}

#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Apic {
    Write(u16, u32),
    Insert(ApicVectors, u8),
    Remove(ApicVectors, u8),
}

fuzz_target!(|input: Input| {
    match input {
        Input::PostedInterrupts(control, steps) => posted_interrupts(control, &steps),
        Input::Vectors(vectors, vector) => vector_set(vectors, vector),
        Input::VirtualizationExceptions(steps) => virtualization_exceptions(&steps),
        Input::VirtualApic(steps) => virtual_apic(&steps),
        Input::MsrEntry(entry) => msr_entry(entry),
        Input::MsrArea { address, count, address_width } => msr_area(address, count, address_width),
        Input::FieldBitmap { fields, operand } => field_bitmap(&fields, operand),
        Input::Entries { first, second } => entries(first, second),
        Input::Pasids { first, second } => pasids(first, second),
        Input::Words(raw, address, width) => words(raw, address, width),
        Input::Descriptors(bytes) => descriptors(bytes),
        Input::PageModificationLog(index) => page_modification_log(index),
    }
});

/// SDM section 32.6, "Posted-Interrupt Processing": PIR, ON at bit 256 and SN at bit 257.
fn posted_interrupts(control: PostedInterruptControl, steps: &[Posted]) {
    let descriptor = PostedInterruptDescriptor::new(control);
    let mut requests = BTreeSet::new();
    let (mut on, mut sn) = (control.into_bits() & 1 == 1, control.into_bits() >> 1 & 1 == 1);
    let (mut nv, mut ndst) = (bits(control.into_bits(), 16, 8), control.into_bits() >> 32);
    let reserved = control.into_bits() & 0xff00_fffc;
    for step in steps {
        match *step {
            Posted::Post(vector) => {
                requests.insert(vector);
                assert_eq!(descriptor.post(vector), !on && !sn);
                on |= !sn;
            }
            Posted::Take => {
                let taken = descriptor.take();
                assert!(taken.iter().eq(requests.iter().rev().copied()));
                requests.clear();
                on = false;
            }
            Posted::Suppress => {
                descriptor.suppress();
                sn = true;
            }
            Posted::Resume => {
                assert_eq!(descriptor.resume(), !requests.is_empty());
                sn = false;
            }
            Posted::Notification(vector, destination) => {
                descriptor.set_notification(vector, destination);
                (nv, ndst) = (vector.into(), destination.into());
            }
        }
        let expected = u64::from(on) | u64::from(sn) << 1 | nv << 16 | ndst << 32 | reserved;
        assert_eq!(descriptor.control().into_bits(), expected, "after {step:?}");
        assert!(descriptor.requests().iter().eq(requests.iter().rev().copied()));
    }
    let [id, ..] = ndst.to_le_bytes();
    let xapic = check::<PostedInterruptControl>(control.into_bits()).with_xapic_destination(id);
    assert_eq!(xapic.into_bits(), bits(control.into_bits(), 0, 32) | u64::from(id) << 40);
}

fn vector_set(vectors: VectorSet, vector: u8) {
    let words = vectors.into_words();
    let is_set = |words: [u64; 4], vector: u8| {
        let word = words.get(usize::from(vector) / 64).copied().unwrap_or_default();
        word >> (vector % 64) & 1 == 1
    };
    let members: Vec<u8> = (0..=u8::MAX).filter(|vector| is_set(words, *vector)).collect();
    assert!(vectors.iter().eq(members.iter().rev().copied()));
    assert_eq!(vectors.highest(), members.last().copied());
    assert_eq!((vectors.is_empty(), vectors.contains(vector)), (members.is_empty(), is_set(words, vector)));
    assert_eq!(members.iter().copied().collect::<VectorSet>(), vectors);
    assert_eq!(VectorSet::from_words(words), vectors);
    for (changed, expected) in [(vectors.with(vector), true), (vectors.without(vector), false)] {
        let is_right = |other| {
            is_set(changed.into_words(), other) == if other == vector { expected } else { is_set(words, other) }
        };
        assert!((0..=u8::MAX).all(is_right));
    }
}

/// An exception is delivered to a free area, which `None` makes free.
fn virtualization_exceptions(steps: &[Option<VirtualizationException>]) {
    let area = VeInformationArea::new();
    let mut held = None;
    for step in steps {
        match step {
            Some(exception) => {
                assert_eq!(area.deliver(*exception), held.is_none());
                held = held.or(Some(*exception));
            }
            None => assert_eq!(area.take(), held.take()),
        }
    }
    assert_eq!(area.take(), held);
}

/// A register is the first 4 of 16 bytes; of those with a bit for each vector there are 8.
fn virtual_apic(steps: &[Apic]) {
    let page = VirtualApicPage::new();
    let mut registers = [0_u32; 256];
    let start = |vectors| match vectors {
        ApicVectors::InService => 0x100_u16,
        ApicVectors::TriggerMode => 0x180,
        ApicVectors::Requested => 0x200,
    };
    for step in steps.iter().take(32) {
        let (at, change): (u16, Box<dyn Fn(u32) -> u32>) = match *step {
            Apic::Write(at, value) => {
                // Mostly in the page.
                let at = at & 0x1fff;
                page.write(ApicOffset::from_bits(at), value);
                (at, Box::new(move |_| value))
            }
            Apic::Insert(vectors, vector) => {
                page.insert(vectors, vector);
                (start(vectors) + u16::from(vector) / 32 * 16, Box::new(move |word| word | 1 << (vector % 32)))
            }
            Apic::Remove(vectors, vector) => {
                page.remove(vectors, vector);
                (start(vectors) + u16::from(vector) / 32 * 16, Box::new(move |word| word & !(1 << (vector % 32))))
            }
        };
        let register = registers.get_mut(usize::from(at) / 16).filter(|_| at % 16 == 0);
        let expected = register.map(|word| {
            *word = change(*word);
            *word
        });
        assert_eq!(page.read(ApicOffset::from_bits(at)), expected, "{at:#x}");
    }
    for (index, expected) in (0_u16..).zip(registers) {
        assert_eq!(page.read(ApicOffset::from_bits(index * 16)), Some(expected));
    }
    for vectors in [ApicVectors::InService, ApicVectors::TriggerMode, ApicVectors::Requested] {
        let first = usize::from(start(vectors)) / 16;
        let parts: Vec<u32> = registers.iter().skip(first).take(8).copied().collect();
        let words = page.vectors(vectors).into_words();
        assert!(words.iter().flat_map(|word| [bits(*word, 0, 32), word >> 32]).eq(parts.into_iter().map(u64::from)));
    }
    let [low, high] = [0x30, 0x31].map(|index| registers.get(index).copied().map_or(0, u64::from));
    assert_eq!(page.interrupt_command(), high << 32 | low);
}

/// SDM sections 29.4, "Loading MSRs", and 30.4, "Saving MSRs".
fn msr_entry(entry: MsrAreaEntry) {
    let msr = entry.index;
    let any = if bits(msr.into(), 8, 24) == 8 {
        Err(InvalidMsrArea::X2Apic { msr })
    } else if entry.reserved != 0 {
        Err(InvalidMsrArea::Reserved { reserved: entry.reserved })
    } else {
        Ok(())
    };
    let load = match msr {
        0xc000_0100 | 0xc000_0101 => Err(InvalidMsrArea::Base { msr }),
        0x9b => Err(InvalidMsrArea::SystemManagement { msr }),
        _ => any,
    };
    assert_eq!(entry.check_load(), load);
    assert_eq!(entry.check_store(), if msr == 0x9e { Err(InvalidMsrArea::SystemManagement { msr }) } else { any });
    assert_eq!(MsrAreaEntry::recommended_maximum(entry.value), 512 * (bits(entry.value, 25, 3) + 1));
}

fn msr_area(address: u64, count: u32, address_width: u8) {
    let hpa = Hpa::new(address);
    let last = u128::from(address) + u128::from(count) * 16;
    let expected = if count == 0 {
        Ok(())
    } else if !address.is_multiple_of(16) {
        Err(InvalidMsrArea::Alignment { address: hpa })
    } else if last > 1 << address_width.min(64) {
        Err(InvalidMsrArea::AddressWidth { address: hpa, count })
    } else {
        Ok(())
    };
    assert_eq!(MsrAreaEntry::check_area(hpa, count, address_width), expected);
}

fn field_bitmap(fields: &[(u16, bool)], operand: u64) {
    let bitmap = VmcsFieldBitmap::new();
    let mut passed = BTreeSet::new();
    for (field, pass) in fields {
        let permission = if *pass { Permission::PassThrough } else { Permission::Intercept };
        bitmap.set(Encoding::new((*field).into()), permission);
        if *pass && *field < 0x8000 {
            passed.insert(*field);
        } else {
            passed.remove(field);
        }
        assert_eq!(bitmap.is_intercepted((*field).into()), !passed.contains(field), "{field:#x}");
    }
    assert_eq!(bitmap.is_intercepted(operand), !u16::try_from(operand).is_ok_and(|field| passed.contains(&field)));
    assert!(passed.iter().all(|field| !bitmap.is_intercepted((*field).into())));
}

fn entries(first: (EntryIndex, Eptp), second: (EntryIndex, Eptp)) {
    let list = EptpList::new();
    list.set(first.0, first.1);
    list.set(second.0, second.1);
    assert_eq!(list.get(second.0), second.1);
    assert_eq!(list.get(first.0), if first.0 == second.0 { second.1 } else { first.1 });
    assert_eq!(EntryIndex::new(first.0.get()), Some(first.0));
}

fn pasids(first: (Pasid, PasidTableEntry), second: (Pasid, PasidTableEntry)) {
    let table = PasidTable::new();
    table.set(first.0, first.1);
    table.set(second.0, second.1);
    let is_same = first.0.get() % 1024 == second.0.get() % 1024;
    assert_eq!(table.get(first.0), if is_same { second.1 } else { first.1 });
    let number = u64::from(first.0.get());
    assert_eq!(u64::from(first.0.table_index()), bits(number, 0, 10));
    assert_eq!(u64::from(first.0.directory_index().get()), bits(number, 10, 9));
    assert_eq!(u64::from(first.0.is_in_high_directory()), number >> 19);
    check::<PasidTableEntry>(first.1.into_raw());
}

/// Entries of tables, bit by bit, with an address and a width of addresses.
fn words(raw: u64, address: u64, width: u8) {
    let hpa = Hpa::new(address);
    let pointer = check::<PidPointer>(raw);
    assert_eq!(pointer.descriptor().get(), raw & !0x3f);
    assert_eq!(pointer.with_descriptor(hpa).into_bits(), raw & 0x3f | address & !0x3f);
    let beyond = (0..64).filter(|bit| *bit >= width).fold(0, |all, bit| all | 1 << bit);
    assert_eq!(pointer.reserved_bits(width), raw & (0x3e | beyond));
    let directory = check::<PasidDirectoryEntry>(raw);
    assert_eq!(directory.table().get(), raw & 0x000f_ffff_ffff_f000);
    let expected = raw & !0x000f_ffff_ffff_f000 | address & 0x000f_ffff_ffff_f000;
    assert_eq!(directory.with_table(hpa).into_bits(), expected);
    let revision = check::<RegionRevision>(raw);
    assert_eq!(u64::from(revision.revision_identifier()), bits(raw, 0, 31));
    assert_eq!(
        Pasid::new(revision.into_bits()).map(|pasid| pasid.get()),
        Some(revision.into_bits()).filter(|word| *word < 1 << 20)
    );
}

/// The operands in memory of INVEPT and INVVPID.
fn descriptors(bytes: [u8; 16]) {
    let word = u128::from_le_bytes(bytes);
    let part = |offset: u32, width: u32| u64::try_from(word >> offset & u128::MAX >> (128 - width)).unwrap_or_default();
    let invept = InveptDescriptor::from_bytes(bytes);
    assert_eq!((invept.eptp().into_raw(), invept.reserved(), invept.into_bytes()), (part(0, 64), part(64, 64), bytes));
    let expected = if part(64, 64) == 0 { Some(invept) } else { None };
    assert_eq!(Some(InveptDescriptor::new(invept.eptp())).filter(|_| part(64, 64) == 0), expected);
    let invvpid = InvvpidDescriptor::from_bytes(bytes);
    assert_eq!((u64::from(invvpid.vpid()), invvpid.linear_address()), (part(0, 16), Gva::new(part(64, 64))));
    assert_eq!(invvpid.reserved().map(u64::from), [part(16, 16), part(32, 16), part(48, 16)]);
    assert_eq!(invvpid.into_bytes(), bytes);
    let made = InvvpidDescriptor::new(invvpid.vpid(), invvpid.linear_address());
    assert_eq!(made == invvpid, part(16, 48) == 0);
}

/// An empty log has the index 511, and it counts down to 0 and around.
fn page_modification_log(index: u16) {
    let log = PmlBuffer::new();
    let expected = if index > 511 { 512 } else { 511 - usize::from(index) };
    assert!(log.logged(index).eq(core::iter::repeat_n(Gpa::new(0), expected)));
}
