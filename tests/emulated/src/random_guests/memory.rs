//! Memory of guests made by chance: tables that work, and changes to them.

use alloc::vec;
use alloc::vec::Vec;

use super::code;
use crate::differential::Random;

/// Bytes of the guest's memory, and its pages.
pub(super) const BYTES: usize = 0x1_0000;
pub(super) const PAGES: u64 = 16;

/// Where things are. Above [`DATA`] are words made by chance.
pub(super) const TABLES: u64 = 0x1000;
pub(super) const PAE_TABLES: u32 = 0x2800;
pub(super) const DIRECTORY: u64 = 0x9000;
pub(super) const GDT: u64 = 0x5000;
pub(super) const IDT_OF_32_BIT_CODE: u64 = 0x5800;
pub(super) const IDT: u64 = 0x6000;
const HANDLERS: u64 = 0x7000;
pub(super) const CODE: u64 = 0x8000;
const CODE_BYTES: usize = 512;
pub(super) const STACK: u64 = 0xaf00;
pub(super) const DATA: u64 = 0xb000;

/// Selectors of code and data for privilege level 3, of a task-state segment, and of 64-bit code for privilege level 3.
pub(super) const USER_CODE: u16 = 0x28 | 3;
pub(super) const USER_DATA: u16 = 0x30 | 3;
pub(super) const USER_CODE_64: u16 = 0x38 | 3;
pub(super) const TASK: u16 = 0x40;

#[rustfmt::skip]
const DESCRIPTORS: [u64; 14] = [
    // Null; code of 64 bits; data; code of 32 and of 16 bits.
    0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_9b00_0000_ffff, 0x0000_9b00_0000_ffff,
    // For privilege level 3: code of 32 bits, data, code of 64 bits.
    0x00cf_fb00_0000_ffff, 0x00cf_f300_0000_ffff, 0x00af_fb00_0000_ffff,
    // An available task-state segment of 16 bytes, a call gate and its second half, an LDT, an expand-down segment, code that is not there.
    0x0000_8900_b000_0067, 0, 0x0000_ec00_0018_8000, 0x0000_8200_5000_006f, 0x0040_f700_0000_0fff, 0x00cf_1b00_0000_ffff,
];

/// What all guests begin with.
#[derive(Debug)]
pub(super) struct Template(Vec<u8>);

impl Template {
    pub(super) fn new() -> Self {
        let mut template = Self(vec![0; BYTES]);
        // Real mode: far pointers.
        for vector in 0..256_u64 {
            let handler = 16 * (vector % 16);
            template.put(4 * vector, 4, handler | (HANDLERS >> 4) << 16);
            let gate = (HANDLERS + handler) & 0xffff | 0x18 << 16 | 0xee00 << 32;
            template.put(IDT_OF_32_BIT_CODE + 8 * vector, 8, gate);
            template.put(IDT + 16 * vector, 8, (HANDLERS + handler) & 0xffff | 8 << 16 | 0xee00 << 32);
        }
        // Four levels, the last of pages of 4 KiB, behind which comes a page of 2 MiB; and a page of 4 MiB for 32-bit paging. Under the
        // tables of PAE paging, reserved bits of the first level are 0.
        for (at, entry) in [(TABLES, 0x2007), (0x2000, 0x3007), (0x2800, 0x3001), (0x3000, 0x4007), (0x3008, 0x87)] {
            template.put(at, 8, entry);
        }
        for page in 0..64 {
            template.put(0x4000 + 8 * page, 8, ((page % (PAGES + 2)) << 12) | 7);
        }
        template.put(DIRECTORY, 4, 0x87);
        for (at, descriptor) in (GDT..).step_by(8).zip(DESCRIPTORS) {
            template.put(at, 8, descriptor);
        }
        // OUT with the vector, then IRET or IRETQ.
        for vector in 0..16 {
            template.put(HANDLERS + 16 * vector, 8, 0xcf48_00e6 | vector << 8);
        }
        // SS0:ESP0 and RSP0 of the task-state segment.
        template.put(DATA + 4, 8, 0x0010_0000_0000_0000 | STACK);
        template
    }

    fn put(&mut self, at: u64, bytes: usize, value: u64) {
        put(&mut self.0, at, bytes, value);
    }

    /// Fills `image` for one guest.
    pub(super) fn fill(&self, image: &mut [u8], random: &mut Random) {
        for (to, from) in image.chunks_mut(self.0.len()).zip([&self.0]) {
            to.copy_from_slice(from);
        }
        code::fill(part(image, CODE, CODE_BYTES), random);
        if random.below(3) == 0 {
            code::fill(part(image, HANDLERS, 256), random);
        }
        if random.below(2) == 0 {
            words(part(image, DATA + 0x1000, BYTES - 0xc000), random.next());
        }
        if random.below(4) == 0 {
            words(part(image, 0, 0x400), random.next());
        }
        if random.below(3) == 0 {
            for _ in 0..1 + random.below(8) {
                let at = random.below(CODE / 8) * 8;
                let value = read(image, at);
                put(image, at, 8, random.word(value));
            }
        }
    }
}

fn part(image: &mut [u8], at: u64, bytes: usize) -> &mut [u8] {
    let start = usize::try_from(at).unwrap_or(usize::MAX);
    image.get_mut(start..).and_then(|rest| rest.get_mut(..bytes)).unwrap_or_default()
}

fn put(image: &mut [u8], at: u64, bytes: usize, value: u64) {
    for (to, from) in part(image, at, bytes).iter_mut().zip(value.to_le_bytes()) {
        *to = from;
    }
}

fn read(image: &mut [u8], at: u64) -> u64 {
    part(image, at, 8).first_chunk().copied().map_or(0, u64::from_le_bytes)
}

/// Words of a simpler sequence: there are many.
fn words(bytes: &mut [u8], seed: u64) {
    let mut word = seed | 1;
    for chunk in bytes.chunks_mut(8) {
        word = word.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        for (to, from) in chunk.iter_mut().zip((word >> 8).to_le_bytes()) {
            *to = from;
        }
    }
}
