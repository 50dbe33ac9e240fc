//! An archive in the format that the kernel unpacks as its first file system.
//!
//! Linux, Documentation/driver-api/early-userspace/buffer-format.rst, "initramfs buffer format" (`newc`).

const MAGIC: &str = "070701";
const FOLDER: u32 = 0o040_755;
const PROGRAM: u32 = 0o100_755;
const DEVICE: u32 = 0o020_600;
const END: &str = "TRAILER!!!";

/// An archive that grows.
#[derive(Debug, Default)]
pub(super) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

impl Archive {
    /// Adds a folder.
    pub(super) fn add_folder(&mut self, name: &str) -> anyhow::Result<()> {
        self.add(name, FOLDER, &[], (0, 0))
    }

    /// Adds a file that can be executed.
    pub(super) fn add_program(&mut self, name: &str, contents: &[u8]) -> anyhow::Result<()> {
        self.add(name, PROGRAM, contents, (0, 0))
    }

    /// Adds a character device with its numbers.
    pub(super) fn add_device(&mut self, name: &str, major: u32, minor: u32) -> anyhow::Result<()> {
        self.add(name, DEVICE, &[], (major, minor))
    }

    /// The archive, with its end.
    pub(super) fn finish(mut self) -> anyhow::Result<Vec<u8>> {
        self.add(END, 0, &[], (0, 0))?;
        Ok(self.bytes)
    }

    fn add(&mut self, name: &str, mode: u32, contents: &[u8], (major, minor): (u32, u32)) -> anyhow::Result<()> {
        self.entries = self.entries.saturating_add(1);
        let name_bytes = u32::try_from(name.len().saturating_add(1))?;
        let (user, group, links, time, checksum) = (0, 0, 1, 0, 0);
        let fields = [
            self.entries,
            mode,
            user,
            group,
            links,
            time,
            u32::try_from(contents.len())?,
            0,
            0,
            major,
            minor,
            name_bytes,
            checksum,
        ];
        self.bytes.extend_from_slice(MAGIC.as_bytes());
        for field in fields {
            self.bytes.extend_from_slice(format!("{field:08x}").as_bytes());
        }
        self.bytes.extend_from_slice(name.as_bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend_from_slice(contents);
        self.pad();
        Ok(())
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[cfg(test)]
mod tests {
    use super::Archive;

    #[test]
    fn entries_are_aligned_and_the_end_is_marked() {
        let mut archive = Archive::default();
        archive.add_folder("dev").unwrap();
        archive.add_device("dev/console", 5, 1).unwrap();
        archive.add_program("init", b"#!sh\n").unwrap();
        let bytes = archive.finish().unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let starts: Vec<_> = text.match_indices("070701").map(|(at, _)| at).collect();
        assert_eq!(starts, [0, 116, 240, 364]);
        assert_eq!(&text[116 + 6..116 + 22], "00000002000021800"[..16].to_owned());
        assert_eq!(&text[240 + 54..240 + 62], "00000005");
        assert_eq!(&text[240 + 110..240 + 115], "init\0");
        assert!(text[364..].contains("TRAILER!!!\0"));
        assert_eq!(bytes.len() % 4, 0);
    }
}
