//! Guests that are saved on one machine and go on on another.
//!
//! With `carry=out`, the image prints what it saves: lines that start with `carry` and have bytes in hexadecimal. With `carry=N`, it finds
//! those N bytes where the launcher has loaded them, restores each guest, and runs it to its end.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt::Write as _;

use machine::println;
use x86_virt::{ExitKind, GuestRam, Root, StateComponent, Vcpu, VcpuState};

use super::{INTERRUPTS_SOFTWARE_INTERRUPT, Kind, Output, Run, flags, memory};
use crate::bench::{Bench, Frames};
use crate::harness::{Failure, Outcome, ensure, fail};

/// The memory that the guest uses, and the pieces of it that are carried if they have changed since it was loaded.
const CARRIED: usize = 0x1_0000;
const PIECE: usize = 16;
/// Bytes in a line.
const LINE: usize = 64;

/// Saves guests at their exits, or restores them.
pub(crate) fn between_machines(bench: &Bench) -> Outcome {
    match machine::arg("carry") {
        None => Ok(()),
        Some("out") => save_all(bench),
        Some(length) => {
            let Ok(length) = length.parse() else { fail!("carry={length}") };
            restore_all(bench, machine::carried(length).unwrap_or_default())
        }
    }
}

fn save_all(bench: &Bench) -> Outcome {
    let mut bytes = Vec::new();
    for kind in Kind::here() {
        save(bench, kind, &mut bytes).map_err(|why| Failure::new(format!("{kind:?}: {why}")))?;
    }
    for line in bytes.chunks(LINE) {
        let mut text = String::new();
        for byte in line {
            let _ = write!(text, "{byte:02x}");
        }
        println!("carry {text}");
    }
    Ok(())
}

/// What tells exits apart: of those that are alike, the first is carried.
fn signature(kind: &ExitKind, state: &VcpuState) -> (&'static str, Option<u16>, bool, bool, Option<x86_virt::Event>) {
    let port = if let ExitKind::Io(io) = kind { Some(io.port) } else { None };
    (kind.name(), port, state.shadow, state.nmi_blocked, state.event)
}

/// For a guest: its kind; the number of exits that are carried; for each its state, its memory and how much it had printed; then all that
/// it prints, and its state at the end.
fn save(bench: &Bench, kind: Kind, bytes: &mut Vec<u8>) -> Outcome {
    // Not what an emulator cannot report.
    let flags = flags(kind) & !INTERRUPTS_SOFTWARE_INTERRUPT;
    let mut root = bench.enter()?;
    let ram = bench.ram();
    let space = memory(kind, &root, &ram, flags)?;
    let loaded = copy(&ram)?;
    let mut run = Run::new(kind, &mut root, &space, ram, &kind.state(flags & super::USES_AVX != 0), Output::default())?;
    let mut stops = Vec::new();
    let mut seen = Vec::new();
    let mut state = VcpuState::default();
    loop {
        let exit = run.run()?;
        run.vcpu.save(&mut state);
        let signature = signature(&exit, &state);
        if !seen.contains(&signature) {
            seen.push(signature);
            let mut stop = Vec::new();
            put_state(&mut stop, &state)?;
            put_memory(&mut stop, &loaded, &copy(&ram)?)?;
            put(&mut stop, run.output.printed.len())?;
            stops.push(stop);
        }
        if !run.answer(exit)? {
            break;
        }
    }
    run.vcpu.save(&mut state);
    put(bytes, Kind::ALL.iter().position(|one| *one == kind).unwrap_or(0))?;
    put(bytes, usize::try_from(flags)?)?;
    put(bytes, stops.len())?;
    bytes.extend(stops.concat());
    put_bytes(bytes, &run.output.printed)?;
    put_state(bytes, &state)
}

fn restore_all(bench: &Bench, bytes: &[u8]) -> Outcome {
    let mut reader = Reader(bytes);
    let mut restored = 0;
    let mut root = bench.enter()?;
    while !reader.0.is_empty() {
        let number = reader.take()?;
        let Some(kind) = Kind::ALL.get(number).copied() else { fail!("a guest of kind {number}") };
        let flags = u32::try_from(reader.take()?)?;
        let mut stops = Vec::new();
        for _ in 0..reader.take()? {
            stops.push((reader.take_bytes()?, reader.take_bytes()?, reader.take()?));
        }
        let printed = reader.take_bytes()?;
        let end = VcpuState::from_bytes(reader.take_bytes()?)?;
        if !Kind::here().any(|here| here == kind) {
            println!("not on this machine: guests with {kind:?}");
            continue;
        }
        for (number, (state, pieces, done)) in stops.into_iter().enumerate() {
            let state = VcpuState::from_bytes(state)?;
            let rest = printed.get(done..).unwrap_or_default();
            go_on(bench, &mut root, kind, flags, (&state, pieces), (rest, &end))
                .map_err(|why| Failure::new(format!("{kind:?}, stop {number}: {why}\n{state}")))?;
            restored += 1;
        }
    }
    println!("restored {restored} guests of another machine");
    ensure!(restored > 50, "only {restored} guests were there");
    Ok(())
}

