//! Linux with the module in its first file system, on an emulated machine.

use core::time::Duration;
use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::Context as _;

use super::build::{Built, NAME};
use super::cpio::{Contents, Entry, archive};
use super::kernel::Kernel;
use super::memory_image::{self, memory_image};
use crate::console::{self, Test, Verdict};
use crate::machine::{Emulator, Machine};
use crate::process::Process;
use crate::qemu;
use crate::watch::{self, End};

/// The first file system.
const ARCHIVE: &str = "initrd.cpio";
/// The kernel's own console.
const KERNEL_LOG: &str = "kernel.log";
const MEMORY_MIB: u32 = 512;
/// The modules of KVM, below those of the kernel.
const KVM: [&str; 4] =
    ["virt/lib/irqbypass.ko", "arch/x86/kvm/kvm.ko", "arch/x86/kvm/kvm-amd.ko", "arch/x86/kvm/kvm-intel.ko"];
/// For Linux on any machine: page tables of its own for programs, and registers of devices that programs may use.
const KERNEL_PARAMETERS: &str = "console=ttyS0 quiet panic=-1 pti=on iomem=relaxed";
/// QEMU's exit status when the machine restarts, as `-no-reboot` has it.
const RESTART: i32 = 0;
/// Lines more than any run prints.
const MOST_LINES: usize = 100_000;

/// What came of a run.
#[derive(Debug)]
pub(super) struct Run {
    pub(super) tests: Vec<Test>,
    pub(super) verdict: Result<(), String>,
    pub(super) took: Duration,
}

/// Writes the first file system to `folder`.
pub(super) fn write_archive(kernel: &Kernel, built: &Built, folder: &Path) -> anyhow::Result<()> {
    let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
    let module = read(&built.module)?;
    let program = read(&built.program)?;
    let name = format!("{NAME}.ko");
    let contents = KVM.iter().map(|path| read(&kernel.module(path))).collect::<anyhow::Result<Vec<_>>>()?;
    let mut entries: Vec<_> =
        ["dev", "proc", "sys"].iter().map(|&path| Entry { path, contents: Contents::Folder }).collect();
    entries.push(Entry { path: "dev/console", contents: Contents::Console });
    entries.push(Entry { path: "init", contents: Contents::File(&program) });
    entries.push(Entry { path: &name, contents: Contents::File(&module) });
    for (path, contents) in KVM.iter().zip(&contents) {
        let path = path.rsplit('/').next().unwrap_or(path);
        entries.push(Entry { path, contents: Contents::File(contents) });
    }
    fs::write(folder.join(ARCHIVE), archive(&entries))?;
    Ok(())
}

/// Boots, hands each line of the program to `on_line`, and judges.
pub(super) fn boot(
    kernel: &Kernel,
    machine: &Machine,
    cpus: u8,
    folder: &Path,
    mut on_line: impl FnMut(&str),
) -> anyhow::Result<Run> {
    let place = folder.join(format!("{}-{cpus}", machine.file_name()));
    fs::create_dir_all(&place)?;
    let (mut command, limit) = match machine.emulator {
        Emulator::Qemu => (qemu(kernel, machine, cpus), Duration::from_secs(180)),
        Emulator::Bochs => (bochs(kernel, machine, cpus, folder, &place)?, Duration::from_secs(300)),
    };
    command
        .current_dir(&place)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(place.join("stderr.txt"))?);
    let began = Instant::now();
    let mut process =
        Process::start(&mut command).with_context(|| format!("cannot start {}", command.get_program().display()))?;
    let mut lines = Vec::new();
    let end = watch::until_end(&mut process, limit, |line| {
        on_line(line);
        lines.push(line.to_owned());
        lines.len() < MOST_LINES
    })?;
    let mut tests: Vec<_> = lines.iter().filter_map(|line| console::test(line)).collect();
    let pass = match machine.emulator {
        Emulator::Bochs => crate::bochs::PASS,
        Emulator::Qemu => {
            let log = fs::read(place.join(KERNEL_LOG))?;
            tests.push(Test { name: "restart".to_owned(), outcome: restarted(&String::from_utf8_lossy(&log)) });
            RESTART
        }
    };
    let verdict = judge(&lines, &tests, end, pass)
        .map_err(|why| format!("{why}; the kernel's log is {}", place.join(KERNEL_LOG).display()));
    Ok(Run { tests, verdict, took: began.elapsed() })
}

/// A pass takes the program's word, and that of the emulator.
fn judge(lines: &[String], tests: &[Test], end: End, pass: i32) -> Result<(), String> {
    if let Some(test) = tests.iter().find(|test| test.outcome.is_err()) {
        return Err(format!("{} failed: {}", test.name, test.outcome.as_ref().err().map_or("", String::as_str)));
    }
    match (console::verdict(lines), end) {
        (Some(Verdict::Pass), End::Exit(status)) if status.code() == Some(pass) => Ok(()),
        (Some(Verdict::Fail), _) => Err("the program says that it failed".to_owned()),
        (_, end) => Err(format!("no verdict ({end:?}) after the line `{}`", lines.last().map_or("", String::as_str))),
    }
}

