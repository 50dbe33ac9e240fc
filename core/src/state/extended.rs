//! x87, SSE and AVX state as plain data.

use core::fmt;
use core::ops::Range;

/// A component of the state that XSAVE manages, as far as guests get them.
///
/// Intel SDM vol. 1, section 13.1, "XSAVE-Supported Features and State-Component Bitmaps".
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum StateComponent {
    /// x87: ST0 to ST7 and the control registers.
    X87,
    /// SSE: XMM0 to XMM15. MXCSR is always there.
    Sse,
    /// AVX: the upper halves of YMM0 to YMM15.
    Avx,
    /// MPX: BND0 to BND3.
    Bndregs,
    /// MPX: BNDCFGU and BNDSTATUS.
    Bndcsr,
    /// AVX-512: K0 to K7.
    Opmask,
    /// AVX-512: the upper halves of ZMM0 to ZMM15.
    ZmmHi256,
    /// AVX-512: ZMM16 to ZMM31.
    Hi16Zmm,
    /// PKRU.
    Pkru,
}

impl StateComponent {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 9] = [
        Self::X87,
        Self::Sse,
        Self::Avx,
        Self::Bndregs,
        Self::Bndcsr,
        Self::Opmask,
        Self::ZmmHi256,
        Self::Hi16Zmm,
        Self::Pkru,
    ];

    /// Its number: that of its bit in XCR0 and in XSTATE_BV.
    #[must_use]
    pub const fn number(self) -> u32 {
        match self {
            Self::X87 => 0,
            Self::Sse => 1,
            Self::Avx => 2,
            Self::Bndregs => 3,
            Self::Bndcsr => 4,
            Self::Opmask => 5,
            Self::ZmmHi256 => 6,
            Self::Hi16Zmm => 7,
            Self::Pkru => 9,
        }
    }

    /// Its bit in XCR0 and in XSTATE_BV.
    #[must_use]
    pub const fn bit(self) -> u64 {
        1 << self.number()
    }

    /// How many bytes it has. x87 and SSE share the legacy region, in which each has a part.
    ///
    /// Intel SDM vol. 1, section 13.4, "XSAVE Area", and 13.5, "XSAVE-Managed State".
    #[must_use]
    pub const fn size(self) -> usize {
        let place = self.place();
        place.end - place.start
    }

    /// Where it is in an [`ExtendedState`].
    const fn place(self) -> Range<usize> {
        match self {
            Self::X87 => 0..160,
            Self::Sse => 160..416,
            Self::Avx => 576..832,
            Self::Bndregs => 960..1024,
            Self::Bndcsr => 1024..1088,
            Self::Opmask => 1088..1152,
            Self::ZmmHi256 => 1152..1664,
            Self::Hi16Zmm => 1664..2688,
            Self::Pkru => 2688..2696,
        }
    }
}

impl fmt::Display for StateComponent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::X87 => "x87",
            Self::Sse => "SSE",
            Self::Avx => "AVX",
            Self::Bndregs => "BNDREGS",
            Self::Bndcsr => "BNDCSR",
            Self::Opmask => "opmask",
            Self::ZmmHi256 => "ZMM_Hi256",
            Self::Hi16Zmm => "Hi16_ZMM",
            Self::Pkru => "PKRU",
        })
    }
}

/// x87, SSE, AVX, MPX, AVX-512 and PKRU state of a guest, in one layout for all processors.
///
/// It is the standard format of XSAVE with the offsets of Intel's processors. AMD's have some components elsewhere, as CPUID leaf 0DH
/// says: what is saved on one and restored on the other is moved. Components that are not [in use](Self::in_use) are in their initial
/// configuration.
///
/// ```
/// use x86_virt_core::{ExtendedState, StateComponent};
///
/// let mut state = ExtendedState::new();
/// assert_eq!((state.in_use(), state.mxcsr()), (0, 0x1f80));
/// state.set_component(StateComponent::Pkru, &[0x55, 0x55, 0x55, 0x55, 0, 0, 0, 0])?;
/// assert_eq!(state.in_use(), 1 << 9);
/// # Ok::<(), x86_virt_core::ComponentError>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct ExtendedState {
    in_use: u64,
    /// Without the header, and with MXCSR_MASK as 0.
    bytes: [u8; Self::BYTES],
}

