//! General-purpose registers, control registers, RFLAGS and EFER.

use crate::register;

/// A general-purpose register, numbered as instructions and exit information encode it.
///
/// Intel SDM vol. 3, section 30.2.1, "Basic VM-Exit Information" (table "Exit Qualification for Control-Register Accesses").
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[expect(missing_docs, reason = "the names are the registers")]
pub enum Gpr {
    Rax,
    Rcx,
    Rdx,
    Rbx,
    Rsp,
    Rbp,
    Rsi,
    Rdi,
    R8,
    R9,
    R10,
    R11,
    R12,
    R13,
    R14,
    R15,
}

impl Gpr {
    /// All registers, in the order of their numbers.
    pub const ALL: [Self; 16] = [
        Self::Rax,
        Self::Rcx,
        Self::Rdx,
        Self::Rbx,
        Self::Rsp,
        Self::Rbp,
        Self::Rsi,
        Self::Rdi,
        Self::R8,
        Self::R9,
        Self::R10,
        Self::R11,
        Self::R12,
        Self::R13,
        Self::R14,
        Self::R15,
    ];

    /// The register with the number in bits 3:0 of `number`.
    #[must_use]
    pub fn from_number(number: u64) -> Self {
        usize::try_from(number & 0xf).ok().and_then(|index| Self::ALL.get(index).copied()).unwrap_or(Self::Rax)
    }
}

/// The general-purpose registers that a world switch exchanges: all but RSP, which the VMCS or VMCB holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[repr(C)]
#[expect(missing_docs, reason = "the names are the registers")]
pub struct Gprs {
    pub rax: u64,
    pub rcx: u64,
    pub rdx: u64,
    pub rbx: u64,
    pub rbp: u64,
    pub rsi: u64,
    pub rdi: u64,
    pub r8: u64,
    pub r9: u64,
    pub r10: u64,
    pub r11: u64,
    pub r12: u64,
    pub r13: u64,
    pub r14: u64,
    pub r15: u64,
}

impl Gprs {
    /// All registers with the same value, to fill them with something that tests recognize.
    ///
    /// ```
    /// use x86_virt_core::{Gpr, Gprs};
    ///
    /// assert_eq!(Gprs::filled(7).get(Gpr::R15), Some(7));
    /// ```
    #[must_use]
    pub const fn filled(value: u64) -> Self {
        Self {
            rax: value,
            rcx: value,
            rdx: value,
            rbx: value,
            rbp: value,
            rsi: value,
            rdi: value,
            r8: value,
            r9: value,
            r10: value,
            r11: value,
            r12: value,
            r13: value,
            r14: value,
            r15: value,
        }
    }

    /// The value of `register`, or `None` for RSP.
    #[must_use]
    pub const fn get(&self, register: Gpr) -> Option<u64> {
        Some(match register {
            Gpr::Rax => self.rax,
            Gpr::Rcx => self.rcx,
            Gpr::Rdx => self.rdx,
            Gpr::Rbx => self.rbx,
            Gpr::Rsp => return None,
            Gpr::Rbp => self.rbp,
            Gpr::Rsi => self.rsi,
            Gpr::Rdi => self.rdi,
            Gpr::R8 => self.r8,
            Gpr::R9 => self.r9,
            Gpr::R10 => self.r10,
            Gpr::R11 => self.r11,
            Gpr::R12 => self.r12,
            Gpr::R13 => self.r13,
            Gpr::R14 => self.r14,
            Gpr::R15 => self.r15,
        })
    }

    /// A reference to `register`, or `None` for RSP.
    pub const fn get_mut(&mut self, register: Gpr) -> Option<&mut u64> {
        Some(match register {
            Gpr::Rax => &mut self.rax,
            Gpr::Rcx => &mut self.rcx,
            Gpr::Rdx => &mut self.rdx,
            Gpr::Rbx => &mut self.rbx,
            Gpr::Rsp => return None,
            Gpr::Rbp => &mut self.rbp,
            Gpr::Rsi => &mut self.rsi,
            Gpr::Rdi => &mut self.rdi,
            Gpr::R8 => &mut self.r8,
            Gpr::R9 => &mut self.r9,
            Gpr::R10 => &mut self.r10,
            Gpr::R11 => &mut self.r11,
            Gpr::R12 => &mut self.r12,
            Gpr::R13 => &mut self.r13,
            Gpr::R14 => &mut self.r14,
            Gpr::R15 => &mut self.r15,
        })
    }

    /// The MSR value or hypercall argument in EDX:EAX.
    #[must_use]
    pub const fn edx_eax(&self) -> u64 {
        (self.rdx & 0xffff_ffff) << 32 | self.rax & 0xffff_ffff
    }

    /// Puts `value` into EDX:EAX and clears the upper halves, as RDMSR does.
    pub const fn set_edx_eax(&mut self, value: u64) {
        self.rax = value & 0xffff_ffff;
        self.rdx = value >> 32;
    }
}

