//! Reads and writes of guest memory, across pages and permissions, against an array of bytes.
#![no_main]

use fuzz::machine::{FRAMES, RAM_BYTES, pool, ram};
use libfuzzer_sys::fuzz_target;
use x86_virt::ept::EptFormat;
use x86_virt::{Access, AccessError, AddressSpace, Gpa, Mapping};

/// Pages of guest-physical memory that may be mapped.
const PAGES: u64 = 16;
const PAGE: u64 = 4096;

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Step {
    Map { page: u8, to: u8, pages: u8, mapping: Mapping },
    Unmap { page: u8 },
    Protect { page: u8, access: Access },
    Read { at: Address, bytes: u16 },
    Write { at: Address, data: Vec<u8>, repeat: u8 },
    WriteHost { at: u16, data: [u8; 3] },
}

/// A guest-physical address, most often in a page that may be mapped.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Address {
    Inside(u16),
    Any(u64),
}

impl Address {
    fn get(self) -> u64 {
        match self {
            Self::Inside(address) => u64::from(address),
            Self::Any(address) => address,
        }
    }
}

struct Model {
    /// Offset in the guest memory, and what is allowed.
    pages: [Option<(u64, Access)>; 16],
    ram: Vec<u8>,
}

impl Model {
    /// Where in the guest memory the byte at `gpa` is, if `access` to it is allowed.
    fn locate(&self, gpa: u64, access: Access) -> Result<usize, AccessError> {
        let page = usize::try_from(gpa / PAGE).ok().and_then(|page| self.pages.get(page)).copied().flatten();
        let Some((offset, allowed)) = page else { return Err(AccessError::NotMapped { gpa: Gpa::new(gpa) }) };
        if !allowed.contains(access) {
            return Err(AccessError::Denied { gpa: Gpa::new(gpa), allowed });
        }
        Ok(usize::try_from(offset + gpa % PAGE).unwrap_or(usize::MAX))
    }

    /// Locates bytes one by one, as many as are allowed.
    fn walk(&self, gpa: u64, bytes: usize, access: Access) -> (Vec<usize>, Result<(), AccessError>) {
        let mut found = Vec::new();
        for gpa in (gpa..=u64::MAX).take(bytes) {
            match self.locate(gpa, access) {
                Ok(at) => found.push(at),
                Err(error) => return (found, Err(error)),
            }
        }
        (found, Ok(()))
    }
}

fn page(number: u8) -> core::ops::Range<Gpa> {
    let start = u64::from(number) % PAGES * PAGE;
    Gpa::new(start)..Gpa::new(start + PAGE)
}

fn slot(number: u8) -> usize {
    usize::from(number) % 16
}

fuzz_target!(|input: (EptFormat, Vec<Step>)| {
    let (format, steps) = input;
    let (pool, ram) = (pool(FRAMES), ram());
    let Ok(space) = AddressSpace::new(format, &pool) else { panic!("no frame for the root") };
    let bytes = usize::try_from(RAM_BYTES).unwrap_or_default();
    let mut model = Model { pages: [None; 16], ram: vec![0; bytes] };
    for step in steps.into_iter().take(64) {
        match step {
            Step::Map { page: first, to, pages, mapping } => {
                let (first, count) = (slot(first), usize::from(pages % 4) + 1);
                let end = (first + count).min(16);
                let offset = u64::from(to) % 8 * PAGE;
                let address = |page: usize| Gpa::new(u64::try_from(page).unwrap_or_default() * PAGE);
                if space.map(address(first)..address(end), &ram, offset, mapping).is_ok() {
                    for (slot, offset) in model.pages.iter_mut().take(end).skip(first).zip((offset..).step_by(4096)) {
                        assert_eq!(slot.replace((offset, mapping.access)), None, "mapped twice");
                    }
                }
            }
            Step::Unmap { page: number } => {
                let unmapped = space.unmap(page(number)).map(|token| token.at_next_entry());
                let was = model.pages.get_mut(slot(number)).and_then(Option::take);
                assert_eq!(unmapped.is_ok(), was.is_some());
            }
            Step::Protect { page: number, access } => {
                let changed = space.protect(page(number), access).map(|token| token.at_next_entry());
                if changed.is_ok() {
                    let slot = model.pages.get_mut(slot(number)).and_then(Option::as_mut);
                    slot.unwrap_or_else(|| panic!("page {number} was not mapped")).1 = access;
                }
            }
            Step::Read { at, bytes } => {
                let mut buffer = vec![0xa5; usize::from(bytes % 0x3000)];
                let result = space.read(Gpa::new(at.get()), &mut buffer);
                let (places, expected) = model.walk(at.get(), buffer.len(), Access::READ);
                assert_eq!(result, expected);
                // What is below the address that cannot be read has been copied, and nothing else.
                let read = places.iter().map(|&place| model.ram.get(place).copied());
                assert!(buffer.iter().copied().map(Some).take(places.len()).eq(read));
                assert!(buffer.iter().skip(places.len()).all(|&byte| byte == 0xa5));
            }
            Step::Write { at, data, repeat } => {
                let data = data.repeat(usize::from(repeat) + 1);
                let data = data.get(..0x3000).unwrap_or(&data);
                let result = space.write(Gpa::new(at.get()), data);
                let (places, expected) = model.walk(at.get(), data.len(), Access::WRITE);
                assert_eq!(result, expected);
                for (place, byte) in places.into_iter().zip(data) {
                    model.ram.get_mut(place).map(|slot| *slot = *byte).unwrap_or_default();
                }
            }
            Step::WriteHost { at, data } => {
                let inside = u64::from(at) + 3 <= RAM_BYTES;
                assert_eq!(ram.write(u64::from(at), &data).is_ok(), inside);
                if inside {
                    model.ram.iter_mut().skip(usize::from(at)).zip(data).for_each(|(slot, byte)| *slot = byte);
                }
            }
        }
    }
    let mut all = vec![0; bytes];
    assert_eq!(ram.read(0, &mut all), Ok(()));
    assert!(all == model.ram, "the guest memory and the array differ");
});
