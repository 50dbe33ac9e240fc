//! Archives that Linux unpacks into its first file system: the format `newc` of cpio.
//!
//! Linux, Documentation/driver-api/early-userspace/buffer-format.rst.

/// A file of an archive.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    pub(super) path: &'a str,
    pub(super) contents: Contents<'a>,
}

/// What a file is.
#[derive(Debug)]
pub(super) enum Contents<'a> {
    Folder,
    /// A file that may be executed.
    File(&'a [u8]),
    /// The console, device 5:1, which Linux opens for the first program.
    Console,
}

/// The bytes of an archive.
pub(super) fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (number, entry) in (1..).zip(entries) {
        let (mode, data, device) = match entry.contents {
            Contents::Folder => (0o40_755, &[][..], [0, 0]),
            Contents::File(data) => (0o100_755, data, [0, 0]),
            Contents::Console => (0o20_600, &[][..], [5, 1]),
        };
        append(&mut bytes, number, entry.path, mode, data, device);
    }
    append(&mut bytes, 0, "TRAILER!!!", 0, &[], [0, 0]);
    bytes
}

fn append(bytes: &mut Vec<u8>, number: usize, path: &str, mode: usize, data: &[u8], [major, minor]: [usize; 2]) {
    let links = 1;
    let fields = [number, mode, 0, 0, links, 0, data.len(), 0, 0, major, minor, path.len() + 1, 0];
    bytes.extend(b"070701");
    bytes.extend(fields.iter().flat_map(|field| format!("{field:08x}").into_bytes()));
    bytes.extend(path.bytes().chain([0]));
    pad(bytes);
    bytes.extend(data);
    pad(bytes);
}

fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_headers_names_and_data_at_multiples_of_four() {
        let file = Entry { path: "init", contents: Contents::File(b"hello") };
        let folder = Entry { path: "dev", contents: Contents::Folder };
        let console = Entry { path: "dev/console", contents: Contents::Console };
        let bytes = archive(&[folder, console, file]);
        let text = String::from_utf8(bytes).unwrap();
        let expected = [
            "070701",
            "00000001000041ed0000000000000000000000010000000000000000",
            "000000000000000000000000000000000000000400000000dev\0\0\0",
            "070701",
            "00000002000021800000000000000000000000010000000000000000",
            "0000000000000000000000050000000100 00000c00000000dev/console\0\0\0",
            "070701",
            "00000003000081ed0000000000000000000000010000000000000005",
            "000000000000000000000000000000000000000500000000init\0\0hello\0\0\0",
            "070701",
            "00000000000000000000000000000000000000010000000000000000",
            "000000000000000000000000000000000000000b00000000TRAILER!!!\0\0\0\0",
        ];
        assert_eq!(text, expected.concat().replace(' ', ""));
    }
}
