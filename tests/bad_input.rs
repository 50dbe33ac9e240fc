//! Bad input gives a typed error with the value in it, and the object works on.
#![expect(unsafe_code, reason = "makes frames and guest memory from the heap")]
#![expect(clippy::unwrap_used, reason = "a test")]

use core::alloc::Layout;
use core::ptr::NonNull;
use std::alloc::alloc_zeroed;

use x86_virt::ept::{EptCapabilities, EptFormat};
use x86_virt::npt::{NptFormat, Pat};
use x86_virt::svm::{self, RawCpuid};
use x86_virt::vmx::{self, RawCapabilities};
use x86_virt::{
    Access, AddressSpace, DirectMap, DonateError, Format, FramePool, Gpa, GuestRam, GuestRamError, Hpa, MapError,
    OutOfFrames, Processor, Root, StateError, SwitchedMsr,
};

/// Where the frames seem to be.
const BASE: Hpa = Hpa::new(0x100_0000);
const FRAMES: usize = 16;
type Pool = FramePool<FRAMES>;

/// 32 frames of memory for a test: 16 for the pool, and 16 for the guest.
fn memory() -> (Pool, GuestRam<'static>) {
    let layout = Layout::from_size_align(32 * 4096, 4096).unwrap();
    // SAFETY: the size is not zero. The memory is leaked.
    let start = NonNull::new(unsafe { alloc_zeroed(layout) }).unwrap();
    let offset = u64::try_from(start.as_ptr().expose_provenance()).unwrap().wrapping_sub(BASE.get());
    // SAFETY: the 32 frames from `BASE` on are at this offset, and are used through the pool and the guest memory only.
    let map = unsafe { DirectMap::new(offset, at(32)) };
    // SAFETY: inside the memory.
    let upper_half = unsafe { start.add(16 * 4096) };
    // SAFETY: the pool does not get it.
    let ram = unsafe { GuestRam::new(upper_half, at(16), 16 * 4096) }.unwrap();
    (Pool::new(BASE, map).with_address_width(36), ram)
}

/// The frame of that number.
fn at(frame: u64) -> Hpa {
    Hpa::new(BASE.get() + frame * 4096)
}

fn page(number: u64) -> core::ops::Range<Gpa> {
    Gpa::new(number * 4096)..Gpa::new((number + 1) * 4096)
}

fn donate(pool: &Pool, frames: core::ops::Range<u64>) -> Result<(), DonateError> {
    // SAFETY: memory of the test, see `memory`.
    unsafe { pool.donate(at(frames.start)..at(frames.end)) }
}

fn ept() -> EptFormat {
    EptFormat::new(EptCapabilities::from_bits(0x3_4141), 36).unwrap()
}

fn npt() -> NptFormat {
    NptFormat::new(Pat::RESET, 36).unwrap().with_1g_pages()
}

#[test]
fn no_virtualization_is_named() {
    let error = svm::Capabilities::new(RawCpuid::default()).unwrap_err();
    assert_eq!(error, svm::Unsupported::NoSvm);
    // A process of the host cannot enter either; what it may ask works.
    let _ = Processor::detect().vendor();
    let _: Option<Root<'static, &Pool>> = None;
}

#[test]
fn what_nested_paging_lacks_is_named() {
    let without_ept = vmx::Capabilities::from_raw(RawCapabilities::default());
    assert_eq!(without_ept.ept_format().unwrap_err(), vmx::Unsupported::Ept);
    let raw = RawCapabilities { ept_vpid: 0x3_4141, physical_address_width: 36, ..RawCapabilities::default() };
    assert!(vmx::Capabilities::from_raw(raw).ept_format().is_ok());
    let svm_without_npt = RawCpuid { leaf_8000_0001_ecx: 4, leaf_8000_000a_ebx: 16, ..RawCpuid::default() };
    assert!(matches!(svm::Capabilities::new(svm_without_npt), Err(svm::Unsupported::NoNestedPaging { .. })));
    assert!(svm::Capabilities::new(RawCpuid { leaf_8000_000a_edx: 1, ..svm_without_npt }).is_ok());
}

