extern crate std;

use core::cell::RefCell;
use std::collections::BTreeMap;

use super::{GuestAccess, GuestAccessKind, GuestFault, GuestPaging, Privilege};
use crate::GuestMemory;
use crate::access::Access;
use crate::addr::{Gpa, Gva, PageSize};
use crate::guest_memory::AccessError;
use crate::mapping::Translation;
use crate::protection::PageFaultErrorCode;
use crate::register::{Cr0, Cr4, Efer, Rflags};

/// Memory of which every byte is 0 that was not written, up to 256 MiB.
#[derive(Default)]
struct Memory {
    bytes: RefCell<BTreeMap<u64, u8>>,
    /// How often an exchange finds another value than it is told.
    races: RefCell<usize>,
}

const END: u64 = 0x1000_0000;

impl Memory {
    fn set(&self, at: u64, entry: u64) {
        self.write(Gpa::new(at), &entry.to_le_bytes()).unwrap();
    }

    fn get(&self, at: u64) -> u64 {
        let mut bytes = [0; 8];
        self.read(Gpa::new(at), &mut bytes).unwrap();
        u64::from_le_bytes(bytes)
    }

    fn exchange(&self, gpa: Gpa, old: &[u8], new: &[u8]) -> Result<bool, AccessError> {
        let mut found = std::vec![0; old.len()];
        self.read(gpa, &mut found)?;
        let mut races = self.races.borrow_mut();
        if *races > 0 {
            *races -= 1;
            return Ok(false);
        }
        if found == old {
            self.write(gpa, new)?;
        }
        Ok(found == old)
    }
}

impl GuestMemory for Memory {
    fn read(&self, gpa: Gpa, buffer: &mut [u8]) -> Result<(), AccessError> {
        for (at, byte) in (gpa.get()..).zip(buffer) {
            if at >= END {
                return Err(AccessError::NotMapped { gpa: Gpa::new(at) });
            }
            *byte = self.bytes.borrow().get(&at).copied().unwrap_or(0);
        }
        Ok(())
    }

    fn write(&self, gpa: Gpa, data: &[u8]) -> Result<(), AccessError> {
        for (at, byte) in (gpa.get()..).zip(data) {
            if at >= END {
                return Err(AccessError::NotMapped { gpa: Gpa::new(at) });
            }
            self.bytes.borrow_mut().insert(at, *byte);
        }
        Ok(())
    }

    fn compare_exchange_u32(&self, gpa: Gpa, old: u32, new: u32) -> Result<bool, AccessError> {
        self.exchange(gpa, &old.to_le_bytes(), &new.to_le_bytes())
    }

    fn compare_exchange_u64(&self, gpa: Gpa, old: u64, new: u64) -> Result<bool, AccessError> {
        self.exchange(gpa, &old.to_le_bytes(), &new.to_le_bytes())
    }

    fn translate(&self, _gpa: Gpa) -> Option<Translation> {
        None
    }
}

const P: u64 = 1;
const W: u64 = 2;
const U: u64 = 4;
const A: u64 = 0x20;
const D: u64 = 0x40;
const PS: u64 = 0x80;
const XD: u64 = 1 << 63;

fn long() -> GuestPaging {
    GuestPaging {
        cr0: Cr0::new().with_pe(true).with_pg(true).with_wp(true),
        cr3: 0x1018,
        cr4: Cr4::new().with_pae(true),
        efer: Efer::new().with_lme(true).with_lma(true).with_nxe(true),
        rflags: Rflags::new(),
        pkru: 0,
        pkrs: 0,
        address_width: 40,
        largest_page: PageSize::Size1G,
    }
}

/// Tables of 4 levels at 1000H to 4000H, and the page at 5000H for linear address 0x7f_c060_4000 + `last` in the entry.
fn tables(last: u64) -> Memory {
    let memory = Memory::default();
    memory.set(0x1000, 0x2000 | P | W | U);
    memory.set(0x2000 + 8 * 0x1ff, 0x3000 | P | W | U);
    memory.set(0x3000 + 8 * 3, 0x4000 | P | W | U);
    memory.set(0x4000 + 8 * 4, 0x5000 | last);
    memory
}

