//! The loop with scripted guests, on any host.

use alloc::string::ToString as _;

use x86_virt::testing::{FakeMemory, ScriptedVcpu, Semantics, Step};
use x86_virt::{CpuState, ExitKind, Gpr, svm, vmx};

use super::{Guest, Mutex, Processor, RunError};
use crate::account::Account;
use crate::board::{Board, Ending, Setup};
use crate::clock::{Clock, Ticks};
use crate::cpuid::Cpuid;
use crate::host::Host;
use crate::local_apic::Interface;

/// A machine on which nothing happens: who sleeps is not woken, and the guest ends.
struct Quiet<'a>(&'a Mutex<Board>);

impl Host for Quiet<'_> {
    fn now(&self) -> Ticks {
        0
    }

    fn set_alarm(&mut self, _: Option<Ticks>) {}

    fn take_interrupts(&mut self) {}

    fn sleep(&mut self) {
        self.0.lock().end(Ending::Stopped);
    }

    fn tell(&self, _: usize) {}

    fn send(&mut self, _: &[u8]) {}

    fn receive(&mut self) -> Option<u8> {
        None
    }
}

/// Runs the loop with one exit, and with registers of one value. It comes to a value, and where it does not know the exit says so.
fn comes_to_a_value(semantics: Semantics, kind: ExitKind) {
    let interface = Interface::MemoryOrMsrs;
    for value in [0, 1, u64::MAX] {
        let mut state = CpuState::long_mode(0x1000, 0x8000, 0x2000);
        for register in Gpr::ALL {
            if let Some(slot) = state.gprs.get_mut(register) {
                *slot = value;
            }
        }
        let setup = Setup { processors: 1, interface, clock: Clock::new(1_193_182_000), seconds: 0, now: 0 };
        let board = Mutex::new(Board::new(&setup));
        let guest = Guest { memory: FakeMemory::new(0x4000), board, console: Mutex::new(()) };
        let cpuid = Cpuid { processor: |_, _| [u32::MAX; 4], apic_id: 0, interface };
        let mut processor = Processor::new(&guest, Quiet(&guest.board), 0, cpuid, Account::new(0, 0));
        let vcpu = if semantics == Semantics::Vmx { ScriptedVcpu::vmx(state) } else { ScriptedVcpu::svm(state) };
        let outcome = processor.run(&mut vcpu.with_script([Step::new(kind)]));
        let is_known = !matches!(outcome, Err(RunError::NotHandled { .. }));
        assert!(!(is_known && kind == ExitKind::Vendor), "{outcome:?}");
        if let Err(error) = outcome {
            assert!(!error.to_string().is_empty());
            assert_eq!(guest.board.lock().ending(), Some(Ending::Failed), "the other processors end, too");
        }
    }
}

#[test]
fn every_exit_comes_to_a_value() {
    let mut last = None;
    vmx::testing::every_exit(|_, kind| {
        if last.replace(kind) != Some(kind) {
            comes_to_a_value(Semantics::Vmx, kind);
        }
    });
    let mut last = None;
    svm::testing::every_exit(|_, kind| {
        if last.replace(kind) != Some(kind) {
            comes_to_a_value(Semantics::Svm, kind);
        }
    });
}