/// Runs a restored guest to its end.
fn go_on(
    bench: &Bench,
    root: &mut Root<'_, Frames>,
    kind: Kind,
    flags: u32,
    (state, pieces): (&VcpuState, &[u8]),
    (printed, end): (&[u8], &VcpuState),
) -> Outcome {
    let ram = bench.ram();
    let space = memory(kind, root, &ram, flags)?;
    for piece in pieces.chunks_exact(2 + PIECE) {
        if let Some((number, bytes)) = piece.split_first_chunk() {
            let number = usize::from(u16::from_le_bytes(*number));
            ram.write(u64::try_from(number * PIECE)?, bytes)?;
        }
    }
    let mut run = Run::new(kind, root, &space, ram, state, Output::default())?;
    loop {
        let exit = run.run()?;
        if !run.answer(exit)? {
            break;
        }
    }
    let Output { printed: now, .. } = &run.output;
    ensure!(now == printed, "printed {now:x?}, expected {printed:x?}");
    let mut last = VcpuState::default();
    run.vcpu.save(&mut last);
    let (last, end) = (comparable(last), comparable(end.clone()));
    ensure!(last == end, "at the end: {}", end.differences(&last));
    Ok(())
}

/// Without what emulators do not agree on: the opcode and the addresses of the last x87 instruction, which processors save or not, and whether
/// CS is a code segment in real mode, where it is one whatever its type.
fn comparable(mut state: VcpuState) -> VcpuState {
    if !state.cpu.cr0.pe() {
        let rights = state.cpu.cs.rights;
        state.cpu.cs.rights = rights.with_segment_type(rights.segment_type() | 8);
    }
    if let Some(extended) = &mut state.extended
        && extended.components().any(|component| component == StateComponent::X87)
    {
        let mut bytes = extended.component(StateComponent::X87).to_vec();
        bytes.get_mut(6..24).unwrap_or_default().fill(0);
        // It is as long as the component.
        let _done = extended.set_component(StateComponent::X87, &bytes);
    }
    state
}

fn copy(ram: &GuestRam<'_>) -> Outcome<Vec<u8>> {
    let mut bytes = vec![0; CARRIED];
    ram.read(0, &mut bytes)?;
    Ok(bytes)
}

fn put(bytes: &mut Vec<u8>, number: usize) -> Outcome {
    bytes.extend(u32::try_from(number)?.to_le_bytes());
    Ok(())
}

fn put_bytes(bytes: &mut Vec<u8>, more: &[u8]) -> Outcome {
    put(bytes, more.len())?;
    bytes.extend(more);
    Ok(())
}

fn put_state(bytes: &mut Vec<u8>, state: &VcpuState) -> Outcome {
    let mut buffer = vec![0; VcpuState::MAX_BYTES];
    put_bytes(bytes, state.to_bytes(&mut buffer)?)
}

/// The pieces that have changed, each with its number.
fn put_memory(bytes: &mut Vec<u8>, loaded: &[u8], now: &[u8]) -> Outcome {
    let mut pieces = Vec::new();
    for (number, (before, after)) in loaded.chunks(PIECE).zip(now.chunks(PIECE)).enumerate() {
        if before != after {
            pieces.extend(u16::try_from(number)?.to_le_bytes());
            pieces.extend(after);
        }
    }
    put_bytes(bytes, &pieces)
}

/// What [`save_all`] has written.
struct Reader<'b>(&'b [u8]);

impl<'b> Reader<'b> {
    fn take(&mut self) -> Outcome<usize> {
        let Some((number, rest)) = self.0.split_first_chunk() else { fail!("the file ends too early") };
        self.0 = rest;
        Ok(usize::try_from(u32::from_le_bytes(*number))?)
    }

    fn take_bytes(&mut self) -> Outcome<&'b [u8]> {
        let length = self.take()?;
        let Some((bytes, rest)) = self.0.split_at_checked(length) else { fail!("the file ends too early") };
        self.0 = rest;
        Ok(bytes)
    }
}
