//! Reads and writes of guest memory, across pages and permissions, against an array of bytes.
#![no_main]

use core::ops::Range;

use fuzz::machine::{RAM_BYTES, pool, ram};
use libfuzzer_sys::fuzz_target;
use x86_virt::ept::EptFormat;
use x86_virt::{Access, AccessError, AddressSpace, Gpa, Mapping};

/// Pages of guest-physical memory that may be mapped.
const PAGES: u64 = 16;
const PAGE: u64 = 4096;
/// Frames for tables: more than there can be tables.
const TABLES: usize = 16;

#[derive(Clone, Debug, arbitrary::Arbitrary)]
enum Step {
    Map { page: u8, to: u8, pages: u8, mapping: Mapping },
    Unmap { page: u8 },
    Protect { page: u8, access: Access },
    Read { at: Address, length: Length },
    Write { at: Address, first: u8, length: Length },
    WriteHost { at: u16, data: [u8; 3] },
}

/// A guest-physical address, most often in a page that may be mapped.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Address {
    Inside(u16),
    /// Around the end of a page.
    Border(u8, i8),
    Any(u64),
}

impl Address {
    fn get(self) -> u64 {
        match self {
            Self::Inside(address) => u64::from(address),
            Self::Border(page, offset) => (u64::from(page) % PAGES * PAGE).wrapping_add_signed(offset.into()),
            Self::Any(address) => address,
        }
    }
}

/// How many bytes: few, for all that is slow here is done byte by byte, and sometimes more than a page.
#[derive(Clone, Copy, Debug, arbitrary::Arbitrary)]
enum Length {
    Short(u8),
    AboutAPage(i8),
}

impl Length {
    fn get(self) -> usize {
        match self {
            Self::Short(bytes) => usize::from(bytes),
            Self::AboutAPage(more) => 4096_usize.wrapping_add_signed(more.into()),
        }
    }
}

const RAM: usize = 4 * 4096;

const _: () = assert!(RAM_BYTES == 4 * 4096);

struct Model {
    /// Offset in the guest memory, and what is allowed.
    pages: [Option<(u64, Access)>; 16],
    ram: [u8; RAM],
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

    /// Locates pages, or parts of them, one by one, as many as are allowed.
    fn walk(&self, mut gpa: u64, bytes: usize, access: Access) -> (Vec<Range<usize>>, Result<(), AccessError>) {
        let mut found = Vec::new();
        let mut left = bytes;
        while left > 0 {
            let in_page = usize::try_from(PAGE - gpa % PAGE).unwrap_or(left).min(left);
            match self.locate(gpa, access) {
                Ok(at) => found.push(at..at + in_page),
                Err(error) => return (found, Err(error)),
            }
            left -= in_page;
            // Behind the last address nothing is mapped.
            gpa = gpa.saturating_add(u64::try_from(in_page).unwrap_or(u64::MAX));
        }
        (found, Ok(()))
    }
}

/// Bytes of which no two next to each other are the same, nor those at the same place in two pages.
static PATTERN: [u8; 8192] = {
    let mut pattern = [0; 8192];
    let (mut rest, mut next) = (pattern.as_mut_slice(), 0);
    while let Some((first, more)) = rest.split_first_mut() {
        *first = next;
        next = if next == 250 { 0 } else { next + 1 };
        rest = more;
    }
    pattern
};

fn page(number: u8) -> Range<Gpa> {
    let start = u64::from(number) % PAGES * PAGE;
    Gpa::new(start)..Gpa::new(start + PAGE)
}

fn slot(number: u8) -> usize {
    usize::from(number) % 16
}

fuzz_target!(|input: (EptFormat, Vec<Step>)| {
    let (format, steps) = input;
    let (pool, ram) = (pool(TABLES), ram());
    let Ok(space) = AddressSpace::new(format, &pool) else { panic!("no frame for the root") };
    let mut model = Model { pages: [None; 16], ram: [0; RAM] };
    for step in steps.into_iter().take(24) {
        match step {
            Step::Map { page: first, to, pages, mapping } => {
                let (first, count) = (slot(first), usize::from(pages % 4) + 1);
                let end = (first + count).min(16);
                let offset = u64::from(to) % 4 * PAGE;
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
            Step::Read { at, length } => {
                let mut buffer = vec![0xa5; length.get()];
                let result = space.read(Gpa::new(at.get()), &mut buffer);
                let (places, expected) = model.walk(at.get(), buffer.len(), Access::READ);
                assert_eq!(result, expected);
                // What is below the address that cannot be read has been copied, and nothing else.
                let mut rest = buffer.as_slice();
                for place in places {
                    let (read, more) = rest.split_at(place.len());
                    assert_eq!(Some(read), model.ram.get(place));
                    rest = more;
                }
                assert!(rest.iter().all(|&byte| byte == 0xa5));
            }
            Step::Write { at, first, length } => {
                let first = usize::from(first);
                let data = PATTERN.get(first..first + length.get()).unwrap_or_default();
                let result = space.write(Gpa::new(at.get()), data);
                let (places, expected) = model.walk(at.get(), data.len(), Access::WRITE);
                assert_eq!(result, expected);
                let mut rest = data;
                for place in places {
                    let (written, more) = rest.split_at(place.len());
                    model.ram.get_mut(place).map(|slots| slots.copy_from_slice(written)).unwrap_or_default();
                    rest = more;
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
    let mut all = [0; RAM];
    assert_eq!(ram.read(0, &mut all), Ok(()));
    assert!(all == model.ram, "the guest memory and the array differ");
});
