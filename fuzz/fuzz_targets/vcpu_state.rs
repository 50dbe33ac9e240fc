//! The state of a virtual processor from any bytes: what is read is written back the same, and nothing that can be asked of it fails.
#![no_main]

use libfuzzer_sys::fuzz_target;
use x86_virt::{BytesError, ProcessorRole, VcpuState};

/// Bytes of a state as the library writes them, of which some are changed, or any bytes.
fn input(patches: &[Patch], cut: Option<u16>, raw: Option<&[u8]>) -> Vec<u8> {
    let mut buffer = [0; VcpuState::MAX_BYTES];
    let mut bytes = match raw {
        Some(raw) => raw.to_vec(),
        None => VcpuState::default().to_bytes(&mut buffer).expect("the buffer is large enough").to_vec(),
    };
    for (at, value) in patches {
        let at = usize::from(*at) % bytes.len().max(1);
        if let Some(byte) = bytes.get_mut(at) {
            *byte = *value;
        }
    }
    bytes.truncate(cut.map_or(usize::MAX, usize::from));
    bytes
}

/// A byte that is changed: where, and to what.
type Patch = (u16, u8);

fuzz_target!(|data: (Vec<Patch>, Option<u16>, Option<&[u8]>)| {
    let (patches, cut, raw) = data;
    let bytes = input(&patches, cut, raw);
    let mut state = match VcpuState::from_bytes(&bytes) {
        Ok(state) => state,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            // What is too short for a header is only that.
            assert!(
                bytes.len() >= 16
                    || matches!(error, BytesError::Length { .. } | BytesError::NotAState | BytesError::Version(_))
            );
            return;
        }
    };
    let mut buffer = [0; VcpuState::MAX_BYTES];
    let written = state.to_bytes(&mut buffer).expect("the buffer is large enough").to_vec();
    assert_eq!(VcpuState::from_bytes(&written).as_ref(), Ok(&state));
    // Registers stand where they stood.
    let registers = written.len().min(bytes.len()).min(16 + 400);
    assert_eq!(written.get(16..registers), bytes.get(16..registers));
    assert_eq!(state.differences(&state).next(), None);
    let fresh = VcpuState::default();
    assert_eq!(state.differences(&fresh).count() == 0, state == fresh, "{}", state.differences(&fresh));
    assert!(state.to_string().lines().count() > 70);
    let _any = state.check();
    state.init(1, ProcessorRole::Application);
    assert!(state.start_up(7));
    assert_eq!(state.cpu.cs.base, 0x7000);
});
