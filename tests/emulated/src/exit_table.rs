//! The instructions that end a run, and what their exits must say.

use x86_virt::{
    AddressSize, ControlRegister, ControlRegisterAccess, ExitKind, Gpr, Gprs, Gva, Io, IoDirection, IoSize,
    RegisterAccess, SegmentRegister, StringIo, Vendor, VirtualizationInstruction as Virtualization,
};

use crate::feature::Feature;

/// An instruction.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) code: &'static [u8],
    pub(crate) kind: ExitKind,
    /// Only this vendor has it, or reports it so.
    pub(crate) vendor: Option<Vendor>,
    /// What the processor needs for it.
    pub(crate) needs: &'static [Feature],
    pub(crate) rax: u64,
    pub(crate) rcx: u64,
}

/// EFER.
const MSR: u64 = 0xc000_0080;
const PORT: u16 = 0x1234;

/// The registers before each instruction.
pub(crate) const NUMBERS: Gprs = Gprs {
    // CR0 with MP.
    rax: 0x8001_0033,
    rcx: 0,
    rdx: 0x1234,
    rbx: 0x1000,
    rbp: 0xb0b0,
    rsi: 0x1_0000,
    rdi: 0x1_0800,
    r8: 0x8008,
    // CR4 with PAE and PGE.
    r9: 0xa0,
    // CR8.
    r10: 5,
    r11: 0x1111_2222_3333_4444,
    r12: 12,
    r13: 13,
    r14: 14,
    r15: u64::MAX,
};

/// The parts of a case that most have.
const fn case(name: &'static str, code: &'static [u8], kind: ExitKind) -> Case {
    Case { name, code, kind, vendor: None, needs: &[], rax: NUMBERS.rax, rcx: 0 }
}

impl Case {
    const fn intel(self) -> Self {
        Self { vendor: Some(Vendor::Intel), ..self }
    }

    const fn amd(self) -> Self {
        Self { vendor: Some(Vendor::Amd), ..self }
    }

    const fn needs(self, needs: &'static [Feature]) -> Self {
        Self { needs, ..self }
    }

    const fn rax(self, rax: u64) -> Self {
        Self { rax, ..self }
    }

    const fn rcx(self, rcx: u64) -> Self {
        Self { rcx, ..self }
    }
}

const fn io(port: u16, size: IoSize, direction: IoDirection) -> ExitKind {
    ExitKind::Io(Io { port, size, direction, string: None })
}

const fn string(
    size: IoSize,
    direction: IoDirection,
    repeat: bool,
    address_size: AddressSize,
    segment: SegmentRegister,
) -> ExitKind {
    let string = Some(StringIo { repeat, address_size, segment });
    ExitKind::Io(Io { port: PORT, size, direction, string })
}

const fn control(register: ControlRegister, access: RegisterAccess) -> ExitKind {
    ExitKind::ControlRegister(ControlRegisterAccess::Move { register, access })
}

const fn debug(number: u8, access: RegisterAccess) -> ExitKind {
    ExitKind::DebugRegister { number, access }
}

const fn xsetbv(rax: u64) -> ExitKind {
    ExitKind::Xsetbv { register: 0, value: 0x1234 << 32 | rax }
}

const fn write_msr(rax: u64) -> ExitKind {
    ExitKind::WriteMsr { msr: 0xc000_0080, value: 0x1234 << 32 | rax }
}

use AddressSize::{Bits16, Bits32, Bits64};
use ControlRegister::{Cr0, Cr3, Cr4, Cr8};
use IoDirection::{In, Out};
use IoSize::{Byte, Dword, Word};
use RegisterAccess::{Read, Write};
use SegmentRegister::{Ds, Es};

