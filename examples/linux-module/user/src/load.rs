//! Work for Linux beside the guests: processes, memory, system calls and arithmetic, all of it checked.

use core::hint::black_box;
use core::time::Duration;
use std::fs::File;
use std::io::Read as _;
use std::process;
use std::time::Instant;

use anyhow::ensure;

/// Works for so long.
pub(crate) fn work(time: Duration) -> anyhow::Result<u64> {
    let end = Instant::now() + time;
    let mut rounds = 0;
    while Instant::now() < end {
        arithmetic()?;
        memory()?;
        system_calls()?;
        rounds += 1;
    }
    Ok(rounds)
}

/// Floating-point numbers that stay in vector registers over many interrupts.
fn arithmetic() -> anyhow::Result<()> {
    let sums = |start: f64| {
        let mut lanes = [start, start + 1.0, start + 2.0, start + 3.0];
        for step in 0..20_000_u32 {
            for lane in &mut lanes {
                *lane += f64::from(black_box(step)) * 0.5;
            }
        }
        lanes
    };
    let expected = 0.5 * f64::from(20_000_u32) * f64::from(19_999_u32) / 2.0;
    let found = sums(0.0);
    ensure!(
        found.iter().zip([0.0, 1.0, 2.0, 3.0]).all(|(found, start)| (found - start - expected).abs() < 1e-3),
        "floating point: {found:?}, not {expected}"
    );
    Ok(())
}

/// Memory that is new each time.
fn memory() -> anyhow::Result<()> {
    let mut bytes = vec![0_u8; 1 << 20];
    for (byte, number) in bytes.iter_mut().step_by(64).zip((0..=u8::MAX).cycle()) {
        *byte = number;
    }
    let sum: u64 = bytes.iter().map(|&byte| u64::from(byte)).sum();
    ensure!(sum == 64 * 255 * 128, "memory: {sum}");
    Ok(())
}

fn system_calls() -> anyhow::Result<()> {
    let own = process::id();
    for _ in 0..50 {
        ensure!(process::id() == own, "another process");
    }
    let mut zeros = [1; 65536];
    File::open("/dev/zero")?.read_exact(&mut zeros)?;
    ensure!(zeros.iter().all(|&zero| zero == 0), "zeros");
    std::thread::yield_now();
    Ok(())
}
