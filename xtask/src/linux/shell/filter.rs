//! What of an emulator's output the user sees, byte by byte.

/// What begins a line of the image, and after that one of the guest.
const MARK: &[u8] = b"@ ";
const GUEST: &[u8] = b"| ";

/// Keeps what the image prints of what an emulator prints, byte by byte, and takes the marks off.
#[derive(Debug, Default)]
pub(super) struct Filter {
    /// The beginning of a line, as far as it is not shown.
    start: Vec<u8>,
    /// The line is shown; or `None` at its start.
    is_shown: Option<bool>,
}

impl Filter {
    pub(super) fn pass(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut shown = Vec::new();
        for &byte in bytes {
            if byte == b'\n' {
                if self.is_shown != Some(false) && (self.is_shown.is_some() || self.start.starts_with(MARK)) {
                    shown.extend_from_slice(&self.start);
                    shown.extend_from_slice(b"\r\n");
                }
                *self = Self::default();
            } else if self.is_shown == Some(true) {
                shown.push(byte);
            } else if self.is_shown.is_none() {
                self.start.push(byte);
                let guest = [MARK, GUEST].concat();
                if self.start.ends_with(&guest) {
                    self.start.clear();
                    self.is_shown = Some(true);
                } else if self.start.len() > guest.len() && !self.start.ends_with(MARK) {
                    self.decide(&mut shown);
                }
            }
        }
        shown
    }

    /// A line that is none of the guest's: the hypervisor's own is shown, the emulator's is not.
    fn decide(&mut self, shown: &mut Vec<u8>) {
        if self.start.starts_with(MARK) {
            shown.append(&mut self.start.split_off(MARK.len()));
            self.start.clear();
            self.is_shown = Some(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Filter;

    #[test]
    fn the_guests_bytes_are_shown_at_once() {
        let mut filter = Filter::default();
        let mut pass = |text: &str| String::from_utf8(filter.pass(text.as_bytes())).unwrap();
        assert_eq!(pass("@ | ~ # "), "~ # ");
        assert_eq!(pass("l"), "l");
        assert_eq!(pass("s\n"), "s\r\n");
        assert_eq!(pass("Next at t=0\n(0) [0x0000fffffff0]\n"), "");
        assert_eq!(pass("@ guest: 128 MiB\n"), "guest: 128 MiB\r\n");
        assert_eq!(pass("<bochs:1> @ | x\n"), "x\r\n");
        assert_eq!(pass("@ | \n"), "\r\n");
    }
}
