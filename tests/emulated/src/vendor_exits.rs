//! Exits that the library asks for nowhere: they have their kind and their reason, can be printed and skipped.
#![expect(unsafe_code, reason = "intercepts more than the library does")]

use alloc::string::ToString as _;

use x86_virt::svm::vmcb::control;
use x86_virt::svm::{ExitCode, SvmExit};
use x86_virt::vmx::field;
use x86_virt::vmx::{BasicExitReason, SecondaryControls, VmcsRead as _, VmcsWrite as _};
use x86_virt::{
    AnyVcpu, DescriptorTableAccess, ExitKind, Gva, Operand, OperandSize, Reason, TableAccess, TableRegister,
    TaskSwitch, TaskSwitchSource, Vcpu, VcpuConfig,
};

use crate::bench::Bench;
use crate::guest::{CODE, GDT, Guest, Mode};
use crate::harness::{Outcome, ensure, ensure_eq, fail};

/// SIDT, where the processor is told to end a run there.
pub(crate) fn descriptor_table_access(bench: &Bench) -> Outcome {
    // SIDT [RSI]; HLT.
    bench.with_guest(Mode::Long, &[0x0f, 0x01, 0x0e, 0xf4], &VcpuConfig::new(), |guest| {
        guest.vcpu.gprs_mut().rsi = crate::guest::DATA;
        match &mut guest.vcpu {
            AnyVcpu::Vmx(vcpu) => {
                let controls =
                    vcpu.vmcs().read(field::SECONDARY_CONTROLS)? | SecondaryControls::DESCRIPTOR_TABLE_EXITING;
                // SAFETY: more exits, not fewer.
                unsafe { vcpu.vmcs_mut().write_sensitive(field::SECONDARY_CONTROLS, controls) }?;
            }
            AnyVcpu::Svm(vcpu) => {
                // Exit code 66H is bit 6 of the word for 60H to 7FH.
                let intercepts = vcpu.read(control::INTERCEPT_MISC1) | 1 << 6;
                // SAFETY: more exits, not fewer.
                unsafe { vcpu.write_owned(control::INTERCEPT_MISC1, intercepts) };
            }
            _ => fail!("a third vendor"),
        }
        let access = DescriptorTableAccess {
            table: TableRegister::Idtr,
            direction: TableAccess::Store,
            operand: Operand::Memory(Gva::new(crate::guest::DATA)),
            size: Some(OperandSize::Bits64),
        };
        let reason = expect(guest, ExitKind::DescriptorTable(access))?;
        match reason {
            Reason::Vmx(reason) => ensure_eq!(reason.basic(), BasicExitReason::GDTR_OR_IDTR_ACCESS, "reason"),
            Reason::Svm(SvmExit { code, .. }) => ensure_eq!(code, ExitCode::IDTR_READ, "exit code"),
            _ => fail!("a third vendor"),
        }
        ensure_eq!(guest.vcpu.next_rip()?, CODE + 3, "RIP of the next instruction");
        guest.vcpu.skip_instruction()?;
        guest.expect(ExitKind::Hlt)
    })
}

/// A task switch, which VMX does not do for a guest.
pub(crate) fn task_switch(bench: &Bench) -> Outcome {
    // JMP 0x20:0; HLT.
    bench.with_guest(Mode::Protected, &[0xea, 0, 0, 0, 0, 0x20, 0, 0xf4], &VcpuConfig::new(), |guest| {
        // An available 32-bit task-state segment at 0x12000, behind the other descriptors.
        guest.ram.write(GDT + 0x20, &0x0000_8901_2000_0067_u64.to_le_bytes())?;
        guest.vcpu.set_gdtr(x86_virt::DescriptorTable { base: GDT, limit: 0x27 });
        let switch = TaskSwitch { selector: 0x20, source: TaskSwitchSource::Jmp, error_code: None };
        let reason = expect(guest, ExitKind::TaskSwitch(switch))?;
        ensure!(matches!(reason, Reason::Vmx(reason) if reason.basic() == BasicExitReason::TASK_SWITCH), "{reason}");
        ensure_eq!(guest.vcpu.next_rip()?, CODE + 7, "RIP of the next instruction");
        guest.vcpu.skip_instruction()?;
        guest.expect(ExitKind::Hlt)
    })
}

fn expect(guest: &mut Guest<'_, '_>, kind: ExitKind) -> Outcome<Reason> {
    let exit = guest.run()?;
    ensure_eq!(exit.kind, kind, "exit ({})", exit.reason);
    ensure!(!exit.reason.to_string().is_empty(), "the reason prints nothing");
    Ok(exit.reason)
}
