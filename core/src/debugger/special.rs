//! Instructions that see RFLAGS.TF, change it, or hide the trap that it makes.

use iced_x86::{Instruction as Decoded, Mnemonic, Register};

use super::{GuestDebug, Shadow};
use crate::GuestMemory;
use crate::addr::Gva;
use crate::decode;
use crate::event::{Event, Exception};
use crate::guest_paging::{GuestPaging, Privilege};
use crate::linear;
use crate::permission::SwitchedMsr;
use crate::register::{ControlRegister, Cr0, Gpr, Rflags};
use crate::segment::{Segment, SegmentRegister};
use crate::state::Activity;

/// RFLAGS.TF, as it is in the MSR SFMASK and in R11.
const TF: u64 = 1 << 8;

/// An instruction that a step by RFLAGS.TF must know.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Special {
    /// None.
    Plain,
    /// PUSHF: what it stores has the TF of the step.
    Pushf,
    /// POPF or IRET: TF afterwards is the guest's, which it has loaded.
    LoadsFlags,
    /// STI where it is allowed: interrupts that it enables wait for one more instruction, and on some processors the trap, too. It is done here.
    Sti {
        /// Bytes of the instruction.
        length: u8,
    },
    /// HLT: the guest is halted afterwards.
    Hlt,
    /// SYSCALL in long mode: R11 gets RFLAGS, and SFMASK says what is cleared. Without TF there would be no trap.
    Syscall {
        /// SFMASK.
        mask: u64,
    },
    /// SYSRET in long mode: RFLAGS come from R11.
    Sysret {
        /// R11.
        flags: u64,
    },
    /// INT n, INT3, INTO or INT1. The delivery clears TF, so that there would be no trap: it is injected.
    Software(Event),
    /// MOV SS or POP SS. Debug exceptions wait for one more instruction: the load is made here.
    LoadSs(LoadSs),
}

/// A load of SS that the guest may make.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LoadSs {
    segment: Segment,
    rsp: u64,
    length: u8,
}

impl Special {
    /// The instruction at RIP of the guest.
    pub(super) fn of<V: GuestDebug>(vcpu: &V, memory: &impl GuestMemory) -> Self {
        // One that cannot be fetched raises an exception.
        let Some(decoded) = decode::fetch(vcpu, memory) else { return Self::Plain };
        let length = u8::try_from(decoded.len()).unwrap_or(0);
        let software = |event| if vcpu.is_wanted(event) { Self::Plain } else { Self::Software(event) };
        match decoded.mnemonic() {
            Mnemonic::Pushf | Mnemonic::Pushfd | Mnemonic::Pushfq => Self::Pushf,
            Mnemonic::Popf | Mnemonic::Popfd | Mnemonic::Popfq | Mnemonic::Iret | Mnemonic::Iretd | Mnemonic::Iretq => {
                Self::LoadsFlags
            }
            Mnemonic::Sti if may_enable_interrupts(vcpu) => Self::Sti { length },
            Mnemonic::Hlt => Self::Hlt,
            Mnemonic::Syscall if vcpu.efer().lma() => Self::Syscall { mask: vcpu.msr(SwitchedMsr::Sfmask) },
            Mnemonic::Sysret | Mnemonic::Sysretq if vcpu.efer().lma() => Self::Sysret { flags: vcpu.gpr(Gpr::R11) },
            Mnemonic::Int => software(Event::SoftwareInterrupt { vector: decoded.immediate8(), length }),
            Mnemonic::Int3 => software(Event::SoftwareException { vector: Exception::BREAKPOINT.vector, length }),
            Mnemonic::Into if vcpu.rflags().of() => software(Event::SoftwareException { vector: OVERFLOW, length }),
            Mnemonic::Int1 => software(Event::PrivilegedSoftwareException { length }),
            Mnemonic::Mov | Mnemonic::Pop if decoded.op0_register() == Register::SS => {
                load_ss(vcpu, memory, &decoded).map_or(Self::Plain, Self::LoadSs)
            }
            _ => Self::Plain,
        }
    }