/// 64-bit code.
#[rustfmt::skip]
pub(crate) const LONG: &[Case] = &[
    case("cpuid", &[0x0f, 0xa2], ExitKind::Cpuid),
    case("rex.w cpuid", &[0x48, 0x0f, 0xa2], ExitKind::Cpuid),
    case("a32 cpuid", &[0x67, 0x0f, 0xa2], ExitKind::Cpuid),
    case("hlt", &[0xf4], ExitKind::Hlt),
    case("rdmsr", &[0x0f, 0x32], ExitKind::ReadMsr(0xc000_0080)).rcx(MSR),
    case("rdmsr, upper half of rcx", &[0x0f, 0x32], ExitKind::ReadMsr(0xc000_0080)).rcx(0xffff_ffff_0000_0000 | MSR),
    case("rdmsr that no bitmap covers", &[0x0f, 0x32], ExitKind::ReadMsr(0x4000_0001)).rcx(0x4000_0001),
    case("wrmsr", &[0x0f, 0x30], write_msr(0x8001_0033)).rcx(MSR),
    case("in al, imm8", &[0xe4, 0x60], io(0x60, Byte, In)),
    case("in ax, imm8", &[0x66, 0xe5, 0x61], io(0x61, Word, In)),
    case("in eax, imm8", &[0xe5, 0x62], io(0x62, Dword, In)),
    case("in al, dx", &[0xec], io(PORT, Byte, In)),
    case("in ax, dx", &[0x66, 0xed], io(PORT, Word, In)),
    case("in eax, dx", &[0xed], io(PORT, Dword, In)),
    case("out imm8, al", &[0xe6, 0x80], io(0x80, Byte, Out)),
    case("out imm8, ax", &[0x66, 0xe7, 0x81], io(0x81, Word, Out)),
    case("out imm8, eax", &[0xe7, 0x82], io(0x82, Dword, Out)),
    case("out dx, al", &[0xee], io(PORT, Byte, Out)),
    case("out dx, ax", &[0x66, 0xef], io(PORT, Word, Out)),
    case("out dx, eax", &[0xef], io(PORT, Dword, Out)),
    case("insb", &[0x6c], string(Byte, In, false, Bits64, Es)),
    case("insw", &[0x66, 0x6d], string(Word, In, false, Bits64, Es)),
    case("insd", &[0x6d], string(Dword, In, false, Bits64, Es)),
    case("a32 insb", &[0x67, 0x6c], string(Byte, In, false, Bits32, Es)),
    case("rep insb", &[0xf3, 0x6c], string(Byte, In, true, Bits64, Es)).rcx(3),
    case("rep a32 insw", &[0xf3, 0x67, 0x66, 0x6d], string(Word, In, true, Bits32, Es)).rcx(3),
    case("outsb", &[0x6e], string(Byte, Out, false, Bits64, Ds)),
    case("a32 outsd", &[0x67, 0x6f], string(Dword, Out, false, Bits32, Ds)),
    case("rep outsb", &[0xf3, 0x6e], string(Byte, Out, true, Bits64, Ds)).rcx(3),
    case("rex.w outsd", &[0x48, 0x6f], string(Dword, Out, false, Bits64, Ds)),
    case("outsb fs:", &[0x64, 0x6e], string(Byte, Out, false, Bits64, SegmentRegister::Fs)),
    case("rep outsw gs:", &[0x65, 0xf3, 0x66, 0x6f], string(Word, Out, true, Bits64, SegmentRegister::Gs)).rcx(3),
    case("vmcall", &[0x0f, 0x01, 0xc1], ExitKind::Hypercall).intel(),
    case("vmmcall", &[0x0f, 0x01, 0xd9], ExitKind::Hypercall).amd(),
    case("mov cr0, rax", &[0x0f, 0x22, 0xc0], control(Cr0, Write(Gpr::Rax))),
    case("mov cr3, rbx", &[0x0f, 0x22, 0xdb], control(Cr3, Write(Gpr::Rbx))),
    case("mov rax, cr3", &[0x0f, 0x20, 0xd8], control(Cr3, Read(Gpr::Rax))),
    case("mov r15, cr3", &[0x41, 0x0f, 0x20, 0xdf], control(Cr3, Read(Gpr::R15))),
    case("mov cr4, r9", &[0x41, 0x0f, 0x22, 0xe1], control(Cr4, Write(Gpr::R9))),
    case("mov cr8, r10", &[0x45, 0x0f, 0x22, 0xc2], control(Cr8, Write(Gpr::R10))),
    case("mov r11, cr8", &[0x45, 0x0f, 0x20, 0xc3], control(Cr8, Read(Gpr::R11))),
    case("mov rsp, cr8", &[0x44, 0x0f, 0x20, 0xc4], control(Cr8, Read(Gpr::Rsp))),
    case("lmsw ax", &[0x0f, 0x01, 0xf0], ExitKind::ControlRegister(ControlRegisterAccess::Lmsw { source: 0x33 })),
    case("clts", &[0x0f, 0x06], ExitKind::ControlRegister(ControlRegisterAccess::Clts)).amd(),
    case("mov dr7, rax", &[0x0f, 0x23, 0xf8], debug(7, Write(Gpr::Rax))),
    case("mov rbx, dr6", &[0x0f, 0x21, 0xf3], debug(6, Read(Gpr::Rbx))),
    case("mov dr0, r8", &[0x41, 0x0f, 0x23, 0xc0], debug(0, Write(Gpr::R8))),
    case("mov r14, dr3", &[0x41, 0x0f, 0x21, 0xde], debug(3, Read(Gpr::R14))),
    case("xsetbv", &[0x0f, 0x01, 0xd1], xsetbv(0x8001_0033)).needs(&[Feature::Xsave, Feature::ExactExits]),
    case("rdtsc", &[0x0f, 0x31], ExitKind::Rdtsc),
    case("rdtscp", &[0x0f, 0x01, 0xf9], ExitKind::Rdtscp).needs(&[Feature::Rdtscp, Feature::ExactExits]),
    case("pause", &[0xf3, 0x90], ExitKind::Pause),
    case("rdpmc", &[0x0f, 0x33], ExitKind::Rdpmc(0)),
    case("monitor", &[0x0f, 0x01, 0xc8], ExitKind::Monitor).needs(&[Feature::Monitor]).rax(0x1000),
    case("mwait", &[0x0f, 0x01, 0xc9], ExitKind::Mwait).needs(&[Feature::Monitor]),
    case("invd", &[0x0f, 0x08], ExitKind::Invd).needs(&[Feature::ExactExits]),
    case("wbinvd", &[0x0f, 0x09], ExitKind::Wbinvd),
    case("invlpg [rax]", &[0x0f, 0x01, 0x38], ExitKind::Invlpg(Gva::new(0x8001_0033))),
    case("invlpg [rsi+disp32]", &[0x0f, 0x01, 0xbe, 0, 1, 0, 0], ExitKind::Invlpg(Gva::new(0x1_0100))),
    case("vmxon [rsi]", &[0xf3, 0x0f, 0xc7, 0x36], ExitKind::Virtualization(Virtualization::Vmxon)).intel(),
    case("vmclear [rsi]", &[0x66, 0x0f, 0xc7, 0x36], ExitKind::Virtualization(Virtualization::Vmclear)).intel(),
    case("vmptrld [rsi]", &[0x0f, 0xc7, 0x36], ExitKind::Virtualization(Virtualization::Vmptrld)).intel(),
    case("vmptrst [rsi]", &[0x0f, 0xc7, 0x3e], ExitKind::Virtualization(Virtualization::Vmptrst)).intel(),
    case("vmread rcx, rax", &[0x0f, 0x78, 0xc1], ExitKind::Virtualization(Virtualization::Vmread)).intel(),
    case("vmwrite rax, rcx", &[0x0f, 0x79, 0xc1], ExitKind::Virtualization(Virtualization::Vmwrite)).intel(),
    case("vmlaunch", &[0x0f, 0x01, 0xc2], ExitKind::Virtualization(Virtualization::Vmlaunch)).intel(),
    case("vmresume", &[0x0f, 0x01, 0xc3], ExitKind::Virtualization(Virtualization::Vmresume)).intel(),
    case("vmxoff", &[0x0f, 0x01, 0xc4], ExitKind::Virtualization(Virtualization::Vmxoff)).intel(),
    case("invept rax, [rsi]", &[0x66, 0x0f, 0x38, 0x80, 0x06], ExitKind::Virtualization(Virtualization::Invept)).intel(),
    case("invvpid rax, [rsi]", &[0x66, 0x0f, 0x38, 0x81, 0x06], ExitKind::Virtualization(Virtualization::Invvpid)).intel(),
    case("vmrun", &[0x0f, 0x01, 0xd8], ExitKind::Virtualization(Virtualization::Vmrun)).amd().rax(0x1000),
    case("vmload", &[0x0f, 0x01, 0xda], ExitKind::Virtualization(Virtualization::Vmload)).amd().rax(0x1000),
    case("vmsave", &[0x0f, 0x01, 0xdb], ExitKind::Virtualization(Virtualization::Vmsave)).amd().rax(0x1000),
    case("stgi", &[0x0f, 0x01, 0xdc], ExitKind::Virtualization(Virtualization::Stgi)).amd(),
    case("clgi", &[0x0f, 0x01, 0xdd], ExitKind::Virtualization(Virtualization::Clgi)).amd(),
    case("invlpga", &[0x0f, 0x01, 0xdf], ExitKind::Virtualization(Virtualization::Invlpga)).amd(),
];