/// Where MXCSR and its mask are in the legacy region.
///
/// Intel SDM vol. 1, section 13.4.1, "Legacy Region of an XSAVE Area".
const MXCSR: Range<usize> = 24..28;
const MXCSR_MASK: Range<usize> = 28..32;
/// MXCSR after reset.
///
/// Intel SDM vol. 1, section 11.6.4, "Initialization of SSE/SSE2/SSE3 Extensions".
const MXCSR_RESET: u32 = 0x1f80;
/// The x87 control word after FINIT, and after reset.
const FCW_FINIT: u16 = 0x037f;
const FCW_RESET: u16 = 0x0040;

impl ExtendedState {
    /// Bytes of the area that holds all components.
    pub const BYTES: usize = 2696;

    /// All components in their initial configuration.
    ///
    /// Intel SDM vol. 1, section 13.6, "Processor Tracking of XSAVE-Managed State".
    #[must_use]
    pub fn new() -> Self {
        let mut state = Self { in_use: 0, bytes: [0; Self::BYTES] };
        state.put(0..2, &FCW_FINIT.to_le_bytes());
        state.set_mxcsr(MXCSR_RESET);
        state
    }

    /// After power-up or reset: the x87 registers hold +0.0 and are not empty, and the control word is 40H.
    ///
    /// Intel SDM vol. 3, section 10.1.1, "Processor State After Reset".
    #[must_use]
    pub fn after_reset() -> Self {
        let mut state = Self::new();
        state.put(0..2, &FCW_RESET.to_le_bytes());
        // The tag word in its short form: no register is empty.
        state.put(4..5, &[0xff]);
        state.in_use = StateComponent::X87.bit();
        state
    }

    /// XSTATE_BV: the bits of the components that are not in their initial configuration.
    #[must_use]
    pub const fn in_use(&self) -> u64 {
        self.in_use
    }

    /// The components that are in use.
    pub fn components(&self) -> impl Iterator<Item = StateComponent> {
        let in_use = self.in_use;
        StateComponent::ALL.into_iter().filter(move |component| in_use & component.bit() != 0)
    }

    /// The bytes of `component`. Those of x87 have MXCSR in them.
    #[must_use]
    pub fn component(&self, component: StateComponent) -> &[u8] {
        self.bytes.get(component.place()).unwrap_or_default()
    }

    /// Sets `component`, which is in use then. Of x87, MXCSR and its mask stay as they were.
    ///
    /// # Errors
    ///
    /// [`ComponentError`] if `bytes` are not as many as it has; then nothing is changed.
    pub fn set_component(&mut self, component: StateComponent, bytes: &[u8]) -> Result<(), ComponentError> {
        if bytes.len() != component.size() {
            return Err(ComponentError { component, bytes: bytes.len() });
        }
        let mxcsr = self.mxcsr();
        self.put(component.place(), bytes);
        if component == StateComponent::X87 {
            self.put(MXCSR_MASK, &[0; 4]);
            self.set_mxcsr(mxcsr);
        }
        self.in_use |= component.bit();
        Ok(())
    }

    /// Puts `component` into its initial configuration.
    pub fn clear_component(&mut self, component: StateComponent) {
        let initial = Self::new();
        let mxcsr = self.mxcsr();
        self.put(component.place(), initial.component(component));
        self.set_mxcsr(mxcsr);
        self.in_use &= !component.bit();
    }

    /// Takes components that are as after [`new`](Self::new) for what they are: not in use. Processors differ in whether they take note.
    #[cfg(target_arch = "x86_64")]
    pub(crate) fn tidy(&mut self) {
        let mut initial = Self::new();
        initial.set_mxcsr(self.mxcsr());
        for component in StateComponent::ALL {
            if self.component(component) == initial.component(component) {
                self.in_use &= !component.bit();
            }
        }
    }

    /// MXCSR.
    #[must_use]
    pub fn mxcsr(&self) -> u32 {
        let bytes = self.bytes.get(MXCSR).and_then(<[u8]>::first_chunk);
        bytes.copied().map_or(0, u32::from_le_bytes)
    }

    /// Sets MXCSR.
    pub fn set_mxcsr(&mut self, mxcsr: u32) {
        self.put(MXCSR, &mxcsr.to_le_bytes());
    }