/// A control register that exits report and [`Vcpu::set_control`](crate::Vcpu::set_control) writes.
///
/// Intel SDM vol. 3, section 2.5, "Control Registers"; AMD APM vol. 2, section 3.1, "Control Registers".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[expect(missing_docs, reason = "the names are the registers")]
pub enum ControlRegister {
    Cr0,
    Cr2,
    Cr3,
    Cr4,
    Cr8,
}

impl ControlRegister {
    /// The register of that number, if there is one.
    #[must_use]
    pub const fn from_number(number: u64) -> Option<Self> {
        Some(match number {
            0 => Self::Cr0,
            2 => Self::Cr2,
            3 => Self::Cr3,
            4 => Self::Cr4,
            8 => Self::Cr8,
            _ => return None,
        })
    }
}

register! {
    /// CR0.
    ///
    /// Intel SDM vol. 3, section 2.5, "Control Registers"; AMD APM vol. 2, section 3.1.1, "CR0 Register".
    pub struct Cr0(u64) {
        /// Protection enable.
        pub pe: bool,
        /// Monitor coprocessor.
        pub mp: bool,
        /// Emulation.
        pub em: bool,
        /// Task switched.
        pub ts: bool,
        /// Extension type.
        pub et: bool,
        /// Numeric error.
        pub ne: bool,
        #[bits(10)]
        _reserved6: u16,
        /// Write protect.
        pub wp: bool,
        _reserved17: bool,
        /// Alignment mask.
        pub am: bool,
        #[bits(10)]
        _reserved19: u16,
        /// Not write-through.
        pub nw: bool,
        /// Cache disable.
        pub cd: bool,
        /// Paging.
        pub pg: bool,
        _reserved32: u32,
    }
}

register! {
    /// CR4.
    ///
    /// Intel SDM vol. 3, section 2.5, "Control Registers"; AMD APM vol. 2, section 3.1.3, "CR4 Register".
    pub struct Cr4(u64) {
        /// Virtual-8086 mode extensions.
        pub vme: bool,
        /// Protected-mode virtual interrupts.
        pub pvi: bool,
        /// Time-stamp disable: RDTSC at privilege level 0 only.
        pub tsd: bool,
        /// Debugging extensions.
        pub de: bool,
        /// Page-size extensions.
        pub pse: bool,
        /// Physical-address extension.
        pub pae: bool,
        /// Machine-check enable.
        pub mce: bool,
        /// Page-global enable.
        pub pge: bool,
        /// Performance-monitoring counter enable.
        pub pce: bool,
        /// FXSAVE and FXRSTOR, and SSE.
        pub osfxsr: bool,
        /// Unmasked SIMD floating-point exceptions.
        pub osxmmexcpt: bool,
        /// User-mode instruction prevention.
        pub umip: bool,
        /// 57-bit linear addresses.
        pub la57: bool,
        /// VMX enable.
        pub vmxe: bool,
        /// SMX enable.
        pub smxe: bool,
        _reserved15: bool,
        /// FSGSBASE instructions.
        pub fsgsbase: bool,
        /// Process-context identifiers.
        pub pcide: bool,
        /// XSAVE and extended states.
        pub osxsave: bool,
        /// Key Locker.
        pub kl: bool,
        /// Supervisor-mode execution prevention.
        pub smep: bool,
        /// Supervisor-mode access prevention.
        pub smap: bool,
        /// Protection keys for user-mode pages.
        pub pke: bool,
        /// Control-flow enforcement technology.
        pub cet: bool,
        /// Protection keys for supervisor-mode pages.
        pub pks: bool,
        /// User interrupts.
        pub uintr: bool,
        _reserved26: bool,
        /// Linear-address-space separation.
        pub lass: bool,
        /// Linear-address masking of supervisor pointers.
        pub lam_sup: bool,
        #[bits(3)]
        _reserved29: u8,
        /// Flexible return and event delivery.
        pub fred: bool,
        #[bits(31)]
        _reserved33: u32,
    }
}

register! {
    /// IA32_EFER.
    ///
    /// Intel SDM vol. 3, section 2.2.1, "Extended Feature Enable Register"; AMD APM vol. 2, section 3.1.7, "Extended Feature
    /// Enable Register (EFER)".
    pub struct Efer(u64) {
        /// System-call extensions.
        pub sce: bool,
        #[bits(7)]
        _reserved1: u8,
        /// Long-mode enable.
        pub lme: bool,
        _reserved9: bool,
        /// Long-mode active.
        pub lma: bool,
        /// No-execute enable.
        pub nxe: bool,
        /// Secure virtual machine enable (AMD).
        pub svme: bool,
        /// Long-mode segment-limit enable (AMD).
        pub lmsle: bool,
        /// Fast FXSAVE and FXRSTOR (AMD).
        pub ffxsr: bool,
        /// Translation cache extension (AMD).
        pub tce: bool,
        _reserved16: bool,
        /// MCOMMIT enable (AMD).
        pub mcommit: bool,
        /// Interruptible WBINVD and WBNOINVD enable (AMD).
        pub intwb: bool,
        _reserved19: bool,
        /// Upper-address ignore enable (AMD).
        pub uaie: bool,
        /// Automatic IBRS enable (AMD).
        pub aibrse: bool,
        #[bits(42)]
        _reserved22: u64,
    }
}

