use super::SegmentError;
use crate::GuestMemory;
use crate::addr::Gpa;
use crate::event::Exception;
use crate::segment::{DescriptorTable, Segment, SegmentAccessRights, SegmentRegister};
use crate::state::CpuState;
use crate::testing::FakeMemory;

use SegmentRegister::{Cs, Ds, Fs, Ldtr, Ss, Tr};

const GDT: u64 = 0x1000;
const LDT: u64 = 0x1800;

/// Descriptors by index: null; code of 64 bits; data; code and data of privilege level 3; conforming code of level 0; data that is not
/// present; an LDT; a task-state segment of 16 bytes (its high half is the next); code of both sizes; a busy one of 16 bits; read-only data.
const DESCRIPTORS: [u64; 14] = [
    0,
    0x00af_9a00_0000_ffff,
    0x00cf_9200_0000_ffff,
    0x00af_fa00_0000_ffff,
    0x00cf_f200_0000_ffff,
    0x00cf_9e00_0000_ffff,
    0x00cf_1200_0000_ffff,
    0x0000_8200_1800_000f,
    0x1200_8934_5678_0067,
    0xffff_8000,
    0x00ef_9a00_0000_ffff,
    0x0000_8300_2000_002b,
    0x00cf_9000_0000_ffff,
    0x00cf_1a00_0000_ffff,
];

fn memory() -> FakeMemory {
    let memory = FakeMemory::new(0x3000);
    for (gpa, descriptor) in (GDT..).step_by(8).zip(DESCRIPTORS) {
        memory.write(Gpa::new(gpa), &descriptor.to_le_bytes()).unwrap();
    }
    // The second descriptor of the LDT: data of 16 bits at 12345H.
    memory.write(Gpa::new(LDT + 8), &0x0000_9201_2345_1fff_u64.to_le_bytes()).unwrap();
    memory
}

/// Protected mode without paging, so that the tables are where they seem.
fn protected() -> CpuState {
    CpuState { gdtr: DescriptorTable { base: GDT, limit: 14 * 8 - 1 }, ..CpuState::protected_mode(0, 0) }
}

/// The same as if in 64-bit mode.
fn long() -> CpuState {
    let state = protected();
    let efer = state.efer.with_lme(true).with_lma(true);
    CpuState { efer, cs: Segment::flat(8, SegmentAccessRights::CODE64), ..state }
}

fn load(state: &CpuState, register: SegmentRegister, selector: u16) -> Result<Segment, SegmentError> {
    state.load_segment(register, selector, &memory())
}

fn gp(code: u32) -> Result<Segment, SegmentError> {
    Err(SegmentError::Fault(Exception::general_protection(code)))
}

#[test]
fn descriptors_are_taken_apart_and_put_together() {
    for (descriptor, base, limit, rights) in [
        (0x00af_9b00_0000_ffff, 0, 0xffff_ffff, 0xa09b),
        (0x00cf_9300_0000_ffff, 0, 0xffff_ffff, 0xc093),
        (0x1240_9b34_5678_9abc, 0x1234_5678, 0x9abc, 0x409b),
        (0x128f_9334_5678_0000, 0x1234_5678, 0xf000_0fff, 0x8093),
        (0x0000_8200_1800_000f, 0x1800, 0xf, 0x82),
        (0xffff_ffff_ffff_ffff_u64, 0xffff_ffff, 0xffff_ffff, 0xf0ff),
    ] {
        let segment = Segment::from_descriptor(0x28, descriptor);
        let expected = Segment { selector: 0x28, base, limit, rights: SegmentAccessRights::from_bits(rights) };
        assert_eq!(segment, expected, "{descriptor:#x}");
        assert_eq!(segment.descriptor(), descriptor, "{descriptor:#x}");
    }
    let long = Segment::from_long_descriptor(0x40, 0x1200_8934_5678_0067, 0xffff_8000);
    assert_eq!((long.base, long.limit), (0xffff_8000_1234_5678, 0x67));
}