    /// What the instruction needs besides TF, so that the trap comes.
    pub(super) fn prepare<V: GuestDebug>(self, vcpu: &mut V) {
        match self {
            Self::Syscall { mask } if mask & TF != 0 => set_mask(vcpu, mask & !TF),
            Self::Sysret { flags } => vcpu.set_gpr(Gpr::R11, flags | TF),
            _ => {}
        }
    }

    /// Takes that back, whatever ended the run.
    pub(super) fn restore<V: GuestDebug>(self, vcpu: &mut V) {
        match self {
            Self::Syscall { mask } if mask & TF != 0 => set_mask(vcpu, mask),
            Self::Sysret { flags } => vcpu.set_gpr(Gpr::R11, flags),
            _ => {}
        }
    }

    /// Whether TF of the guest is 1 behind the instruction that was executed, where it was `before` in front of it.
    pub(super) fn trap_flag<V: GuestDebug>(self, vcpu: &V, before: bool) -> bool {
        match self {
            Self::LoadsFlags => vcpu.rflags().tf(),
            Self::Syscall { mask } => before && mask & TF == 0,
            Self::Sysret { flags } => flags & TF != 0,
            _ => before,
        }
    }

    /// Whether the guest gets the trap of its own TF, which was `before` in front of the instruction.
    pub(super) const fn traps(self, before: bool) -> bool {
        match self {
            Self::Syscall { mask } => before && mask & TF == 0,
            _ => before,
        }
    }

    /// What the instruction leaves behind that a step would have changed.
    pub(super) fn finish<V: GuestDebug>(self, vcpu: &mut V, memory: &impl GuestMemory, was_tf: bool) {
        match self {
            Self::Pushf if !was_tf => clear_pushed_flag(vcpu, memory),
            Self::Syscall { .. } if !was_tf => {
                let flags = vcpu.gpr(Gpr::R11);
                vcpu.set_gpr(Gpr::R11, flags & !TF);
            }
            Self::Hlt if !was_tf => {
                // A processor without such a state does not execute HLT of a guest.
                let _refused = vcpu.set_activity(Activity::Halted);
            }
            _ => {}
        }
        vcpu.set_shadow(Shadow::None);
    }
}

/// Vector of #OF.
const OVERFLOW: u8 = 4;

fn set_mask<V: GuestDebug>(vcpu: &mut V, mask: u64) {
    // It was there, but for TF.
    let _always = vcpu.set_msr(SwitchedMsr::Sfmask, mask);
}

/// The stack pointer as the stack's size has it.
fn stack_mask<V: GuestDebug>(vcpu: &V) -> u64 {
    if linear::is_64_bit(vcpu) {
        u64::MAX
    } else if vcpu.segment(SegmentRegister::Ss).rights.default_big() {
        0xffff_ffff
    } else {
        0xffff
    }
}

/// Clears TF in the flags that PUSHF has stored.
fn clear_pushed_flag<V: GuestDebug>(vcpu: &V, memory: &impl GuestMemory) {
    const IN_BYTE: u8 = 1;
    let offset = vcpu.rsp().wrapping_add(1) & stack_mask(vcpu);
    let at = Gva::new(linear::address(vcpu, SegmentRegister::Ss, offset));
    let (paging, privilege) = (GuestPaging::of(vcpu), Privilege::of(vcpu));
    let mut byte = [0];
    if paging.read(memory, at, privilege, &mut byte).is_ok() {
        let cleared = byte.map(|byte| byte & !IN_BYTE);
        // PUSHF has written there.
        let _always = paging.write(memory, at, privilege, &cleared);
    }
}

