//! A guest in a thread of the kernel, from its making to its end.
#![expect(unsafe_code, reason = "passes on a promise about memory")]

use alloc::boxed::Box;
use core::fmt::{self, Write};

use linux_module_abi::{Ending, Exit, Run};
use x86_virt::{
    AnyParkedVcpu, AnyVcpu, CpuState, CreateError, EntryError, LoadError, Reason, Space, SpaceError, StateError,
    UnloadError, Vcpu, VcpuConfig,
};

use crate::exit_loop::{self, Ended, Guest};
use crate::frames::KernelFrames;
use crate::kernel::{self, Chunk};
use crate::memory::{self, MemoryError};
use crate::processor::{KernelRoot, NoRoot, with_root};

/// Runs the guest that `run` describes, and says there what came of it.
///
/// # Safety
///
/// Nobody but the guest uses the pages of `chunks` until the call returns.
pub(crate) unsafe fn run(run: &mut Run, chunks: &[Chunk], exits: &mut [Exit], state: &CpuState) {
    let mut guest = Guest::new(exits, run.most_exits);
    // SAFETY: the caller's promise; the space is dropped before the call returns.
    let outcome = unsafe { perform(run, chunks, state, &mut guest) };
    run.ending = match outcome {
        Ok(ending) => ending,
        Err(why) => {
            let _ = write!(guest.console, "{why}");
            Ending::ERROR
        }
    };
    run.exit_count = guest.count;
    run.host_interrupts = guest.host_interrupts;
    run.host_nmis = guest.host_nmis;
    run.result = guest.result;
    run.exits_stored = u32::try_from(guest.stored()).unwrap_or(0);
    let text = guest.console.text();
    for (to, from) in run.text.iter_mut().zip(text) {
        *to = *from;
    }
}

/// # Safety
///
/// As [`run`].
unsafe fn perform(run: &mut Run, chunks: &[Chunk], state: &CpuState, guest: &mut Guest<'_>) -> Result<u32, TaskError> {
    let space = with_root(|root, _| root.address_space())??;
    // SAFETY: the caller's promise.
    unsafe { memory::map(&space, chunks) }?;
    let mut parked = Box::new(None);
    with_root(|root, _| create(root, &space, state, run.argument, &mut parked))??;
    loop {
        let ended = with_root(|root, processor| {
            run.last_processor = processor;
            slice(root, &space, guest, &mut parked)
        })??;
        match ended {
            Some(Ended::Halted) => return Ok(Ending::HALTED),
            Some(Ended::Exits) => return Ok(Ending::EXITS),
            None => {}
        }
        if kernel::is_over() {
            return Ok(Ending::TIME);
        }
    }
}

/// A place for a virtual processor that is not loaded, on the heap: it has more than 1 KiB.
///
/// The stack of a thread of the kernel is small, and a function has room for each copy that it makes of a value. So the functions
/// below that move a virtual processor are out of line, and do little else.
type Place<'s, 'm> = Option<AnyParkedVcpu<'s, 'm, KernelFrames>>;
type Loaded<'r, 's, 'm> = AnyVcpu<'r, 's, 'm, KernelFrames>;

/// Makes the virtual processor.
#[inline(never)]
fn create<'s, 'm>(
    root: &mut KernelRoot,
    space: &'s Space<'m, KernelFrames>,
    state: &CpuState,
    argument: u64,
    place: &mut Place<'s, 'm>,
) -> Result<(), TaskError> {
    let mut vcpu = Box::new(None);
    make(root, space, &mut vcpu)?;
    if let Some(vcpu) = vcpu.as_mut() {
        vcpu.set_state(state)?;
        vcpu.gprs_mut().rbx = argument;
    }
    park(&mut vcpu, place)
}

#[inline(never)]
fn make<'r, 's, 'm>(
    root: &'r mut KernelRoot,
    space: &'s Space<'m, KernelFrames>,
    to: &mut Option<Loaded<'r, 's, 'm>>,
) -> Result<(), TaskError> {
    match root.vcpu(space, &VcpuConfig::new()) {
        Ok(vcpu) => {
            *to = Some(vcpu);
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}

/// Lets the guest run until the kernel has something else to do, or it ends.
#[inline(never)]
fn slice<'m>(
    root: &mut KernelRoot,
    space: &Space<'m, KernelFrames>,
    guest: &mut Guest<'_>,
    place: &mut Place<'_, 'm>,
) -> Result<Option<Ended>, TaskError> {
    let mut vcpu = None;
    load(root, place, &mut vcpu)?;
    let ended = match &mut vcpu {
        Some(vcpu) => exit_loop::run(vcpu, guest, space, code).map_err(|error| error.map_entry(TaskError::Entry))?,
        None => None,
    };
    park(&mut vcpu, place)?;
    Ok(ended)
}

#[inline(never)]
fn load<'r, 's, 'm>(
    root: &'r mut KernelRoot,
    place: &mut Place<'s, 'm>,
    to: &mut Option<Loaded<'r, 's, 'm>>,
) -> Result<(), TaskError> {
    let Some(parked) = place.take() else { return Ok(()) };
    match parked.load(root) {
        Ok(vcpu) => {
            *to = Some(vcpu);
            Ok(())
        }
        Err(refused) => Err(TaskError::Load(refused.error)),
    }
}

#[inline(never)]
fn park<'s, 'm>(vcpu: &mut Option<Loaded<'_, 's, 'm>>, place: &mut Place<'s, 'm>) -> Result<(), TaskError> {
    if let Some(vcpu) = vcpu.take() {
        *place = Some(vcpu.unload()?);
    }
    Ok(())
}

/// The processor's own code of an exit.
fn code(reason: &Reason) -> u64 {
    match reason {
        Reason::Vmx(reason) => u64::from(reason.into_bits()),
        Reason::Svm(exit) => exit.code.into_bits(),
        _ => u64::MAX,
    }
}

/// Why a guest ended before its time.
#[derive(Debug)]
pub(crate) enum TaskError {
    NoRoot,
    Space(SpaceError),
    Memory(MemoryError),
    Create(CreateError),
    State(StateError),
    Load(LoadError),
    Unload(UnloadError),
    Entry(EntryError),
    NotHandled { name: &'static str, rip: u64 },
}

impl fmt::Display for TaskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoot => f.write_str("this processor runs no guests"),
            Self::Space(error) => error.fmt(f),
            Self::Memory(MemoryError::Ram(error)) => error.fmt(f),
            Self::Memory(MemoryError::Map(error)) => error.fmt(f),
            Self::Create(error) => error.fmt(f),
            Self::State(error) => error.fmt(f),
            Self::Load(error) => error.fmt(f),
            Self::Unload(error) => error.fmt(f),
            Self::Entry(error) => error.fmt(f),
            Self::NotHandled { name, rip } => write!(f, "exit for {name} at {rip:#x}, which is not answered"),
        }
    }
}

/// `From` for errors that have nothing to add.
macro_rules! from {
    ($($error:ty => $variant:ident,)*) => {
        $(impl From<$error> for TaskError {
            fn from(error: $error) -> Self {
                Self::$variant(error)
            }
        })*
    };
}

from! {
    SpaceError => Space,
    MemoryError => Memory,
    CreateError => Create,
    StateError => State,
    LoadError => Load,
    UnloadError => Unload,
}

impl From<NoRoot> for TaskError {
    fn from(NoRoot: NoRoot) -> Self {
        Self::NoRoot
    }
}