#[test]
fn a_frame_is_handed_over_once() {
    let (pool, _) = memory();
    donate(&pool, 2..4).unwrap();
    assert_eq!(donate(&pool, 3..6), Err(DonateError::AlreadyDonated { hpa: at(3) }));
    assert_eq!(pool.donated(), 2);
    // SAFETY: refused.
    let misaligned = unsafe { pool.donate(Hpa::new(0x100_4001)..at(6)) };
    assert_eq!(misaligned, Err(DonateError::Misaligned { hpa: Hpa::new(0x100_4001) }));
    assert_eq!(donate(&pool, 15..17), Err(DonateError::Outside { hpa: at(16) }));
    // SAFETY: refused.
    let beyond = unsafe { pool.donate(Hpa::new(1 << 36)..Hpa::new((1 << 36) + 4096)) };
    assert_eq!(beyond, Err(DonateError::BeyondWidth { hpa: Hpa::new(1 << 36), width: 36 }));
    donate(&pool, 4..6).unwrap();
    assert_eq!((pool.donated(), pool.free_frames()), (4, 4));
}

fn bad_ranges<F: Format>(format: F) {
    let (pool, ram) = memory();
    donate(&pool, 0..16).unwrap();
    let space = AddressSpace::new(format, &pool).unwrap();
    let map = |range, offset| space.map(range, &ram, offset, Access::ALL);

    let misaligned = map(Gpa::new(0x1001)..Gpa::new(0x2000), 0);
    assert_eq!(misaligned, Err(MapError::MisalignedGuest { gpa: Gpa::new(0x1001) }));
    let ram_misaligned = map(page(1), 0x10);
    assert_eq!(ram_misaligned, Err(MapError::Ram(GuestRamError::Misaligned { hpa: Hpa::new(at(16).get() + 0x10) })));
    let outside = map(page(1), 16 * 4096);
    assert_eq!(outside, Err(MapError::Ram(GuestRamError::Outside { offset: 0x1_0000, bytes: 4096 })));
    let high = Gpa::new(1 << 52);
    assert!(matches!(map(high..Gpa::new(high.get() + 4096), 0), Err(MapError::BeyondGuestWidth { .. })));
    // SAFETY: refused.
    let host = unsafe { space.map_physical(page(1), Hpa::new(1 << 36), Access::ALL) };
    assert!(matches!(host, Err(MapError::BeyondHostWidth { .. })), "{host:?}");
    assert_eq!(space.frames_in_use(), 1, "no error has left a table");

    map(page(3), 0).unwrap();
    let overlap = map(Gpa::new(0x2000)..Gpa::new(0x5000), 0x1000);
    assert_eq!(overlap, Err(MapError::AlreadyMapped { gpa: Gpa::new(0x3000), level: 1 }));
    assert_eq!(space.translate(Gpa::new(0x2000)), None);
    assert_eq!(space.translate(Gpa::new(0x3004)).unwrap().hpa, Hpa::new(at(16).get() + 4));
    assert_eq!(space.unmap(page(7)).unwrap_err(), MapError::NotMapped { gpa: Gpa::new(0x7000), level: 1 });
    map(page(2), 0x1000).unwrap();
    assert_eq!(space.translate(Gpa::new(0x2000)).unwrap().hpa, at(17));
}

#[test]
fn bad_ranges_are_refused_with_the_address() {
    bad_ranges(ept());
    bad_ranges(npt());
}

fn without_frames<F: Format>(format: F) {
    let (pool, ram) = memory();
    assert_eq!(AddressSpace::new(format, &pool).unwrap_err(), OutOfFrames { count: 1 });
    for frames in 0..3 {
        donate(&pool, frames..frames + 1).unwrap();
        let space = AddressSpace::new(format, &pool).unwrap();
        let error = space.map(page(1), &ram, 0, Access::ALL).unwrap_err();
        assert!(matches!(error, MapError::OutOfFrames(_)), "{error:?}");
        assert_eq!(space.translate(Gpa::new(0x1000)), None);
        assert_eq!(space.frames_in_use(), 1);
    }
    donate(&pool, 3..4).unwrap();
    let space = AddressSpace::new(format, &pool).unwrap();
    space.map(page(1), &ram, 0, Access::ALL).unwrap();
    assert_eq!(space.frames_in_use(), 4);
    drop(space);
    assert_eq!(pool.free_frames(), 4);
}

#[test]
fn running_out_of_frames_changes_nothing() {
    without_frames(ept());
    without_frames(npt());
}

#[test]
fn addresses_that_are_not_canonical_are_named() {
    let error = SwitchedMsr::KernelGsBase.check(0x8000_0000_0000, 48).unwrap_err();
    assert_eq!(error, StateError::NonCanonical { register: "KERNEL_GS_BASE", value: 0x8000_0000_0000 });
    assert_eq!(error.to_string(), "KERNEL_GS_BASE = 0x800000000000 is not canonical");
    assert!(SwitchedMsr::KernelGsBase.check(0xffff_8000_0000_0000, 48).is_ok());
}
