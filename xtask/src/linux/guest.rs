//! One guest: its files, its machine, and its boot.

use core::fmt;
use core::time::Duration;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail};

use super::files::{Kernel, file_system};
use super::{bytes_of, check};
use crate::boot::{Boot, Hardware, Run, Time};
use crate::cargo::{Profile, Workspace};
use crate::image::Image;
use crate::machine::{Emulator, Machine};
use crate::output;
use crate::runs::{Results, Single};

/// The example's package.
const PACKAGE: &str = "linux";
/// Where the kernel is in the memory of the machine: after what the example keeps for the library.
const KERNEL_AT: u64 = 0x280_0000;
/// The files end below.
const FILES_END: u64 = 0x800_0000;
/// The initial file system begins at a multiple of this.
const ALIGNMENT: u64 = 0x20_0000;
/// The memory of the machine that is not the guest's, in MiB.
const OWN_MIB: u64 = 192;
/// The date of machines whose time is counted: the beginning of the year 2000.
const FIXED_SECONDS: u64 = 946_684_800;

/// How the example is built.
const PROFILE: Profile = Profile::Release;

/// Builds the example: its ELF file.
pub(super) fn build(workspace: &Workspace) -> anyhow::Result<PathBuf> {
    output::progress(format_args!("building {PACKAGE} ({PROFILE})"));
    workspace.build_images(&[PACKAGE], PROFILE)?.into_iter().next().flatten().context("the example was not built")
}

/// How the local APIC of the guest is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Interface {
    Memory,
    MemoryOrMsrs,
}

/// Who does the local APICs of the guest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Apics {
    Auto,
    Virtual,
    Software,
}

/// A guest on a machine.
#[derive(Debug, Clone)]
pub(super) struct Guest<'a> {
    pub(super) machine: &'a Machine,
    pub(super) cpus: u8,
    pub(super) memory_mib: u64,
    pub(super) kernel: &'a Kernel,
    pub(super) append: &'a str,
    pub(super) time: Time,
    pub(super) interface: Interface,
    pub(super) apics: Apics,
    pub(super) is_verbose: bool,
    pub(super) has_shell: bool,
    pub(super) slices: u32,
}

/// What a guest is loaded with.
#[derive(Debug)]
pub(super) struct Files {
    kernel: Vec<u8>,
    initrd: Vec<u8>,
}

/// An image with the files in it.
#[derive(Debug)]
pub(super) struct Loaded {
    image: Image,
    /// The words of the command line that say where they are.
    words: [String; 2],
}

impl Files {
    /// Gets the files, some from packages.
    pub(super) fn obtain(
        workspace: &Workspace,
        folder: &Path,
        kernel: &Kernel,
        initrd: Option<&Path>,
    ) -> anyhow::Result<Self> {
        let folder = folder.join("linux");
        let read = |path: &Path| fs::read(path).with_context(|| format!("cannot read {}", path.display()));
        let initrd = match initrd {
            Some(path) => read(path)?,
            None => file_system(workspace, &folder)?,
        };
        Ok(Self { kernel: read(&kernel.obtain(&folder)?)?, initrd })
    }

    /// The same with another kernel, or another first file system.
    pub(super) fn with(&self, kernel: Option<Vec<u8>>, initrd: Option<Vec<u8>>) -> Self {
        let or = |other: Option<Vec<u8>>, own: &Vec<u8>| other.unwrap_or_else(|| own.clone());
        Self { kernel: or(kernel, &self.kernel), initrd: or(initrd, &self.initrd) }
    }

    /// The first half of the kernel's file.
    pub(super) fn half_of_kernel(&self) -> Vec<u8> {
        let (half, _) = self.kernel.split_at(self.kernel.len() / 2);
        half.to_vec()
    }

    /// An image of the example with this name, and with the files in it.
    pub(super) fn image(&self, elf: &Path, name: &str, folder: &Path) -> anyhow::Result<Loaded> {
        let image = Image::convert(elf, name, PROFILE, folder)?;
        let kernel_bytes = bytes_of(&self.kernel)?;
        let initrd_at = KERNEL_AT.saturating_add(kernel_bytes).next_multiple_of(ALIGNMENT);
        let initrd_bytes = bytes_of(&self.initrd)?;
        if initrd_at.saturating_add(initrd_bytes) > FILES_END {
            bail!("the kernel and the initrd have {kernel_bytes} and {initrd_bytes} bytes; there is room for 88 MiB");
        }
        image.append(&[(KERNEL_AT, self.kernel.clone()), (initrd_at, self.initrd.clone())])?;
        let word = |name, at, bytes| format!("{name}={at:#x}:{bytes}");
        let words = [word("kernel", KERNEL_AT, kernel_bytes), word("initrd", initrd_at, initrd_bytes)];
        Ok(Loaded { image, words })
    }
}