/// Whether Linux ended with a restart, before which the module had left VMX or SVM on all processors. A triple fault ends QEMU in
/// the same way, and so does a panic, since Linux restarts after one.
fn restarted(log: &str) -> Result<(), String> {
    let mut rest = log;
    for line in ["x86_virt_demo: 0 processors run guests from here on", "reboot: Restarting system"] {
        (_, rest) = rest.split_once(line).ok_or_else(|| format!("the kernel did not say `{line}`"))?;
    }
    match ["Kernel panic", "Oops", "BUG:"].iter().find(|mark| log.contains(**mark)) {
        None => Ok(()),
        Some(mark) => Err(format!("the kernel says `{mark}`")),
    }
}

/// All processors are in one thread of QEMU: with one for each, the RIP behind VMRUN was once in the VMCB as the guest's, after an NMI from
/// another processor. An interrupt that is injected would come twice so (`docs/testing.md`, "Linux as the guest"), but these guests
/// get none.
fn qemu(kernel: &Kernel, machine: &Machine, cpus: u8) -> Command {
    let mut command = Command::new(qemu::PROGRAM);
    command.args(["-accel", "tcg,thread=single", "-M", "q35", "-cpu", &machine.cpu, "-smp", &cpus.to_string()]);
    command.args(["-m", &MEMORY_MIB.to_string(), "-display", "none", "-nodefaults", "-no-user-config", "-no-reboot"]);
    command.args(["-debugcon", "stdio", "-serial", &format!("file:{KERNEL_LOG}")]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4"]);
    command.arg("-kernel").arg(kernel.image()).args(["-initrd", &format!("../{ARCHIVE}")]);
    command.args(["-append", &format!("{KERNEL_PARAMETERS} demo_firmware demo_flags=pti,fsgsbase,smap")]);
    command
}

/// The files that Bochs loads.
const MEMORY_IMAGE: &str = "memory.bin";
const ROM: &str = "start.rom";

/// Bochs without firmware, which takes longer than Linux itself.
fn bochs(kernel: &Kernel, machine: &Machine, cpus: u8, folder: &Path, place: &Path) -> anyhow::Result<Command> {
    anyhow::ensure!(cpus == 1, "without firmware nobody tells Linux of more than one processor");
    let image = fs::read(kernel.image())?;
    let archive = fs::read(folder.join(ARCHIVE))?;
    let command_line = format!(
        "{KERNEL_PARAMETERS} nokaslr tsc=reliable no_timer_check noxsave lpj=4000000 demo_flags=pti,pcid,fsgsbase"
    );
    let image = memory_image(&image, &archive, &command_line, u64::from(MEMORY_MIB) << 20)?;
    fs::write(place.join(ROM), memory_image::rom(&image)?)?;
    fs::write(place.join(MEMORY_IMAGE), &image.bytes)?;
    Ok(crate::bochs::command_with(place, &configuration(&machine.cpu), "c\n")?)
}

fn configuration(cpu: &str) -> String {
    format!(
        r#"plugin_ctrl: unmapped=1, biosdev=0, speaker=0, extfpuirq=0, parallel=0, serial=1, gameport=0, e1000=0
display_library: term
romimage: file="{ROM}"
optramimage1: file="{MEMORY_IMAGE}", address={:#x}
megs: {MEMORY_MIB}
cpu: model={cpu}, count=1, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=946684800, rtc_sync=0
com1: enabled=1, mode=file, dev={KERNEL_LOG}
port_e9_hack: enabled=1
pci: enabled=1, chipset=i440fx
floppya: type=none
boot: disk
mouse: enabled=0
private_colormap: enabled=0
log: {}
logprefix: %t%e%d
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
debugger_log: -
"#,
        memory_image::BASE,
        crate::bochs::LOG_FILE,
    )
}

#[cfg(test)]
mod tests {
    use super::restarted;

    #[test]
    fn a_restart_is_told_from_other_ends() {
        let (left, restart) = ("x86_virt_demo: 0 processors run guests from here on\n", "reboot: Restarting system\n");
        let fine = format!("[    9.1] {left}[    9.2] {restart}");
        assert_eq!(restarted(&fine), Ok(()));
        for bad in [
            String::new(),
            left.to_owned(),
            format!("{restart}{left}"),
            format!("x86_virt_demo: 1 processors run guests from here on\n{restart}"),
            format!("[    9.0] Kernel panic - not syncing: Fatal exception\n{fine}"),
        ] {
            assert!(restarted(&bad).is_err(), "{bad}");
        }
    }
}
