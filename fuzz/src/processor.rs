//! A virtual processor that is nothing but its registers.
#![expect(unsafe_code, reason = "implements methods that are the caller's promise")]

use core::convert::Infallible;
use core::ops::RangeInclusive;

use x86_virt::{
    ControlRegister, CpuState, DescriptorTable, Efer, Events, Exit, ExitKind, Gprs, Interruptibility, MsrAccess,
    MsrRangeError, Rflags, Segment, SegmentRegister, SkipError, StateError, SwitchedMsr, Vcpu,
};

/// Registers, which keep what is written to them.
#[derive(Clone, Copy, Debug)]
pub struct Registers {
    /// What [`Vcpu::state`] returns.
    pub state: CpuState,
    /// Length of the instruction at RIP.
    pub length: u8,
    /// What was injected, and never comes.
    pub events: Events,
}

impl Registers {
    const fn segment_mut(&mut self, register: SegmentRegister) -> &mut Segment {
        match register {
            SegmentRegister::Es => &mut self.state.es,
            SegmentRegister::Cs => &mut self.state.cs,
            SegmentRegister::Ss => &mut self.state.ss,
            SegmentRegister::Ds => &mut self.state.ds,
            SegmentRegister::Fs => &mut self.state.fs,
            SegmentRegister::Gs => &mut self.state.gs,
            SegmentRegister::Ldtr => &mut self.state.ldtr,
            SegmentRegister::Tr => &mut self.state.tr,
        }
    }
}

/// Methods that read or write one register.
macro_rules! registers {
    ($($get:ident, $set:ident: $type:ty;)*) => {
        $(
            fn $get(&self) -> $type {
                self.state.$get
            }

            fn $set(&mut self, value: $type) {
                self.state.$get = value;
            }
        )*
    };
}

impl Vcpu for Registers {
    type Reason = u32;
    type EntryError = Infallible;

    registers! {
        rip, set_rip: u64;
        rsp, set_rsp: u64;
        rflags, set_rflags: Rflags;
        efer, set_efer: Efer;
        gdtr, set_gdtr: DescriptorTable;
        idtr, set_idtr: DescriptorTable;
        dr7, set_dr7: u64;
    }

    fn run(&mut self) -> Result<Exit<u32>, Infallible> {
        Ok(Exit { kind: ExitKind::Vendor, reason: 0 })
    }

    fn gprs(&self) -> &Gprs {
        &self.state.gprs
    }

    fn gprs_mut(&mut self) -> &mut Gprs {
        &mut self.state.gprs
    }

    fn control(&self, register: ControlRegister) -> u64 {
        match register {
            ControlRegister::Cr0 => self.state.cr0.into(),
            ControlRegister::Cr2 => self.state.cr2,
            ControlRegister::Cr3 => self.state.cr3,
            ControlRegister::Cr4 => self.state.cr4.into(),
            ControlRegister::Cr8 => 0,
        }
    }

    fn set_control(&mut self, register: ControlRegister, value: u64) -> Result<(), StateError> {
        match register {
            ControlRegister::Cr0 => self.state.cr0 = value.into(),
            ControlRegister::Cr2 => self.state.cr2 = value,
            ControlRegister::Cr3 => self.state.cr3 = value,
            ControlRegister::Cr4 => self.state.cr4 = value.into(),
            ControlRegister::Cr8 => {}
        }
        Ok(())
    }

    fn segment(&self, register: SegmentRegister) -> Segment {
        self.state.segment(register)
    }

    fn set_segment(&mut self, register: SegmentRegister, segment: Segment) {
        *self.segment_mut(register) = segment;
    }

    fn breakpoints(&self) -> [u64; 4] {
        [0; 4]
    }

    fn set_breakpoints(&mut self, _: [u64; 4]) -> Result<(), StateError> {
        Ok(())
    }

    fn dr6(&self) -> u64 {
        0
    }

    fn set_dr6(&mut self, _: u64) {}

    fn xcr0(&self) -> u64 {
        1
    }

    fn set_xcr0(&mut self, _: u64) -> Result<(), StateError> {
        Ok(())
    }

    fn msr(&self, _: SwitchedMsr) -> u64 {
        0
    }

    fn set_msr(&mut self, _: SwitchedMsr, _: u64) -> Result<(), StateError> {
        Ok(())
    }

    fn next_rip(&self) -> Result<u64, SkipError> {
        Ok(self.state.rip.wrapping_add(u64::from(self.length)))
    }

    fn interruptibility(&self) -> Interruptibility {
        Interruptibility::default()
    }

    fn clear_shadow(&mut self) {}

    fn events(&self) -> &Events {
        &self.events
    }

    fn events_mut(&mut self) -> &mut Events {
        &mut self.events
    }

    fn pass_msr(&mut self, _: SwitchedMsr, _: MsrAccess) {}

    unsafe fn pass_host_msr(&mut self, _: u32, _: MsrAccess) -> Result<(), MsrRangeError> {
        Ok(())
    }

    fn intercept_msr(&mut self, _: u32, _: MsrAccess) {}

    unsafe fn pass_ports(&mut self, _: RangeInclusive<u16>) {}

    fn intercept_ports(&mut self, _: RangeInclusive<u16>) {}

    fn set_state(&mut self, state: &CpuState) -> Result<(), StateError> {
        self.state = *state;
        Ok(())
    }
}
