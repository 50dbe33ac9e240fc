//! The guest's area as plain data: the standard format of XSAVE, with the offsets of this processor.

use core::arch::asm;
use core::arch::x86_64::__cpuid_count;
use core::ops::Range;

use super::{FXSAVE, FpuState, NOT_SWITCHED, SWITCHABLE};
use crate::addr::Gva;
use crate::frame::{FRAME_BYTES, Frames};
use crate::host::Host;
use crate::register::Cr4;
use crate::state::{ExtendedState, StateComponent, StateError};

/// Where XSTATE_BV is, and the header that it is the start of.
///
/// Intel SDM vol. 1, section 13.4.2, "XSAVE Header".
const XSTATE_BV: usize = 512;
const HEADER: Range<usize> = 512..576;
/// Components that FXSAVE saves.
const LEGACY: u64 = 3;
/// The bits of MXCSR that a processor has which does not say which it has.
///
/// Intel SDM vol. 1, section 11.6.6, "Guidelines for Writing to the MXCSR Register".
const DEFAULT_MXCSR_MASK: u32 = 0xffbf;

impl<A: Frames> FpuState<A> {
    /// Copies the guest's state to `state`. It is `None` if host and guest share the registers.
    pub fn save(&self, state: &mut Option<ExtendedState>) {
        let Some(area) = self.area() else {
            *state = None;
            return;
        };
        let in_use = if self.uses_xsave() { number(area, XSTATE_BV) & SWITCHABLE } else { LEGACY };
        from_area(area, in_use, offset, state.insert(ExtendedState::new()));
    }

    /// Whether [`set`](Self::set) would take `state`.
    ///
    /// # Errors
    ///
    /// [`StateError`] if a component is in use that the host has not enabled, XRSTOR would fault, or nothing is switched.
    pub fn check(&self, host: Host<'_>, state: &ExtendedState) -> Result<(), StateError> {
        if self.switch.mode == NOT_SWITCHED {
            return Err(StateError::NotSwitched);
        }
        let enabled = self.enabled(host) | LEGACY;
        if let Some(missing) = state.components().find(|component| component.bit() & enabled == 0) {
            return Err(StateError::Component(missing));
        }
        let (mxcsr, mask) = (state.mxcsr(), mxcsr_mask());
        if mxcsr & !mask != 0 {
            return Err(StateError::Bits { register: "MXCSR", value: mxcsr.into(), bits: (mxcsr & !mask).into() });
        }
        check_bounds(state)
    }

    /// Sets the guest's state.
    ///
    /// # Errors
    ///
    /// As [`check`](Self::check); then nothing is changed.
    pub fn set(&mut self, host: Host<'_>, state: &ExtendedState) -> Result<(), StateError> {
        self.check(host, state)?;
        let mode = self.switch.mode;
        if let Some(area) = self.area_mut() {
            to_area(state, area, offset);
            if mode == FXSAVE {
                // The rest of the frame is not used.
                area.get_mut(HEADER).unwrap_or_default().fill(0);
            }
        }
        Ok(())
    }

    /// The components that the host has enabled and that are exchanged.
    pub(super) fn enabled(&self, host: Host<'_>) -> u64 {
        if self.uses_xsave() && Cr4::from(host.cr4()).osxsave() {
            // SAFETY: CR4.OSXSAVE is 1.
            let host_xcr0 = unsafe { host.xcr0() };
            host_xcr0 & SWITCHABLE
        } else {
            1
        }
    }

    fn area(&self) -> Option<&[u8; FRAME_BYTES]> {
        let pointer = self.switch.guest_area.cast::<[u8; FRAME_BYTES]>();
        // SAFETY: null, or a frame that `self` owns and that `initialize` wrote; assembly writes to it only while a caller has `self`
        // exclusively.
        unsafe { pointer.as_ref() }
    }

    fn area_mut(&mut self) -> Option<&mut [u8; FRAME_BYTES]> {
        let pointer = self.switch.guest_area.cast::<[u8; FRAME_BYTES]>();
        // SAFETY: as above, and `self` is exclusive.
        unsafe { pointer.as_mut() }
    }
}

/// Where this processor has a component in the standard format.
///
/// Intel SDM vol. 1, section 13.2, "Enumeration of CPU Support for XSAVE Instructions and XSAVE-Supported Features".
fn offset(component: StateComponent) -> Option<usize> {
    match component {
        StateComponent::X87 => Some(0),
        StateComponent::Sse => Some(160),
        other => usize::try_from(__cpuid_count(0xd, other.number()).ebx).ok().filter(|offset| *offset >= HEADER.end),
    }
}

/// The bits of MXCSR that this processor has.
fn mxcsr_mask() -> u32 {
    #[repr(C, align(16))]
    struct Area([u8; 512]);
    let mut area = Area([0; 512]);
    // SAFETY: FXSAVE writes 512 bytes, aligned to 16, and changes no register. 64-bit mode has it.
    unsafe { asm!("fxsave64 [{}]", in(reg) &raw mut area, options(nostack, preserves_flags)) };
    let mask = area.0.get(28..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes);
    if mask == 0 { DEFAULT_MXCSR_MASK } else { mask }
}

/// XRSTOR faults for a BNDCFGU with reserved bits or an address that is not canonical.
///
/// Intel SDM vol. 1, section 13.5.4, "MPX State".
fn check_bounds(state: &ExtendedState) -> Result<(), StateError> {
    const RESERVED: u64 = 0xffc;
    let value = number(state.component(StateComponent::Bndcsr), 0);
    if value & RESERVED != 0 {
        return Err(StateError::Bits { register: "BNDCFGU", value, bits: value & RESERVED });
    }
    // The host's linear addresses may be wider; the narrow ones are canonical in both.
    if Gva::new(value & !0xfff).is_canonical(48) {
        Ok(())
    } else {
        Err(StateError::NonCanonical { register: "BNDCFGU", value })
    }
}

