//! QEMU: its command line and its exit status.

use std::path::Path;
use std::process::Command;

use crate::boot::{COMMAND_LINE_FILE, Hardware, Time};
use crate::image::{BASE, CARRIED, COMMAND_LINE, KERNEL_FILE, ROM_FILE};

/// The program.
pub(crate) const PROGRAM: &str = "qemu-system-x86_64";

/// The exit status when the image writes 0x10 to `isa-debug-exit`. A triple fault ends with 0.
pub(crate) const PASS: i32 = 33;

/// Where QEMU writes that a processor has taken a triple fault.
pub(crate) const LOG_FILE: &str = "qemu.log";

/// Why QEMU ended with status 0, which it does for a triple fault, for another reset, and for a signal: from its log and its
/// standard error.
pub(crate) fn why_it_left(log: &str, stderr: &str) -> &'static str {
    if log.contains("Triple fault") {
        "triple fault"
    } else if stderr.contains("terminating on signal") {
        "ended by a signal"
    } else {
        "reset, without a triple fault"
    }
}

/// Above this, the chipset Q35 has memory beyond 4 GiB.
const Q35_MIB: u64 = 2048;

/// QEMU in `folder`, whose parent holds the image; a file of the folder may be carried to it.
///
/// With `-icount` time is counted in instructions and the processors take turns. The chipset i440fx has the more memory below 4 GiB.
pub(crate) fn command(folder: &Path, cpu: &str, cpus: u8, hardware: &Hardware, carried: Option<&str>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.current_dir(folder).args(["-accel", "tcg"]);
    if hardware.time == Time::Counted {
        command.args(["-icount", "shift=0,sleep=off"]);
    }
    let chipset = if hardware.memory_mib > Q35_MIB { "pc" } else { "q35" };
    command.args(["-M", chipset, "-m", &hardware.memory_mib.to_string(), "-cpu", cpu, "-smp", &cpus.to_string()]);
    command.args(["-display", "none", "-nodefaults", "-no-user-config", "-no-reboot", "-debugcon", "stdio"]);
    command.args(["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-bios", &format!("../{ROM_FILE}")]);
    command.args(["-d", "cpu_reset", "-D", LOG_FILE]);
    if let Some(terminal) = &hardware.serial {
        command.arg("-serial").arg(terminal);
    }
    let carried = carried.map(|file| (file.to_owned(), CARRIED));
    let files = [(format!("../{KERNEL_FILE}"), BASE), (COMMAND_LINE_FILE.to_owned(), COMMAND_LINE)];
    for (file, address) in files.into_iter().chain(carried) {
        command.args(["-device", &format!("loader,file={file},addr={address:#x},force-raw=on")]);
    }
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_and_files_are_passed() {
        let (hardware, carried) = (Hardware::default(), Some("carried.bin"));
        let text = format!("{:?}", command(Path::new("/run"), "qemu64,+svm,+npt", 4, &hardware, carried));
        for part in [
            r#""-cpu" "qemu64,+svm,+npt" "-smp" "4""#,
            r#""-bios" "../stub.rom""#,
            "loader,file=../kernel.bin,addr=0x100000,force-raw=on",
            "loader,file=args.bin,addr=0x7000,force-raw=on",
            "loader,file=carried.bin,addr=0x20000,force-raw=on",
        ] {
            assert!(text.contains(part), "{text}");
        }
        assert!(text.contains(r#""-icount" "shift=0,sleep=off" "-M" "q35" "-m" "512""#), "{text}");
    }

    #[test]
    fn ends_with_status_0_are_told_apart() {
        let reset = "CPU Reset (CPU 0)\nEAX=00000000\n";
        let signal = "qemu-system-x86_64: terminating on signal 15 from pid 1 (kill)";
        assert_eq!(why_it_left(&format!("{reset}Triple fault\n"), ""), "triple fault");
        assert_eq!(why_it_left(reset, signal), "ended by a signal");
        assert_eq!(why_it_left(reset, ""), "reset, without a triple fault");
    }

    #[test]
    fn other_hardware_is_passed() {
        let hardware =
            Hardware { memory_mib: 3200, time: Time::Real, serial: Some("/dev/pts/7".into()), ..Hardware::default() };
        let text = format!("{:?}", command(Path::new("/run"), "max", 2, &hardware, None));
        assert!(!text.contains("icount"), "{text}");
        for part in [r#""-M" "pc" "-m" "3200""#, r#""-serial" "/dev/pts/7""#] {
            assert!(text.contains(part), "{text}");
        }
    }
}