/// 32-bit code.
#[rustfmt::skip]
pub(crate) const PROTECTED: &[Case] = &[
    case("cpuid", &[0x0f, 0xa2], ExitKind::Cpuid),
    case("hlt", &[0xf4], ExitKind::Hlt),
    case("rdmsr", &[0x0f, 0x32], ExitKind::ReadMsr(0xc000_0080)).rcx(MSR),
    case("wrmsr", &[0x0f, 0x30], write_msr(0x8001_0033)).rcx(MSR),
    case("in al, imm8", &[0xe4, 0x60], io(0x60, Byte, In)),
    case("in ax, dx", &[0x66, 0xed], io(PORT, Word, In)),
    case("out dx, eax", &[0xef], io(PORT, Dword, Out)),
    case("insd", &[0x6d], string(Dword, In, false, Bits32, Es)),
    case("rep a16 insb", &[0xf3, 0x67, 0x6c], string(Byte, In, true, Bits16, Es)).rcx(3),
    case("rep outsw", &[0xf3, 0x66, 0x6f], string(Word, Out, true, Bits32, Ds)).rcx(3),
    case("vmcall", &[0x0f, 0x01, 0xc1], ExitKind::Hypercall).intel(),
    case("vmmcall", &[0x0f, 0x01, 0xd9], ExitKind::Hypercall).amd(),
    case("mov eax, cr3", &[0x0f, 0x20, 0xd8], control(Cr3, Read(Gpr::Rax))),
    case("mov dr7, eax", &[0x0f, 0x23, 0xf8], debug(7, Write(Gpr::Rax))),
    case("rdtsc", &[0x0f, 0x31], ExitKind::Rdtsc),
    case("pause", &[0xf3, 0x90], ExitKind::Pause),
    case("invlpg [eax]", &[0x0f, 0x01, 0x38], ExitKind::Invlpg(Gva::new(0x8001_0033))),
    case("vmlaunch", &[0x0f, 0x01, 0xc2], ExitKind::Virtualization(Virtualization::Vmlaunch)).intel(),
    case("vmrun", &[0x0f, 0x01, 0xd8], ExitKind::Virtualization(Virtualization::Vmrun)).amd().rax(0x1000),
];