    /// XMM0 to XMM15.
    #[must_use]
    pub fn xmm(&self, number: u8) -> Option<u128> {
        let bytes = self.component(StateComponent::Sse).get(16 * usize::from(number)..)?;
        bytes.first_chunk().copied().map(u128::from_le_bytes)
    }

    fn put(&mut self, place: Range<usize>, bytes: &[u8]) {
        for (to, from) in self.bytes.get_mut(place).unwrap_or_default().iter_mut().zip(bytes) {
            *to = *from;
        }
    }
}

impl Default for ExtendedState {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for ExtendedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExtendedState")
            .field("in_use", &format_args!("{:#x}", self.in_use))
            .field("mxcsr", &format_args!("{:#x}", self.mxcsr()))
            .finish_non_exhaustive()
    }
}

#[cfg(feature = "arbitrary")]
impl<'a> arbitrary::Arbitrary<'a> for ExtendedState {
    fn arbitrary(bytes: &mut arbitrary::Unstructured<'a>) -> arbitrary::Result<Self> {
        let mut state = Self::new();
        state.set_mxcsr(bytes.arbitrary()?);
        for component in StateComponent::ALL {
            if bytes.arbitrary()? {
                let mut value = [0; 1024];
                let value = value.get_mut(..component.size()).unwrap_or_default();
                bytes.fill_buffer(value)?;
                // It is as long as the component.
                let _done = state.set_component(component, value);
            }
        }
        Ok(state)
    }
}

/// A component cannot have so many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
#[error("{bytes} bytes for {component}, which has {}", component.size())]
pub struct ComponentError {
    /// The component.
    pub component: StateComponent,
    /// How many bytes were given.
    pub bytes: usize,
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;
    use std::vec;

    use super::{ComponentError, ExtendedState, StateComponent};

    #[test]
    fn components_are_where_the_manual_has_them() {
        // Intel SDM vol. 1, section 13.4.1, and sizes of section 13.5.
        for (component, number, size) in [
            (StateComponent::X87, 0, 160),
            (StateComponent::Sse, 1, 256),
            (StateComponent::Avx, 2, 256),
            (StateComponent::Bndregs, 3, 64),
            (StateComponent::Bndcsr, 4, 64),
            (StateComponent::Opmask, 5, 64),
            (StateComponent::ZmmHi256, 6, 512),
            (StateComponent::Hi16Zmm, 7, 1024),
            (StateComponent::Pkru, 9, 8),
        ] {
            assert_eq!((component.number(), component.size()), (number, size), "{component}");
        }
        assert_eq!(StateComponent::ALL.len(), 9);
    }

    #[test]
    fn components_do_not_touch_each_other() {
        let mut state = ExtendedState::new();
        for (byte, component) in (1_u8..).zip(StateComponent::ALL) {
            state.set_component(component, &vec![byte; component.size()]).unwrap();
        }
        assert_eq!(state.mxcsr(), 0x1f80, "x87 leaves MXCSR");
        for (byte, component) in (1_u8..).zip(StateComponent::ALL) {
            let bytes = state.component(component);
            let others = bytes.iter().filter(|has| **has != byte).count();
            assert_eq!(others, if component == StateComponent::X87 { 8 } else { 0 }, "{component}");
            assert_eq!(bytes.len(), component.size());
        }
        assert_eq!(state.in_use(), 0x2ff);
        for component in StateComponent::ALL {
            state.clear_component(component);
        }
        assert_eq!(state, ExtendedState::new());
    }

    #[test]
    fn a_wrong_length_is_refused() {
        let mut state = ExtendedState::new();
        let error = state.set_component(StateComponent::Pkru, &[0; 4]).unwrap_err();
        assert_eq!(error, ComponentError { component: StateComponent::Pkru, bytes: 4 });
        assert_eq!(error.to_string(), "4 bytes for PKRU, which has 8");
        assert_eq!(state, ExtendedState::new());
    }

    #[test]
    fn after_reset_the_x87_registers_are_zeros() {
        let state = ExtendedState::after_reset();
        let legacy = state.component(StateComponent::X87);
        assert_eq!((&legacy[..2], legacy[4]), (&[0x40, 0][..], 0xff));
        assert_eq!((state.in_use(), state.mxcsr(), state.xmm(15), state.xmm(16)), (1, 0x1f80, Some(0), None));
    }
}
