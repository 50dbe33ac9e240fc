//! A state as text.

use core::fmt;

use crate::state::rows::ROWS;
use crate::state::{Msrs, StateComponent, VcpuState};

/// Bytes of a component in a line.
const LINE: usize = 16;
/// Where values start.
const COLUMN: usize = 25;

/// A line for each register, and for each 16 bytes of the components of x87, SSE and AVX state that are in use and not zero.
impl fmt::Display for VcpuState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in ROWS {
            write!(f, "{:COLUMN$}", row.name)?;
            (row.show)((row.get)(self), f)?;
            writeln!(f)?;
        }
        for msr in Msrs::held() {
            writeln!(f, "{:COLUMN$}{:#018x}", msr.name(), self.msr(msr))?;
        }
        let Some(extended) = &self.extended else { return Ok(()) };
        writeln!(f, "{:COLUMN$}{:#010x}", "MXCSR", extended.mxcsr())?;
        for component in extended.components() {
            show(component, extended.component(component), f)?;
        }
        Ok(())
    }
}

fn show(component: StateComponent, bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (number, line) in bytes.chunks(LINE).enumerate() {
        if number != 0 && line.iter().all(|byte| *byte == 0) {
            continue;
        }
        write!(f, "{component:10}byte {:<10}", number * LINE)?;
        for byte in line {
            write!(f, "{byte:02x}")?;
        }
        writeln!(f)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;

    use crate::event::{Event, Exception};
    use crate::state::{Msrs, VcpuState};

    #[test]
    fn the_text_is_the_same_in_every_version() {
        let mut state = VcpuState::reset(0x0005_0654);
        state.event = Some(Event::Exception(Exception::general_protection(0x18)));
        let text = state.to_string();
        let line =
            |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_string();
        assert_eq!(text.lines().next(), Some("RAX                      0x0000000000000000"));
        assert_eq!(line("RDX "), "0x0000000000050654");
        assert_eq!(line("CS "), "0xf000");
        assert_eq!(line("CS rights"), "0x0000009b SEGMENT_TYPE=0xb CODE_OR_DATA PRESENT");
        assert_eq!(line("CS base"), "0x00000000ffff0000");
        assert_eq!(line("CR0"), "0x0000000060000010 ET NW CD");
        assert_eq!(line("event"), "Exception(Exception { vector: 13, error_code: Some(24) })");
        assert_eq!(line("NMIs blocked"), "no");
        assert_eq!(line("activity"), "running");
        assert_eq!(line("PAT"), "0x0007040600070406");
        assert_eq!(line("MXCSR"), "0x00001f80");
        assert_eq!(line("x87       byte 0 "), "40000000ff0000000000000000000000");
        assert_eq!(text.lines().count(), 76 + Msrs::held().count() + 3, "{text}");
    }
}