register! {
    /// RFLAGS.
    ///
    /// Intel SDM vol. 1, section 3.4.3, "EFLAGS Register".
    pub struct Rflags(u64) {
        /// Carry.
        pub cf: bool,
        /// Always 1.
        #[bits(default = true)]
        pub one: bool,
        /// Parity.
        pub pf: bool,
        _reserved3: bool,
        /// Auxiliary carry.
        pub af: bool,
        _reserved5: bool,
        /// Zero.
        pub zf: bool,
        /// Sign.
        pub sf: bool,
        /// Trap: single step.
        pub tf: bool,
        /// Interrupt enable.
        pub r#if: bool,
        /// Direction of string instructions: down.
        pub df: bool,
        /// Overflow.
        pub of: bool,
        /// I/O privilege level.
        #[bits(2)]
        pub iopl: u8,
        /// Nested task.
        pub nt: bool,
        _reserved15: bool,
        /// Resume.
        pub rf: bool,
        /// Virtual-8086 mode.
        pub vm: bool,
        /// Alignment check; also access control.
        pub ac: bool,
        /// Virtual interrupt flag.
        pub vif: bool,
        /// Virtual interrupt pending.
        pub vip: bool,
        /// CPUID can be executed.
        pub id: bool,
        #[bits(42)]
        _reserved22: u64,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString;

    use super::{Cr0, Cr4, Efer, Gpr, Gprs, Rflags};

    #[test]
    fn every_register_but_rsp_has_a_place_of_its_own() {
        let mut gprs = Gprs::default();
        for (number, register) in (0_u64..).zip(Gpr::ALL) {
            assert_eq!(Gpr::from_number(number), register);
            if let Some(value) = gprs.get_mut(register) {
                *value = number + 100;
            }
        }
        for (number, register) in (0_u64..).zip(Gpr::ALL) {
            let expected = (register != Gpr::Rsp).then_some(number + 100);
            assert_eq!(gprs.get(register), expected);
        }
    }

    #[test]
    fn edx_eax_keeps_only_the_low_halves() {
        let mut gprs = Gprs { rax: 0xffff_ffff_1111_2222, rdx: 0xffff_ffff_3333_4444, ..Gprs::default() };
        assert_eq!(gprs.edx_eax(), 0x3333_4444_1111_2222);
        gprs.set_edx_eax(0x0123_4567_89ab_cdef);
        assert_eq!((gprs.rax, gprs.rdx), (0x89ab_cdef, 0x0123_4567));
    }

    #[test]
    fn bits_are_where_the_manual_has_them() {
        assert_eq!(Cr0::new().with_pg(true).with_cd(true).with_ne(true).with_pe(true).into_bits(), 0xc000_0021);
        assert_eq!(Cr0::new().with_wp(true).with_am(true).with_nw(true).into_bits(), 1 << 16 | 1 << 18 | 1 << 29);
        assert_eq!(Cr4::new().with_pae(true).with_vmxe(true).with_osxsave(true).into_bits(), 0x4_2020);
        assert_eq!(
            Cr4::new().with_la57(true).with_fsgsbase(true).with_pcide(true).with_pge(true).into_bits(),
            0x3_1080
        );
        assert_eq!(Efer::new().with_lme(true).with_lma(true).with_nxe(true).with_svme(true).into_bits(), 0x1d00);
        assert_eq!(Rflags::new().with_if(true).with_tf(true).into_bits(), 0x302);
        assert_eq!(Cr4::new().with_fred(true).with_lam_sup(true).with_uintr(true).into_bits(), 0x1_1200_0000);
        assert_eq!(Cr4::new().with_smep(true).with_cet(true).with_umip(true).into_bits(), 0x90_0800);
        assert_eq!(Efer::new().with_aibrse(true).with_tce(true).into_bits(), 0x20_8000);
        assert_eq!(
            Rflags::new().with_id(true).with_iopl(3).with_of(true).to_string(),
            "0x0000000000203802 ONE OF IOPL=0x3 ID"
        );
        assert_eq!(Rflags::new().with_if(true).to_string(), "0x0000000000000202 ONE IF");
        assert_eq!(Rflags::new().with_vm(true).with_rf(true).with_df(true).into_bits(), 0x3_0402);
    }
}
