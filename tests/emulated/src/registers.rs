//! Registers of the host.
#![expect(unsafe_code, reason = "reads and writes registers of the host")]

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::arch::asm;

use x86::msr::{rdmsr, wrmsr};

use crate::feature::{Feature, has};

/// Reads a register by MOV.
macro_rules! read {
    ($register:literal) => {{
        let value: u64;
        // SAFETY: tests run at privilege level 0, where reading the register is allowed and has no effect.
        unsafe { asm!(concat!("mov {}, ", $register), out(reg) value, options(nomem, nostack, preserves_flags)) };
        value
    }};
}

/// Writes a register by MOV.
macro_rules! write {
    ($register:literal, $value:expr) => {{
        let value: u64 = $value;
        // SAFETY: tests run at privilege level 0, and write only values that their own code works with.
        unsafe { asm!(concat!("mov ", $register, ", {}"), in(reg) value, options(nostack, preserves_flags)) };
    }};
}

/// MSRs that host and guest each have.
const MSRS: [(&str, u32, u64); 13] = [
    // The second and third memory type are not used by any page.
    ("PAT", x86::msr::IA32_PAT, 0x0007_0406_0001_0406),
    ("STAR", x86::msr::IA32_STAR, 0x0010_0008_1234_5678),
    ("LSTAR", x86::msr::IA32_LSTAR, 0x0000_1111_2222_3333),
    ("CSTAR", x86::msr::IA32_CSTAR, 0xffff_8111_2222_3333),
    ("SFMASK", x86::msr::IA32_FMASK, 0x4_7700),
    ("SYSENTER_CS", x86::msr::IA32_SYSENTER_CS, 0x8),
    ("SYSENTER_ESP", x86::msr::IA32_SYSENTER_ESP, 0x0000_5555_6666_7777),
    ("SYSENTER_EIP", x86::msr::IA32_SYSENTER_EIP, 0xffff_9999_8888_7777),
    ("FS_BASE", x86::msr::IA32_FS_BASE, 0x0000_1234_5678_9abc),
    ("GS_BASE", x86::msr::IA32_GS_BASE, 0xffff_cba9_8765_4321),
    ("KERNEL_GS_BASE", x86::msr::IA32_KERNEL_GSBASE, 0x0000_2468_1357_9bdf),
    // SCE, beside what it is.
    ("EFER", x86::msr::IA32_EFER, 1),
    // LBR, where the processor takes it.
    ("DEBUGCTL", x86::msr::IA32_DEBUGCTL, 1),
];

fn msr(number: u32) -> u64 {
    // SAFETY: every processor with 64-bit mode has the MSRs in the list; emulators give 0 for DEBUGCTL where they have none.
    unsafe { rdmsr(number) }
}

fn set_msr(number: u32, value: u64) {
    // SAFETY: the host uses no system calls, no FS and no GS, and works with any of these values.
    unsafe { wrmsr(number, value) };
}

/// Base and limit as SGDT and SIDT store them.
#[derive(Clone, Copy, Default)]
#[repr(C, packed(2))]
struct TableImage {
    limit: u16,
    base: u64,
}

fn gdtr() -> TableImage {
    let mut image = TableImage::default();
    // SAFETY: SGDT stores ten bytes.
    unsafe { asm!("sgdt [{}]", in(reg) &raw mut image, options(nostack, preserves_flags)) };
    image
}

fn idtr() -> TableImage {
    let mut image = TableImage::default();
    // SAFETY: SIDT stores ten bytes.
    unsafe { asm!("sidt [{}]", in(reg) &raw mut image, options(nostack, preserves_flags)) };
    image
}

fn set_gdtr(image: TableImage) {
    // SAFETY: the callers' tables have the descriptors of all selectors in use.
    unsafe { asm!("lgdt [{}]", in(reg) &raw const image, options(readonly, nostack, preserves_flags)) };
}