/// 16-bit code in real mode.
#[rustfmt::skip]
pub(crate) const REAL: &[Case] = &[
    case("cpuid", &[0x0f, 0xa2], ExitKind::Cpuid),
    case("a32 cpuid", &[0x67, 0x0f, 0xa2], ExitKind::Cpuid),
    case("hlt", &[0xf4], ExitKind::Hlt),
    case("rdmsr", &[0x0f, 0x32], ExitKind::ReadMsr(0xc000_0080)).rcx(MSR),
    case("wrmsr", &[0x0f, 0x30], write_msr(0x8001_0033)).rcx(MSR),
    case("in al, imm8", &[0xe4, 0x60], io(0x60, Byte, In)),
    case("in ax, imm8", &[0xe5, 0x61], io(0x61, Word, In)),
    case("o32 in eax, dx", &[0x66, 0xed], io(PORT, Dword, In)),
    case("out imm8, al", &[0xe6, 0x80], io(0x80, Byte, Out)),
    case("out dx, ax", &[0xef], io(PORT, Word, Out)),
    case("insb", &[0x6c], string(Byte, In, false, Bits16, Es)),
    case("rep outsw", &[0xf3, 0x6f], string(Word, Out, true, Bits16, Ds)).rcx(3),
    case("a32 outsb", &[0x67, 0x6e], string(Byte, Out, false, Bits32, Ds)),
    case("vmcall", &[0x0f, 0x01, 0xc1], ExitKind::Hypercall).intel(),
    case("vmmcall", &[0x0f, 0x01, 0xd9], ExitKind::Hypercall).amd(),
    case("mov eax, cr3", &[0x0f, 0x20, 0xd8], control(Cr3, Read(Gpr::Rax))),
    case("rdtsc", &[0x0f, 0x31], ExitKind::Rdtsc),
    case("pause", &[0xf3, 0x90], ExitKind::Pause),
    case("invd", &[0x0f, 0x08], ExitKind::Invd).needs(&[Feature::ExactExits]),
    case("wbinvd", &[0x0f, 0x09], ExitKind::Wbinvd),
];