const AT: Gva = Gva::new(0x7f_c060_4123);

fn code(fault: Result<super::GuestTranslation, GuestFault>) -> u32 {
    match fault {
        Err(GuestFault::Page { gva: AT, error_code }) => error_code.into_bits(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_page_of_each_size_is_found() {
    let memory = tables(P | W | U);
    let found = long().translate(&memory, AT, GuestAccess::read(Privilege::User)).unwrap();
    assert_eq!((found.gpa, found.page_bytes, found.access), (Gpa::new(0x5123), 0x1000, Access::ALL));
    assert!(found.is_user && !found.is_global);
    memory.set(0x3000 + 8 * 3, 0x60_0000 | P | PS | 1 << 8 | XD | 9 << 59);
    let found = long().translate(&memory, AT, GuestAccess::read(Privilege::Supervisor)).unwrap();
    assert_eq!((found.gpa, found.page_bytes, found.access), (Gpa::new(0x60_4123), 0x20_0000, Access::READ));
    assert!(!found.is_user && found.is_global && found.protection_key == 9);
    memory.set(0x2000 + 8 * 0x1ff, 0x4000_0000 | P | PS);
    let found = long().translate(&memory, AT, GuestAccess::read(Privilege::Supervisor)).unwrap();
    assert_eq!((found.gpa, found.page_bytes), (Gpa::new(0x4060_4123), 0x4000_0000));
}

#[test]
fn five_levels_pae_and_32_bits_are_walked() {
    let memory = tables(P);
    memory.set(0x8000, 0x1000 | P);
    let five = GuestPaging { cr3: 0x8000, cr4: long().cr4.with_la57(true), ..long() };
    let read = GuestAccess::read(Privilege::Supervisor);
    assert_eq!(five.translate(&memory, AT, read).unwrap().gpa, Gpa::new(0x5123));
    let pae = GuestPaging { cr3: 0x8020, efer: Efer::new(), ..long() };
    memory.set(0x8020 + 8, 0x3000 | P);
    let at = Gva::new(0x4060_4abc);
    assert_eq!(pae.translate(&memory, at, read).unwrap().gpa, Gpa::new(0x5abc));
    // 4 MiB page 1 of the directory at A000H, and page 3 of the table at B000H.
    let small = GuestPaging { cr3: 0xa000, cr4: Cr4::new().with_pse(true), efer: Efer::new(), ..long() };
    memory.set(0xa004, 0x0080_0000 | 0x5 << 13 | P | PS);
    assert_eq!(small.translate(&memory, Gva::new(0x41_2345), read).unwrap().gpa, Gpa::new(0x5_0081_2345));
    memory.set(0xa008, 0xb000 | P);
    memory.set(0xb00c, 0xc000 | P);
    assert_eq!(small.translate(&memory, Gva::new(0x80_3345), read).unwrap().gpa, Gpa::new(0xc345));
    let none = GuestPaging { cr0: Cr0::new(), ..long() };
    assert_eq!(none.translate(&memory, Gva::new(0xf_0000_1234), read).unwrap().gpa, Gpa::new(0x1234));
}

#[test]
fn faults_have_the_error_codes_of_the_manual() {
    let (read, write, fetch) = (GuestAccessKind::Read, GuestAccessKind::Write, GuestAccessKind::Fetch);
    let (user, kernel) = (Privilege::User, Privilege::Supervisor);
    for (last, kind, privilege, expected) in [
        (0, read, kernel, 0),
        (0, write, user, 6),
        (P, read, user, 5),
        (P | U, write, user, 7),
        (P, write, kernel, 3),
        (P | U | W | XD, fetch, user, 0x15),
        (P | W | XD, fetch, kernel, 0x11),
        (P | W | 1 << 40, read, kernel, 9),
        (P | U | W | 1 << 51, write, user, 0xf),
        (0, fetch, user, 0x14),
    ] {
        let access = GuestAccess { kind, privilege };
        assert_eq!(code(long().translate(&tables(last), AT, access)), expected, "{last:#x} {access:?}");
    }
    let without_nx = GuestPaging { efer: long().efer.with_nxe(false), ..long() };
    assert_eq!(code(without_nx.translate(&tables(P | XD), AT, GuestAccess::fetch(kernel))), 9, "XD is reserved");
    assert_eq!(code(without_nx.translate(&tables(0), AT, GuestAccess::fetch(kernel))), 0, "I/D is not told");
    let memory = tables(P);
    memory.set(0x1000, 0x2000 | P | PS);
    assert_eq!(code(long().translate(&memory, AT, GuestAccess::read(kernel))), 9, "PS of level 4");
    memory.set(0x1000, 0x2000 | P);
    memory.set(0x2000 + 8 * 0x1ff, P | PS);
    let small = GuestPaging { largest_page: PageSize::Size2M, ..long() };
    assert_eq!(code(small.translate(&memory, AT, GuestAccess::read(kernel))), 9, "no pages of 1 GiB");
    memory.set(0x2000 + 8 * 0x1ff, P | PS | 1 << 29);
    assert_eq!(code(long().translate(&memory, AT, GuestAccess::read(kernel))), 9, "address of a large page");
}

#[test]
fn supervisors_are_kept_from_user_pages_as_cr0_and_cr4_say() {
    let memory = tables(P | U);
    let (read, write, fetch) = (
        GuestAccess::read(Privilege::Supervisor),
        GuestAccess::write(Privilege::Supervisor),
        GuestAccess::fetch(Privilege::Supervisor),
    );
    let paging = long();
    assert!(paging.translate(&memory, AT, read).is_ok() && paging.translate(&memory, AT, fetch).is_ok());
    assert_eq!(code(paging.translate(&memory, AT, write)), 3);
    let lax = GuestPaging { cr0: paging.cr0.with_wp(false), ..paging };
    assert!(lax.translate(&memory, AT, write).is_ok());
    let smap = GuestPaging { cr4: paging.cr4.with_smap(true).with_smep(true), ..lax };
    assert_eq!(code(smap.translate(&memory, AT, read)), 1);
    assert_eq!(code(smap.translate(&memory, AT, write)), 3);
    assert_eq!(code(smap.translate(&memory, AT, fetch)), 0x11);
    let lifted = GuestPaging { rflags: Rflags::new().with_ac(true), ..smap };
    assert!(lifted.translate(&memory, AT, read).is_ok() && lifted.translate(&memory, AT, write).is_ok());
    let implicit = GuestAccess { privilege: Privilege::Implicit, ..read };
    assert_eq!(code(lifted.translate(&memory, AT, implicit)), 1, "AC does not lift it");
}

#[test]
fn protection_keys_and_shadow_stacks_are_looked_at() {
    let memory = tables(P | W | U | 3 << 59);
    let keys = GuestPaging { cr4: long().cr4.with_pke(true), pkru: 2 << 6, ..long() };
    let user = Privilege::User;
    assert!(keys.translate(&memory, AT, GuestAccess::read(user)).is_ok());
    assert_eq!(code(keys.translate(&memory, AT, GuestAccess::write(user))), 0x27);
    let none = GuestPaging { pkru: 1 << 6, ..keys };
    assert_eq!(code(none.translate(&memory, AT, GuestAccess::read(Privilege::Supervisor))), 0x21);
    assert!(none.translate(&memory, AT, GuestAccess::fetch(user)).is_ok());
    let lax = GuestPaging { cr0: keys.cr0.with_wp(false), ..keys };
    assert!(lax.translate(&memory, AT, GuestAccess::write(Privilege::Supervisor)).is_ok());
    let stack = |kind| GuestAccess { kind, privilege: user };
    let push = stack(GuestAccessKind::ShadowStackWrite);
    assert_eq!(code(long().translate(&tables(P | W | U | D), AT, push)), 0x47, "no shadow stack");
    assert!(long().translate(&tables(P | U | D), AT, push).is_ok());
    assert_eq!(code(long().translate(&tables(P | D), AT, stack(GuestAccessKind::ShadowStackRead))), 0x45);
    let supervisor = GuestAccess { kind: GuestAccessKind::ShadowStackRead, privilege: Privilege::Supervisor };
    assert!(long().translate(&tables(P | D), AT, supervisor).is_ok());
    assert_eq!(code(long().translate(&tables(P | U | D), AT, supervisor)), 0x41);
}

#[test]
fn addresses_and_tables_that_do_not_exist_are_told() {
    let read = GuestAccess::read(Privilege::Supervisor);
    let beyond = Gva::new(0x8000_0000_0000);
    let paging = long();
    assert_eq!(paging.translate(&tables(P), beyond, read), Err(GuestFault::NonCanonical { gva: beyond }));
    let memory = tables(P);
    memory.set(0x3000 + 8 * 3, END | P);
    let error = AccessError::NotMapped { gpa: Gpa::new(END + 0x20) };
    assert_eq!(paging.translate(&memory, AT, read), Err(GuestFault::Memory { gva: AT, error }));
}

#[test]
fn flags_are_set_as_a_processor_does() {
    let memory = tables(P | W | U);
    let paging = long();
    assert!(paging.translate(&memory, AT, GuestAccess::write(Privilege::User)).is_ok());
    assert_eq!(memory.get(0x1000), 0x2000 | P | W | U, "nothing is changed");
    *memory.races.borrow_mut() = 3;
    paging.access(&memory, AT, GuestAccess::read(Privilege::User)).unwrap();
    let marked = [memory.get(0x1000), memory.get(0x2ff8), memory.get(0x3018), memory.get(0x4020)];
    assert_eq!(marked, [0x2027, 0x3027, 0x4027, 0x5027]);
    paging.access(&memory, AT, GuestAccess::write(Privilege::User)).unwrap();
    assert_eq!((memory.get(0x3018), memory.get(0x4020)), (0x4000 | P | W | U | A, 0x5000 | P | W | U | A | D));
    memory.set(0x4020, 0x5000 | P);
    assert_eq!(code(paging.access(&memory, AT, GuestAccess::read(Privilege::User))), 5);
    assert_eq!(memory.get(0x4020), 0x5000 | P, "a refused access sets nothing");
    *memory.races.borrow_mut() = usize::MAX;
    let result = paging.access(&memory, AT, GuestAccess::read(Privilege::Supervisor));
    assert_eq!(result, Err(GuestFault::Contended { gva: AT }));
}

#[test]
fn what_crosses_pages_is_copied_as_far_as_it_goes() {
    let memory = tables(P | W | U);
    memory.set(0x4028, 0x9000 | P | W | U);
    let paging = long();
    let start = Gva::new(0x7f_c060_4ffd);
    paging.write(&memory, start, Privilege::User, b"abcdef").unwrap();
    assert_eq!(memory.get(0x9000) & 0xff_ffff, u64::from_le_bytes(*b"def\0\0\0\0\0"));
    let mut bytes = [0; 6];
    paging.read(&memory, start, Privilege::User, &mut bytes).unwrap();
    assert_eq!(&bytes, b"abcdef");
    memory.set(0x4028, 0);
    let error_code = PageFaultErrorCode::new().with_us(true);
    let fault = paging.read(&memory, start, Privilege::User, &mut bytes).unwrap_err();
    assert_eq!(fault, GuestFault::Page { gva: Gva::new(0x7f_c060_5000), error_code });
    assert_eq!(fault.exception().unwrap().1, Some(0x7f_c060_5000));
}