/// The limit of the segment in the local descriptor table that [`Marked`] makes, or 0: it tells the hidden part of LDTR.
fn local_segment_limit() -> u64 {
    let limit: u64;
    // SAFETY: LSL only looks a descriptor up.
    unsafe {
        asm!("xor {limit:e}, {limit:e}", "lsl {limit:e}, {selector:e}", selector = in(reg) u32::from(IN_LDT), limit = out(reg) limit, options(nostack));
    }
    limit
}

fn xcr0() -> u64 {
    if read!("cr4") & OSXSAVE == 0 {
        return 0;
    }
    let (low, high): (u32, u32);
    // SAFETY: CR4.OSXSAVE is 1.
    unsafe { asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") high, options(nomem, nostack, preserves_flags)) };
    u64::from(high) << 32 | u64::from(low)
}

const PGE: u64 = 1 << 7;
const DE: u64 = 1 << 3;
const MCE: u64 = 1 << 6;
const PCIDE: u64 = 1 << 17;
const OSXSAVE: u64 = 1 << 18;

/// All registers of the host that an entry and an exit may change, by name.
pub(crate) fn capture() -> Vec<(&'static str, u64)> {
    let selector = |read: u64| read & 0xffff;
    let (gdtr, idtr) = (gdtr(), idtr());
    // SAFETY: privilege level 0.
    let tr = unsafe { x86::task::tr() }.bits();
    let ldtr: u64;
    // SAFETY: reading LDTR has no effect.
    unsafe { asm!("sldt {:e}", out(reg) ldtr, options(nomem, nostack, preserves_flags)) };
    let mut all = Vec::from([
        ("CR0", read!("cr0")),
        ("CR3", read!("cr3")),
        ("CR4", read!("cr4")),
        ("CR8", read!("cr8")),
        ("DR0", read!("dr0")),
        ("DR1", read!("dr1")),
        ("DR2", read!("dr2")),
        ("DR3", read!("dr3")),
        ("DR6", read!("dr6")),
        ("DR7", read!("dr7")),
        ("XCR0", xcr0()),
        ("GDTR base", gdtr.base),
        ("GDTR limit", u64::from(gdtr.limit)),
        ("IDTR base", idtr.base),
        ("IDTR limit", u64::from(idtr.limit)),
        ("TR", u64::from(tr)),
        ("LDTR", selector(ldtr)),
        ("limit of a segment in the LDT", local_segment_limit()),
        ("CS", selector(read!("cs"))),
        ("SS", selector(read!("ss"))),
        ("DS", selector(read!("ds"))),
        ("ES", selector(read!("es"))),
        ("FS", selector(read!("fs"))),
        ("GS", selector(read!("gs"))),
    ]);
    all.extend(MSRS.iter().map(|(name, number, _)| (*name, msr(*number))));
    all
}

/// Selectors in the table of [`Marked`]: after the 19 descriptors of `machine`.
const LDT: u16 = 19 * 8;
/// With requested privilege level 3.
const USER_DATA: u16 = (21 * 8) | 3;
/// The second descriptor of the local table.
const IN_LDT: u16 = 8 | 4;
const DATA: u16 = 0x10;

/// Descriptor tables with an LDT and a data segment for privilege level 3.
struct Tables {
    gdt: [u64; 22],
    ldt: [u64; 2],
}

/// Registers of the host with values that tell them from anything a guest or a VM exit leaves, until it is dropped.
pub(crate) struct Marked {
    before: Vec<(&'static str, u64)>,
    gdtr: TableImage,
    _tables: Box<Tables>,
}

impl Marked {
    pub(crate) fn new() -> Self {
        let before = capture();
        let gdtr = gdtr();
        let mut tables = Box::new(tables(gdtr));
        let ldt = local_table(u64::try_from((&raw const tables.ldt).expose_provenance()).unwrap_or(0));
        // Flat data for privilege level 3, accessed already.
        let extra = [ldt, [0x00cf_f300_0000_ffff, 0]].concat();
        for (slot, descriptor) in tables.gdt.iter_mut().skip(19).zip(extra) {
            *slot = descriptor;
        }
        let base = (&raw const tables.gdt).expose_provenance();
        set_gdtr(TableImage { limit: 22 * 8 - 1, base: u64::try_from(base).unwrap_or(0) });
        // SAFETY: the selectors are of descriptors in the table just loaded, which lives until `drop` loads the one before.
        unsafe {
            asm!(
                "lldt {ldt:x}", "mov ds, {user:e}", "mov es, {user:e}", "mov fs, {user:e}", "mov gs, {data:e}",
                ldt = in(reg) LDT, user = in(reg) u32::from(USER_DATA), data = in(reg) u32::from(DATA),
                options(nostack, preserves_flags),
            );
        }
        for (name, number, value) in MSRS {
            set_msr(number, if name == "EFER" { msr(number) | value } else { value });
        }
        write!("dr0", 0x0000_6000_1111_1000);
        write!("dr1", 0x0000_6000_2222_2000);
        write!("dr2", 0x0000_6000_3333_3000);
        write!("dr3", 0x0000_6000_4444_4000);
        // BS and B1.
        write!("dr6", 0xffff_4ff2);
        // Breakpoint 0 on writes, at an address that nobody uses.
        write!("dr7", 0x1_0401);
        write!("cr8", 1);
        let mut cr4 = read!("cr4") | PGE | DE | MCE;
        // Write-through and cache-disable of the top table, or a process-context identifier.
        let mut cr3_bits = 0x18;
        if has(Feature::Pcid) {
            cr4 |= PCIDE;
            cr3_bits = 0x2a5;
        }
        write!("cr4", cr4);
        write!("cr3", read!("cr3") | cr3_bits);
        Self { before, gdtr, _tables: tables }
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        let before = |name| self.before.iter().find(|(other, _)| *other == name).map_or(0, |(_, value)| *value);
        write!("dr7", before("DR7"));
        write!("dr6", before("DR6"));
        write!("cr8", before("CR8"));
        // The identifier must be 0 when PCIDE is cleared.
        write!("cr3", before("CR3"));
        write!("cr4", before("CR4"));
        // SAFETY: the selectors that `machine` starts with; descriptor 2 is data in both tables.
        unsafe {
            asm!(
                "lldt {null:x}", "mov ds, {data:e}", "mov es, {data:e}", "mov fs, {null:e}", "mov gs, {null:e}",
                null = in(reg) 0_u32, data = in(reg) u32::from(DATA), options(nostack, preserves_flags),
            );
        }
        set_gdtr(self.gdtr);
        for (name, number, _) in MSRS {
            set_msr(number, before(name));
        }
    }
}

/// The descriptors of the table at `gdtr`, and three more.
fn tables(gdtr: TableImage) -> Tables {
    let base = usize::try_from(gdtr.base).unwrap_or(0);
    let mut tables = Tables { gdt: [0; 22], ldt: [0, 0x0000_9300_0000_0000 | 0x1234] };
    let count = (usize::from(gdtr.limit) + 1) / 8;
    for (index, slot) in tables.gdt.iter_mut().enumerate().take(count.min(19)) {
        let from = core::ptr::with_exposed_provenance::<u64>(base + 8 * index);
        // SAFETY: the descriptor is inside the limit of the table in use.
        *slot = unsafe { from.read_volatile() };
    }
    tables
}

/// The descriptor of a local table of two descriptors at `base`.
fn local_table(base: u64) -> [u64; 2] {
    let present_ldt = 0x82;
    [15 | (base & 0xff_ffff) << 16 | present_ldt << 40 | (base >> 24 & 0xff) << 56, base >> 32]
}

/// Writes KERNEL_GS_BASE as a host does that switches between its threads.
pub(crate) fn set_kernel_gs_base(value: u64) {
    set_msr(x86::msr::IA32_KERNEL_GSBASE, value);
}

/// Writes IA32_FEATURE_CONTROL as firmware does. If it is locked by that, it stays so until reset.
pub(crate) fn set_feature_control(value: u64) {
    // SAFETY: only called on processors with VMX, on which nothing has locked the register yet; the host does not use VMX.
    unsafe { x86::msr::wrmsr(x86::msr::IA32_FEATURE_CONTROL, value) };
}
