//! What Linux says of itself.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::OpenOptionsExt as _;

/// The kernel's log from some moment on.
#[derive(Debug)]
pub(crate) struct KernelLog(File);

/// O_NONBLOCK.
const NONBLOCK: i32 = 0o4000;

impl KernelLog {
    /// From now on.
    pub(crate) fn from_now() -> anyhow::Result<Self> {
        let mut file = OpenOptions::new().read(true).custom_flags(NONBLOCK).open("/dev/kmsg")?;
        file.seek(SeekFrom::End(0))?;
        Ok(Self(file))
    }

    /// The lines since then, or since the last call.
    pub(crate) fn lines(&mut self) -> anyhow::Result<Vec<String>> {
        let mut lines = Vec::new();
        let mut record = [0; 8192];
        loop {
            match self.0.read(&mut record) {
                Ok(length) => {
                    let record = String::from_utf8_lossy(record.get(..length).unwrap_or_default()).into_owned();
                    let text = record.split_once(';').map_or(record.as_str(), |(_, text)| text);
                    lines.push(text.lines().next().unwrap_or_default().to_owned());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(lines),
                // Records were lost; the next ones follow.
                Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Whether a line tells that something is wrong with the kernel.
pub(crate) fn is_complaint(line: &str) -> bool {
    [
        "WARNING",
        "BUG",
        "Oops",
        "general protection",
        "kernel stack",
        "rcu:",
        "blocked for more",
        "soft lockup",
        "scheduling while",
    ]
    .iter()
    .any(|mark| line.contains(mark))
}

/// The flags of `tainted` that tell of a bug: machine check, bad page, oops, warning, soft lockup.
const BUGS: u64 = 1 << 4 | 1 << 5 | 1 << 7 | 1 << 9 | 1 << 14;

/// The flags that tell of a bug, or 0.
pub(crate) fn taint() -> anyhow::Result<u64> {
    Ok(fs::read_to_string("/proc/sys/kernel/tainted")?.trim().parse::<u64>()? & BUGS)
}