#[test]
fn segments_are_loaded_with_their_accessed_flag() {
    let (protected, long) = (protected(), long());
    assert_eq!(load(&protected, Ds, 0x10), Ok(Segment::flat(0x10, SegmentAccessRights::DATA32)));
    assert_eq!(load(&protected, Ss, 0x10), Ok(Segment::flat(0x10, SegmentAccessRights::DATA32)));
    assert_eq!(load(&long, Cs, 8), Ok(Segment::flat(8, SegmentAccessRights::CODE64)));
    // A return to privilege level 3.
    assert_eq!(load(&long, Cs, 0x1b), Ok(Segment::flat(0x1b, SegmentAccessRights::CODE64.with_dpl(3))));
    // Conforming code, at any level up to that.
    assert_eq!(load(&protected, Cs, 0x2b).map(|cs| (cs.selector, cs.rights.into_bits())), Ok((0x2b, 0xc09f)));
    // Readable code is data, too.
    assert_eq!(load(&protected, Fs, 8).map(|fs| fs.rights.into_bits()), Ok(0xa09b));
    let ldtr = load(&protected, Ldtr, 0x38).unwrap();
    assert_eq!((ldtr.base, ldtr.limit, ldtr.rights), (LDT, 15, SegmentAccessRights::LDT));
    let local = load(&CpuState { ldtr, ..protected }, Ds, 0xc).unwrap();
    assert_eq!((local.base, local.limit, local.rights.into_bits()), (0x1_2345, 0x1fff, 0x93));
    let tr = load(&long, Tr, 0x40).unwrap();
    assert_eq!((tr.base, tr.limit, tr.rights), (0xffff_8000_1234_5678, 0x67, SegmentAccessRights::BUSY_TSS));
    assert_eq!(
        load(&protected, Tr, 0x58).map(|tr| (tr.base, tr.rights.into_bits())),
        Ok((0x2000, 0x83)),
        "busy already"
    );
}

#[test]
fn what_a_processor_refuses_is_refused() {
    let (protected, long) = (protected(), long());
    let user = CpuState { ss: Segment::flat(0x23, SegmentAccessRights::DATA32.with_dpl(3)), ..protected };
    for (what, state, register, selector, expected) in [
        ("behind the end of the table", &protected, Ds, 0x70, gp(0x70)),
        ("no LDT", &CpuState { ldtr: Segment::null(0), ..protected }, Ds, 0xc, gp(0xc)),
        (
            "behind the end of the LDT",
            &CpuState { ldtr: load(&protected, Ldtr, 0x38).unwrap(), ..protected },
            Ds,
            0x14,
            gp(0x14),
        ),
        ("code in SS", &protected, Ss, 8, gp(8)),
        ("read-only data in SS", &protected, Ss, 0x60, gp(0x60)),
        ("SS of another level", &protected, Ss, 0x23, gp(0x20)),
        ("SS with another RPL", &protected, Ss, 0x13, gp(0x10)),
        ("data in CS", &protected, Cs, 0x10, gp(0x10)),
        ("code of another level", &long, Cs, 0xb, gp(8)),
        ("code of both sizes", &long, Cs, 0x50, gp(0x50)),
        ("data of level 0 at level 3", &user, Ds, 0x10, gp(0x10)),
        ("data of level 0 with RPL 3", &protected, Ds, 0x13, gp(0x10)),
        ("a system segment in DS", &protected, Ds, 0x38, gp(0x38)),
        ("no code", &protected, Cs, 3, gp(0)),
        ("no stack", &protected, Ss, 0, gp(0)),
        ("no task", &protected, Tr, 0, gp(0)),
        ("an LDT in TR", &protected, Tr, 0x38, gp(0x38)),
        ("a task in LDTR", &protected, Ldtr, 0x40, gp(0x40)),
        ("a local LDT", &protected, Ldtr, 0xc, gp(0xc)),
        ("a task of 16 bits", &long, Tr, 0x58, gp(0x58)),
    ] {
        assert_eq!(load(state, register, selector), expected, "{what}");
    }
    let not_present = |vector| Err(SegmentError::Fault(Exception { vector, error_code: Some(0x30) }));
    assert_eq!(load(&protected, Ds, 0x30), not_present(11));
    assert_eq!(load(&protected, Ss, 0x30), not_present(12));
    assert_eq!(load(&protected, Cs, 0x68), Err(SegmentError::Fault(Exception { vector: 11, error_code: Some(0x68) })));
    let lost = CpuState { gdtr: DescriptorTable { base: 0x9000, limit: 0xff }, ..protected };
    assert!(matches!(load(&lost, Ds, 0x10), Err(SegmentError::Table(_))));
}

#[test]
fn null_selectors_and_real_mode_need_no_table() {
    let (protected, long) = (protected(), long());
    assert_eq!(load(&protected, Ds, 0), Ok(Segment::null(0)));
    assert_eq!(load(&protected, Ds, 3), Ok(Segment::null(3)));
    assert_eq!(load(&protected, Ldtr, 0), Ok(Segment::null(0)));
    assert_eq!(load(&long, Ss, 0), Ok(Segment::null(0)));
    assert_eq!(load(&long, Ss, 3), gp(0));
    let real = CpuState::real_mode(0, 0);
    assert_eq!(load(&real, Ds, 0x1234), Ok(Segment::real_mode(0x1234, SegmentAccessRights::DATA16)));
    let big = CpuState { ds: Segment::flat(0, SegmentAccessRights::DATA32), ..real };
    let unreal = load(&big, Ds, 0x1234).unwrap();
    assert_eq!((unreal.base, unreal.limit), (0x1_2340, 0xffff_ffff), "limit and rights stay");
}
