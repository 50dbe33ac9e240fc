//! What a guest sees of an instruction that the hypervisor has completed or refused.

use x86_virt::{Exception, ExitKind, Gva, Rflags, Vcpu, VcpuConfig};

use crate::bench::Bench;
use crate::feature::{Feature, has};
use crate::guest::{CODE, Guest, Mode};
use crate::harness::{Outcome, ensure, ensure_eq};

/// RFLAGS.RF.
const RF: u64 = 1 << 16;
/// DR6.BS.
const BS: u64 = 1 << 14;

/// A guest that steps through its code gets the #DB of an instruction that the hypervisor did.
pub(crate) fn single_step(bench: &Bench) -> Outcome {
    if !has(Feature::GuestSingleStep) {
        return Ok(());
    }
    // CPUID; NOP; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0xa2, 0x90, 0xf4], &VcpuConfig::new(), |guest| {
        guest.vcpu.set_rflags(Rflags::new().with_tf(true));
        guest.expect(ExitKind::Cpuid)?;
        guest.vcpu.complete_cpuid([1, 2, 3, 4])?;
        handler_of(guest, 1, CODE + 2)?;
        ensure_eq!(guest.vcpu.dr6() & BS, BS, "DR6.BS");
        ensure_eq!(guest.vcpu.gprs().rdx, 4, "EDX");
        guest.vcpu.skip_instruction()?;
        // The processor's own step over NOP.
        handler_of(guest, 1, CODE + 3)
    })
}

/// Values reach the registers of the guest, and it goes on behind each instruction.
pub(crate) fn answers(bench: &Bench) -> Outcome {
    // IN AL, 60H; RDTSC; MOV RBX, CR4; MOV CR4, RBX; HLT.
    let code = [0xe4, 0x60, 0x0f, 0x31, 0x0f, 0x20, 0xe3, 0x0f, 0x22, 0xe3, 0xf4];
    let config = VcpuConfig::new().with_intercepts(x86_virt::Intercepts::new().with_hlt(true).with_rdtsc(true));
    bench.with_guest(Mode::Long, &code, &config, |guest| {
        guest.vcpu.gprs_mut().rax = 0x1234_5678_9abc_def0;
        let cr4 = guest.vcpu.control(x86_virt::ControlRegister::Cr4);
        for _ in 0..6 {
            match guest.run()?.kind {
                ExitKind::Io(io) => {
                    ensure_eq!(io.port, 0x60, "port at {:#x}", guest.vcpu.rip());
                    guest.vcpu.complete_in(io.size, 0xffff_ff42)?;
                    ensure_eq!(guest.vcpu.gprs().rax, 0x1234_5678_9abc_de42, "RAX after IN");
                }
                ExitKind::Rdtsc => guest.vcpu.complete_edx_eax(0x1_0000_0002)?,
                ExitKind::ControlRegister(access) => guest.vcpu.complete_control_register(access)?,
                kind => {
                    ensure_eq!(kind, ExitKind::Hlt, "exit at {:#x}", guest.vcpu.rip());
                    break;
                }
            }
        }
        let gprs = guest.vcpu.gprs();
        ensure_eq!((gprs.rax, gprs.rdx), (2, 1), "EAX and EDX after RDTSC");
        ensure_eq!(gprs.rbx, cr4, "CR4");
        ensure_eq!(guest.vcpu.rip(), CODE + 10, "RIP");
        Ok(())
    })
}

/// Exceptions in place of an instruction: where they return to, RF, the error code and CR2.
pub(crate) fn exceptions(bench: &Bench) -> Outcome {
    // CPUID; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0xa2, 0xf4], &VcpuConfig::new(), |guest| {
        for exception in [Exception::INVALID_OPCODE, Exception::general_protection(0x18), Exception::page_fault(6)] {
            guest.vcpu.set_state(&Mode::Long.state())?;
            guest.expect(ExitKind::Cpuid)?;
            match exception.error_code {
                Some(code) if exception.vector == 14 => guest.vcpu.raise_page_fault(Gva::new(0x1234_5678), code)?,
                _ => guest.vcpu.raise(exception)?,
            }
            let vector = exception.vector;
            guest.expect_handler(vector)?;
            let words = u64::from(exception.error_code.is_some());
            if let Some(code) = exception.error_code {
                ensure_eq!(guest.stacked(0)?, u64::from(code), "error code of {vector}");
            }
            ensure_eq!(guest.stacked(words)?, CODE, "RIP on the stack of {vector}");
            ensure_eq!(guest.stacked(words + 2)? & RF, RF, "RF on the stack of {vector}");
            ensure!(!guest.vcpu.rflags().rf(), "RF in the handler of {vector}");
        }
        let cr2 = guest.vcpu.control(x86_virt::ControlRegister::Cr2);
        ensure!(cr2 == 0x1234_5678 || !has(Feature::LoadedCr2), "CR2: {cr2:#x}");
        Ok(())
    })
}

fn handler_of(guest: &mut Guest<'_, '_>, vector: u8, rip: u64) -> Outcome {
    guest.expect_handler(vector)?;
    ensure_eq!(guest.stacked(0)?, rip, "RIP on the stack");
    Ok(())
}
