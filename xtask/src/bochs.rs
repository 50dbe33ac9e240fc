//! Bochs: its configuration, its command line, its exit status and its log.

use std::path::Path;
use std::process::Command;
use std::{fs, io};

use crate::boot::{COMMAND_LINE_FILE, Hardware};
use crate::image::{BASE, CARRIED, COMMAND_LINE, KERNEL_FILE, ROM_FILE};
use crate::setup::find_program;

/// The program's names: Debian's `bochs` is a wrapper or a link.
pub(crate) const PROGRAMS: [&str; 2] = ["bochs-bin", "bochs"];

/// The exit status when the image writes `D` to port 0x8900 and the debugger's script goes on with `q`.
pub(crate) const PASS: i32 = 0;

const CONFIGURATION_FILE: &str = "bochsrc";
const DEBUGGER_FILE: &str = "debugger.rc";
pub(crate) const LOG_FILE: &str = "bochs.log";

/// Bochs in `folder`, whose parent holds the image; a file of the folder may be carried to it. Writes its configuration there.
pub(crate) fn command(
    folder: &Path,
    cpu: &str,
    cpus: u8,
    hardware: &Hardware,
    carried: Option<&str>,
) -> io::Result<Command> {
    command_with(folder, &configuration(cpu, cpus, hardware, carried), &hardware.script)
}

/// Bochs in `folder` with this configuration, and these commands for its debugger.
pub(crate) fn command_with(folder: &Path, configuration: &str, script: &str) -> io::Result<Command> {
    fs::write(folder.join(CONFIGURATION_FILE), configuration)?;
    // Debian's Bochs starts at the prompt of its debugger.
    fs::write(folder.join(DEBUGGER_FILE), format!("{script}q\n"))?;
    fs::write(folder.join(LOG_FILE), "")?;
    let [first, second] = PROGRAMS;
    let mut command = Command::new(if find_program(first) { first } else { second });
    command.current_dir(folder).args(["-q", "-f", CONFIGURATION_FILE, "-rc", DEBUGGER_FILE]);
    // The display `term` wants a terminal's name, though it gets no terminal.
    command.env("TERM", "dumb");
    Ok(command)
}

/// The last `count` lines of the log of a run in `folder` that say why it failed.
pub(crate) fn complaints(folder: &Path, count: usize) -> Vec<String> {
    let log = fs::read(folder.join(LOG_FILE)).unwrap_or_default();
    let log = String::from_utf8_lossy(&log);
    let lines: Vec<_> = log.lines().filter(|line| is_complaint(line)).collect();
    lines.iter().skip(lines.len().saturating_sub(count)).map(|&line| line.to_owned()).collect()
}

/// Whether a line of the log has the level `e` (error) or `p` (panic), or says why an entry failed or the machine stands
/// still.
fn is_complaint(line: &str) -> bool {
    matches!(level(line), Some('e' | 'p'))
        || [">>PANIC<<", "VMFAIL", "VMENTER FAIL", "HLT instruction with IF=0"].iter().any(|mark| line.contains(mark))
}

/// Whether a line tells of Bochs's own affairs.
pub(crate) fn is_chatter(line: &str) -> bool {
    level(line) == Some('i')
}

/// The level of a line of the log, which begins with the number of ticks, the level and the device:
/// `00002241640e[CPU0  ] `.
fn level(line: &str) -> Option<char> {
    let (prefix, _) = line.split_once('[')?;
    let level = prefix.trim_start_matches(|c: char| c.is_ascii_digit());
    let mut letters = level.chars();
    letters.next().filter(|_| letters.next().is_none() && level.len() < prefix.len())
}