impl<'a> Guest<'a> {
    /// A guest of one processor and 128 MiB that tests itself.
    pub(super) const fn usual(machine: &'a Machine) -> Self {
        Self {
            machine,
            cpus: 1,
            memory_mib: 128,
            kernel: &Kernel::Cloud,
            append: "",
            time: Time::Counted,
            interface: Interface::MemoryOrMsrs,
            apics: Apics::Auto,
            is_verbose: false,
            has_shell: false,
            slices: 0,
        }
    }

    /// The name of its image.
    pub(super) fn image_name(&self) -> String {
        match self.kernel {
            Kernel::Cloud | Kernel::Stock => format!("{PACKAGE}-{}", self.kernel),
            Kernel::File(_) => format!("{PACKAGE}-file"),
        }
    }

    /// Boots it, and hands on each line of the console.
    pub(super) fn boot(&self, loaded: &Loaded, limit: Duration, on_line: impl FnMut(&str)) -> anyhow::Result<Run> {
        let words = self.words(loaded);
        let arguments: Vec<_> = words.iter().map(String::as_str).collect();
        let hardware = self.hardware(None)?;
        let (image, machine) = (&loaded.image, self.machine);
        Boot { image, machine, cpus: self.cpus, take: 0, arguments: &arguments, carried: None, limit, hardware }
            .run(on_line)
    }

    /// One of many runs.
    pub(super) fn single<'r>(
        &self,
        title: String,
        loaded: &'r Loaded,
        limit: Duration,
        judge: Box<dyn Fn(&Run) -> Results + Sync + 'r>,
    ) -> anyhow::Result<Single<'r>>
    where
        'a: 'r,
    {
        let (words, hardware) = (self.words(loaded), self.hardware(None)?);
        let (image, machine) = (&loaded.image, self.machine);
        Ok(Single { title, image, machine, cpus: self.cpus, words, hardware, limit, judge })
    }

    /// The machine, with a terminal at its serial port if there is one.
    pub(super) fn hardware(&self, serial: Option<&Path>) -> anyhow::Result<Hardware> {
        let memory_mib = self.memory_mib.saturating_add(OWN_MIB);
        check(self.machine, memory_mib)?;
        Ok(Hardware { memory_mib, time: self.time, serial: serial.map(Path::to_owned), ..Hardware::default() })
    }

    /// The image that it is booted with.
    pub(super) fn image<'l>(&self, loaded: &'l Loaded) -> &'l Image {
        &loaded.image
    }

    /// The words for the example, and after `--` those for the kernel.
    pub(super) fn words(&self, loaded: &Loaded) -> Vec<String> {
        let ram = self.memory_mib.saturating_add(OWN_MIB);
        let mut words = vec![format!("ram={ram}"), format!("memory={}", self.memory_mib)];
        words.extend_from_slice(&loaded.words);
        words.push(format!("seconds={}", self.seconds()));
        if self.interface == Interface::Memory {
            words.push("apic=memory".to_owned());
        }
        match self.apics {
            Apics::Auto => {}
            Apics::Virtual => words.push("apics=virtual".to_owned()),
            Apics::Software => words.push("apics=software".to_owned()),
        }
        if self.has_shell {
            words.push("input".to_owned());
        }
        if self.slices != 0 {
            words.push(format!("timeline={}", self.slices));
        }
        words.push("--".to_owned());
        // Without it the kernel tests its cryptography, which takes half of the boot.
        words.push("cryptomgr.notests".to_owned());
        words.push(format!("console=ttyS0 panic=-1 processors={} mib={}", self.cpus, self.memory_mib));
        words.push(format!("longest={}", if self.time == Time::Counted { 75 } else { 1000 }));
        if !self.is_verbose {
            words.push("quiet".to_owned());
        }
        if self.has_shell {
            words.push("shell=1".to_owned());
        }
        if self.machine.emulator == Emulator::Bochs {
            // It executes some 50 million instructions a second.
            words.push("mitigations=off rodata=off nokaslr".to_owned());
        }
        if !self.append.is_empty() {
            words.push(self.append.to_owned());
        }
        words
    }

    fn seconds(&self) -> u64 {
        match self.time {
            Time::Counted => FIXED_SECONDS,
            Time::Real => SystemTime::now().duration_since(UNIX_EPOCH).map_or(FIXED_SECONDS, |time| time.as_secs()),
        }
    }
}

impl fmt::Display for Guest<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernel, machine, cpus, memory_mib, .. } = self;
        write!(formatter, "linux ({kernel}) on {machine} ({}), cpus={cpus}, {memory_mib} MiB", machine.vendor)?;
        if self.interface == Interface::Memory {
            formatter.write_str(", xAPIC")?;
        }
        match self.apics {
            Apics::Auto => {}
            Apics::Virtual => formatter.write_str(", virtual APICs")?,
            Apics::Software => formatter.write_str(", APICs in software")?,
        }
        if self.time == Time::Real {
            formatter.write_str(", real time")?;
        }
        Ok(())
    }
}