/// What MOV SS or POP SS loads. `None` if it raises an exception, or the tables cannot be written.
fn load_ss<V: GuestDebug>(vcpu: &V, memory: &impl GuestMemory, decoded: &Decoded) -> Option<LoadSs> {
    let length = u8::try_from(decoded.len()).ok()?;
    let (selector, rsp) = if decoded.mnemonic() == Mnemonic::Pop {
        let size = u64::try_from(decoded.stack_pointer_increment()).ok()?;
        let mut word = [0; 2];
        let mask = stack_mask(vcpu);
        let at = Gva::new(linear::address(vcpu, SegmentRegister::Ss, vcpu.rsp() & mask));
        GuestPaging::of(vcpu).read(memory, at, Privilege::of(vcpu), &mut word).ok()?;
        let rsp = vcpu.rsp();
        (u16::from_le_bytes(word), rsp & !mask | rsp.wrapping_add(size) & mask)
    } else {
        (decode::word_operand(vcpu, memory, decoded)?, vcpu.rsp())
    };
    let segment = vcpu.state().load_segment(SegmentRegister::Ss, selector, memory).ok()?;
    let is_protected = Cr0::from(vcpu.control(ControlRegister::Cr0)).pe() && !vcpu.rflags().vm();
    if is_protected && selector & !3 != 0 {
        set_accessed(vcpu, memory, selector)?;
    }
    Some(LoadSs { segment, rsp, length })
}

/// Sets the accessed flag in the descriptor of `selector`.
fn set_accessed<V: GuestDebug>(vcpu: &V, memory: &impl GuestMemory, selector: u16) -> Option<()> {
    const LOCAL: u16 = 4;
    const TYPE: u64 = 5;
    const ACCESSED: u8 = 1;
    let base = if selector & LOCAL == 0 { vcpu.gdtr().base } else { vcpu.segment(SegmentRegister::Ldtr).base };
    let address = base.wrapping_add(u64::from(selector & !7) + TYPE);
    let at = Gva::new(if vcpu.efer().lma() { address } else { address & 0xffff_ffff });
    let paging = GuestPaging::of(vcpu);
    let mut kind = [0];
    paging.read(memory, at, Privilege::Supervisor, &mut kind).ok()?;
    let marked = kind.map(|kind| kind | ACCESSED);
    if marked != kind {
        paging.write(memory, at, Privilege::Supervisor, &marked).ok()?;
    }
    Some(())
}

impl LoadSs {
    /// Makes the load.
    pub(super) fn execute<V: GuestDebug>(self, vcpu: &mut V) {
        vcpu.set_segment(SegmentRegister::Ss, self.segment);
        vcpu.set_rsp(self.rsp);
        go_behind(vcpu, self.length);
        vcpu.set_shadow(Shadow::MovSs);
    }
}

/// Makes STI of `length` bytes.
pub(super) fn enable_interrupts<V: GuestDebug>(vcpu: &mut V, length: u8) {
    let before = vcpu.rflags();
    go_behind(vcpu, length);
    vcpu.set_rflags(before.with_if(true).with_rf(false));
    vcpu.set_shadow(if before.r#if() { Shadow::None } else { Shadow::Sti });
    if before.tf() {
        vcpu.raise_single_step();
    }
}

fn go_behind<V: GuestDebug>(vcpu: &mut V, length: u8) {
    let next = vcpu.rip().wrapping_add(u64::from(length));
    let wraps = next >> 32 != 0 && !linear::is_64_bit(vcpu);
    vcpu.set_rip(if wraps { next & 0xffff_ffff } else { next });
    let flags: Rflags = vcpu.rflags();
    vcpu.set_rflags(flags.with_rf(false));
}

/// Whether STI sets IF, and neither VIF nor raises #GP.
fn may_enable_interrupts<V: GuestDebug>(vcpu: &V) -> bool {
    let (flags, level) = (vcpu.rflags(), vcpu.segment(SegmentRegister::Ss).rights.dpl());
    if !Cr0::from(vcpu.control(ControlRegister::Cr0)).pe() {
        true
    } else if flags.vm() {
        flags.iopl() == 3
    } else {
        level <= flags.iopl()
    }
}
