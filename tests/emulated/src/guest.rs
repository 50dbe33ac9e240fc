//! Small guests in three modes, with an IDT whose handlers tell the host their vector.

use x86_virt::{
    Access, AnyVcpu, CpuState, DescriptorTable, Efer, Exit, ExitKind, Gpa, GuestRam, Mapping, PageSize, Reason, Root,
    Segment, SegmentAccessRights, Space, Vcpu, VcpuConfig,
};

use crate::bench::{Bench, Frames};
use crate::coverage;
use crate::harness::{Outcome, ensure_eq, fail};

/// Where things are in the guest's memory.
pub(crate) const TABLES: u64 = 0x1000;
pub(crate) const GDT: u64 = 0x4000;
pub(crate) const IDT: u64 = 0x5000;
pub(crate) const HANDLERS: u64 = 0x6000;
pub(crate) const CODE: u64 = 0x8000;
/// The page of the stack, and where it starts.
pub(crate) const STACK_PAGE: u64 = 0xa000;
pub(crate) const STACK: u64 = 0xaf00;
pub(crate) const DATA: u64 = 0x1_0000;

/// Bytes of OUT in a handler.
pub(crate) const OUT_LENGTH: u64 = 2;

/// In what mode a guest runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Real mode, with CS:IP = [`CODE`] / 16:0.
    Real,
    /// 32-bit protected mode without paging.
    Protected,
    /// 64-bit mode, the first GiB mapped one to one.
    Long,
}

impl Mode {
    /// RIP of the first instruction.
    pub(crate) const fn start(self) -> u64 {
        match self {
            Self::Real => 0,
            Self::Protected | Self::Long => CODE,
        }
    }

    /// The registers before the first instruction.
    pub(crate) fn state(self) -> CpuState {
        match self {
            Self::Real => CpuState { rsp: STACK, ..CpuState::real_mode(0x800, 0) },
            Self::Protected => {
                let state = CpuState::real_mode(0, 0);
                let data = Segment::flat(16, SegmentAccessRights::DATA32);
                CpuState {
                    rip: CODE,
                    rsp: STACK,
                    cr0: state.cr0.with_pe(true),
                    cs: Segment::flat(24, SegmentAccessRights::CODE32),
                    ds: data,
                    es: data,
                    ss: data,
                    fs: data,
                    gs: data,
                    ..state
                }
            }
            Self::Long => CpuState {
                gdtr: DescriptorTable { base: GDT, limit: 0x1f },
                idtr: DescriptorTable { base: IDT, limit: 0xfff },
                efer: Efer::new().with_lme(true).with_lma(true).with_sce(true),
                ..CpuState::long_mode(CODE, STACK, TABLES)
            },
        }
    }
}

/// A guest that is loaded on this processor.
#[derive(Debug)]
pub(crate) struct Guest<'r, 's> {
    pub(crate) vcpu: AnyVcpu<'r, 's, 'static, Frames>,
    pub(crate) space: &'s Space<'static, Frames>,
    pub(crate) ram: GuestRam<'static>,
}

impl Bench {
    /// Enters the root, makes a guest of 2 MiB in pages of 4 KiB with `code`, and calls `test` with it.
    pub(crate) fn with_guest(
        &self,
        mode: Mode,
        code: &[u8],
        config: &VcpuConfig,
        test: impl FnOnce(&mut Guest<'_, '_>) -> Outcome,
    ) -> Outcome {
        let mut root = self.enter()?;
        let ram = self.ram();
        load(&ram, code)?;
        let space = space(&root, &ram)?;
        let vcpu = root.vcpu(&space, config)?;
        let mut guest = Guest { vcpu, space: &space, ram };
        guest.vcpu.set_state(&mode.state())?;
        test(&mut guest)
    }
}

/// An address space with all of `ram` at address 0, in pages of 4 KiB.
pub(crate) fn space(root: &Root<'_, Frames>, ram: &GuestRam<'static>) -> Outcome<Space<'static, Frames>> {
    let space = root.address_space()?;
    let mapping = Mapping::new(Access::ALL).largest(PageSize::Size4K);
    space.map(Gpa::new(0)..Gpa::new(ram.bytes()), ram, 0, mapping)?;
    Ok(space)
}

/// The page at `address`.
pub(crate) const fn page(address: u64) -> core::ops::Range<Gpa> {
    Gpa::new(address)..Gpa::new(address + 0x1000)
}

/// Fills `ram` with tables, handlers and `code`.
pub(crate) fn load(ram: &GuestRam<'_>, code: &[u8]) -> Outcome {
    const PRESENT_WRITABLE: u64 = 3;
    const LARGE: u64 = 1 << 7;
    ram.write(TABLES, &(0x2000 | PRESENT_WRITABLE).to_le_bytes())?;
    ram.write(0x2000, &(0x3000 | PRESENT_WRITABLE).to_le_bytes())?;
    for index in 0..512_u64 {
        let entry = index << 21 | PRESENT_WRITABLE | LARGE;
        ram.write(0x3000 + 8 * index, &entry.to_le_bytes())?;
    }
    // Null, 64-bit code, data, 32-bit code.
    let descriptors = [0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0x00cf_9b00_0000_ffff_u64];
    for (offset, descriptor) in (GDT..).step_by(8).zip(descriptors) {
        ram.write(offset, &descriptor.to_le_bytes())?;
    }
    for vector in 0..=u8::MAX {
        let index = u64::from(vector);
        let handler = HANDLERS + 16 * index;
        // OUT to the port with the number of the vector, then IRETQ.
        ram.write(handler, &[0xe6, vector, 0x48, 0xcf])?;
        let present_interrupt_gate = 0x8e00_u64;
        let gate = handler & 0xffff | 8 << 16 | present_interrupt_gate << 32;
        ram.write(IDT + 16 * index, &gate.to_le_bytes())?;
    }
    ram.write(CODE, code)?;
    Ok(())
}

impl Guest<'_, '_> {
    /// Runs to the next exit.
    pub(crate) fn run(&mut self) -> Outcome<Exit<Reason>> {
        let exit = self.vcpu.run()?;
        coverage::exit(exit.reason);
        coverage::host_event(&exit);
        Ok(exit)
    }

    /// Runs to an exit of this kind.
    pub(crate) fn expect(&mut self, kind: ExitKind) -> Outcome {
        let exit = self.run()?;
        ensure_eq!(exit.kind, kind, "exit at {:#x} ({})", self.vcpu.rip(), exit.reason);
        Ok(())
    }

    /// Runs to the OUT in the handler of `vector`.
    pub(crate) fn expect_handler(&mut self, vector: u8) -> Outcome {
        let exit = self.run()?;
        match exit.kind {
            ExitKind::Io(io) if io.port == u16::from(vector) => {}
            kind => fail!("{kind:x?} at {:#x} in place of the handler of {vector:#x}", self.vcpu.rip()),
        }
        ensure_eq!(self.vcpu.rip(), HANDLERS + 16 * u64::from(vector), "RIP in the handler of {vector:#x}");
        Ok(())
    }

    /// The 64-bit word at guest-physical address `address`.
    pub(crate) fn word(&self, address: u64) -> Outcome<u64> {
        let mut bytes = [0; 8];
        self.ram.read(address, &mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// The word on the stack, `depth` words from its top.
    pub(crate) fn stacked(&self, depth: u64) -> Outcome<u64> {
        self.word(self.vcpu.rsp() + 8 * depth)
    }
}