/// The image is the last file: one of more than 128 KiB is loaded in one piece only there.
fn configuration(cpu: &str, cpus: u8, hardware: &Hardware, carried: Option<&str>) -> String {
    let (carried, kernel) = match carried {
        Some(file) => (format!("optramimage2: file=\"{file}\", address={CARRIED:#010x}\n"), 3),
        None => (String::new(), 2),
    };
    let memory = hardware.memory_mib;
    let (plugin, port) = match &hardware.serial {
        None => (0, String::new()),
        Some(terminal) => (1, format!("com1: enabled=1, mode=term, dev={}\n", terminal.display())),
    };
    format!(
        r#"plugin_ctrl: unmapped=1, biosdev=0, speaker=0, extfpuirq=0, parallel=0, serial={plugin}, gameport=0, e1000=0
display_library: term
romimage: file="../{ROM_FILE}"
optramimage1: file="{COMMAND_LINE_FILE}", address={COMMAND_LINE:#010x}
{carried}optramimage{kernel}: file="../{KERNEL_FILE}", address={BASE:#010x}
megs: {memory}
cpu: model={cpu}, count={cpus}, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1
clock: sync=none, time0=946684800, rtc_sync=0
{port}port_e9_hack: enabled=1
pci: enabled=1, chipset=i440fx
floppya: type=none
boot: disk
mouse: enabled=0
private_colormap: enabled=0
log: {LOG_FILE}
logprefix: %t%e%d
panic: action=fatal
error: action=report
info: action=report
debug: action=ignore
debugger_log: -
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_configuration_names_processors_and_files() {
        let text = configuration("ryzen", 4, &Hardware::default(), None);
        for line in [
            "cpu: model=ryzen, count=4, ips=50000000, reset_on_triple_fault=0, ignore_bad_msrs=1",
            r#"romimage: file="../stub.rom""#,
            r#"optramimage1: file="args.bin", address=0x00007000"#,
            r#"optramimage2: file="../kernel.bin", address=0x00100000"#,
            "megs: 512",
            "log: bochs.log",
        ] {
            assert!(text.lines().any(|has| has == line), "{line}");
        }
        assert!(text.contains(" serial=0,") && !text.contains("com1"), "{text}");
        let hardware = Hardware { serial: Some("/dev/pts/7".into()), ..Hardware::default() };
        let text = configuration("ryzen", 1, &hardware, None);
        assert!(
            text.contains(" serial=1,") && text.contains("\ncom1: enabled=1, mode=term, dev=/dev/pts/7\n"),
            "{text}"
        );
    }

    #[test]
    fn a_carried_file_comes_before_the_image() {
        let text = configuration("ryzen", 1, &Hardware::default(), Some("carried.bin"));
        let files: Vec<_> = text.lines().filter(|line| line.starts_with("optramimage")).collect();
        assert_eq!(
            files,
            [
                r#"optramimage1: file="args.bin", address=0x00007000"#,
                r#"optramimage2: file="carried.bin", address=0x00020000"#,
                r#"optramimage3: file="../kernel.bin", address=0x00100000"#,
            ]
        );
    }

    #[test]
    fn complaints_are_told_from_the_rest_of_the_log() {
        let table = [
            ("00002241640e[CPU0  ] VMENTER FAIL: VMCS guest invalid CR0", true),
            ("00002249207e[CPU0  ] VMFAIL: VMCS invalid host TR selector", true),
            ("00000000012p[CPU0  ] >>PANIC<< exception(): 3rd (13) exception with no resolution", true),
            ("00002247675d[CPU0  ] VMFAIL: VMCS link pointer malformed", true),
            ("00000000000i[      ] reading configuration from bochsrc", false),
            ("00000071841i[CPU0  ] WARNING: HLT instruction with IF=0!", true),
            ("e[no ticks", false),
            ("", false),
        ];
        for (line, complains) in table {
            assert_eq!(is_complaint(line), complains, "{line:?}");
        }
        assert!(is_chatter("00000000000i[PLUGIN] loaded plugin libbx_iodebug.so"));
        assert!(!is_chatter("Bochs is exiting with the following message:"));
    }
}