/// The 8 bytes at `at`, or 0.
fn number(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk).copied().map_or(0, u64::from_le_bytes)
}

/// Takes the components `in_use` out of `area`.
fn from_area(area: &[u8], in_use: u64, offset: impl Fn(StateComponent) -> Option<usize>, state: &mut ExtendedState) {
    let mxcsr = area.get(24..).and_then(<[u8]>::first_chunk).copied().map_or(0, u32::from_le_bytes);
    state.set_mxcsr(mxcsr);
    for component in StateComponent::ALL.into_iter().filter(|component| in_use & component.bit() != 0) {
        let bytes = offset(component).and_then(|at| area.get(at..)?.get(..component.size()));
        // The length is that of the component.
        let _set = bytes.map(|bytes| state.set_component(component, bytes));
    }
    state.tidy();
}

/// Puts `state` into `area`, and the header.
fn to_area(state: &ExtendedState, area: &mut [u8], offset: impl Fn(StateComponent) -> Option<usize>) {
    area.fill(0);
    let mut put = |at: usize, bytes: &[u8]| {
        if let Some(to) = area.get_mut(at..).and_then(|rest| rest.get_mut(..bytes.len())) {
            to.copy_from_slice(bytes);
        }
    };
    for component in [StateComponent::X87, StateComponent::Sse].into_iter().chain(state.components()) {
        if let Some(at) = offset(component) {
            put(at, state.component(component));
        }
    }
    put(24, &state.mxcsr().to_le_bytes());
    put(XSTATE_BV, &state.in_use().to_le_bytes());
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec;

    use super::{FRAME_BYTES, check_bounds, from_area, number, to_area};
    use crate::state::{ExtendedState, StateComponent, StateError};

    /// Offsets as Intel's processors have them.
    fn intel(component: StateComponent) -> Option<usize> {
        Some(match component {
            StateComponent::X87 => 0,
            StateComponent::Sse => 160,
            StateComponent::Avx => 576,
            StateComponent::Bndregs => 960,
            StateComponent::Bndcsr => 1024,
            StateComponent::Opmask => 1088,
            StateComponent::ZmmHi256 => 1152,
            StateComponent::Hi16Zmm => 1664,
            StateComponent::Pkru => 2688,
        })
    }

    /// Offsets as AMD's Zen 4 has them: no MPX, and PKRU behind the rest.
    fn amd(component: StateComponent) -> Option<usize> {
        Some(match component {
            StateComponent::X87 => 0,
            StateComponent::Sse => 160,
            StateComponent::Avx => 576,
            StateComponent::Opmask => 832,
            StateComponent::ZmmHi256 => 896,
            StateComponent::Hi16Zmm => 1408,
            StateComponent::Pkru => 2432,
            StateComponent::Bndregs | StateComponent::Bndcsr => return None,
        })
    }

    #[test]
    fn components_move_between_the_layouts_of_the_vendors() {
        let mut state = ExtendedState::new();
        state.set_mxcsr(0x1fa0);
        let mut in_use = 0;
        for (byte, component) in (1_u8..).zip(StateComponent::ALL) {
            if !matches!(component, StateComponent::Bndregs | StateComponent::Bndcsr) {
                state.set_component(component, &vec![byte; component.size()]).unwrap();
                in_use |= component.bit();
            }
        }
        for offset in [intel, amd] {
            let mut area = vec![0xee; FRAME_BYTES];
            to_area(&state, &mut area, offset);
            assert_eq!((number(&area, 512), number(&area, 520)), (in_use, 0), "header");
            assert_eq!(area[28..32], [0; 4], "mask of MXCSR");
            assert_eq!(area[offset(StateComponent::Pkru).unwrap()], 9);
            let mut back = ExtendedState::new();
            from_area(&area, in_use, offset, &mut back);
            assert_eq!(back, state);
        }
    }

    #[test]
    fn what_is_not_in_use_is_as_after_init() {
        let mut area = vec![0xee; FRAME_BYTES];
        area[24..28].copy_from_slice(&0x1f80_u32.to_le_bytes());
        let mut state = ExtendedState::new();
        from_area(&area, 0, intel, &mut state);
        assert_eq!(state, ExtendedState::new());
        // The same as XSAVE writes it that does not track which are in their initial configuration.
        let mut whole = vec![0; FRAME_BYTES];
        to_area(&ExtendedState::new(), &mut whole, intel);
        from_area(&whole, 0x2ff, intel, &mut state);
        assert_eq!(state, ExtendedState::new());
        to_area(&state, &mut area, intel);
        assert_eq!((area[0], area[1], number(&area, 512)), (0x7f, 0x03, 0), "the control word for FXRSTOR");
    }

    #[test]
    fn bounds_that_would_fault_are_refused() {
        let with = |value: u64| {
            let mut state = ExtendedState::new();
            let bytes = [&value.to_le_bytes()[..], &[0; 56]].concat();
            state.set_component(StateComponent::Bndcsr, &bytes).unwrap();
            check_bounds(&state)
        };
        assert_eq!(with(0x7fff_ffff_f003), Ok(()));
        assert_eq!(with(0x1004), Err(StateError::Bits { register: "BNDCFGU", value: 0x1004, bits: 4 }));
        assert!(matches!(with(1 << 47), Err(StateError::NonCanonical { .. })));
    }
}
