//! x87, SSE and AVX state: what the host and the guest each have, exchanged at every entry and exit.
#![expect(unsafe_code, reason = "assembly, and memory that it uses")]

mod area;

use core::arch::naked_asm;
use core::mem::offset_of;

use static_assertions::const_assert;

use crate::frame::{FRAME_BYTES, Frame, Frames, OutOfFrames};
use crate::host::Host;
use crate::register::Cr4;

/// State components that fit into one frame in the standard format of XSAVE: x87, SSE, AVX, MPX, AVX-512 and PKRU.
///
/// A guest gets no others. The host may use others, such as AMX: a guest that cannot enable them cannot change them.
///
/// Intel SDM vol. 1, section 13.1, "XSAVE-Supported Features and State-Component Bitmaps", and 13.4, "XSAVE Area".
const SWITCHABLE: u64 = 0x2ff;

/// How the state is exchanged.
const NOT_SWITCHED: u64 = 0;
const FXSAVE: u64 = 1;
const XSAVE: u64 = 2;

/// Offset of MXCSR in the legacy region of an XSAVE area, and its value after reset.
///
/// Intel SDM vol. 1, section 13.4.1, "Legacy Region of an XSAVE Area", and 11.6.4, "Initialization of SSE/SSE2/SSE3 Extensions".
const MXCSR_OFFSET: usize = 24;
const MXCSR_RESET: u32 = 0x1f80;
/// The x87 control word after FINIT, at offset 0 of the legacy region.
const FCW_RESET: u16 = 0x037f;

/// What the world switch needs, read by assembly.
#[derive(Debug)]
#[repr(C)]
pub struct FpuSwitch {
    /// [`NOT_SWITCHED`], [`FXSAVE`] or [`XSAVE`].
    mode: u64,
    host_area: *mut u8,
    guest_area: *mut u8,
    /// Components to exchange, of those in the host's XCR0.
    components: u64,
    /// The guest's XCR0, or 0 where the guest cannot use it and the host's stays loaded.
    guest_xcr0: u64,
    /// The host's XCR0 while the guest runs.
    host_xcr0: u64,
}

const_assert!(FRAME_BYTES >= 2696);

/// The state of a virtual processor and the room for the host's.
#[derive(Debug)]
pub struct FpuState<A: Frames> {
    switch: FpuSwitch,
    xcr0: u64,
    _areas: Option<[Frame<A>; 2]>,
}

// SAFETY: the pointers are into the two frames, which the state owns and which are `Send` if the allocator is.
unsafe impl<A: Frames + Send> Send for FpuState<A> {}

impl<A: Frames> FpuState<A> {
    /// State as after reset, exchanged at each entry and exit by the best instructions that the host has enabled.
    ///
    /// # Errors
    ///
    /// [`OutOfFrames`]: it takes two frames.
    pub fn switched(host: Host<'_>, frames: &A) -> Result<Self, OutOfFrames> {
        let host_area = Frame::zeroed(frames, 1)?;
        let guest_area = Frame::zeroed(frames, 1)?;
        for area in [&host_area, &guest_area] {
            initialize(area);
        }
        let switch = FpuSwitch {
            mode: if Cr4::from(host.cr4()).osxsave() { XSAVE } else { FXSAVE },
            host_area: host_area.pointer().as_ptr(),
            guest_area: guest_area.pointer().as_ptr(),
            components: SWITCHABLE,
            guest_xcr0: 0,
            host_xcr0: 0,
        };
        Ok(Self { switch, xcr0: 1, _areas: Some([host_area, guest_area]) })
    }

    /// State that stays in the processor's registers: host and guest share them.
    #[must_use]
    pub const fn shared() -> Self {
        let null = core::ptr::null_mut();
        let switch = FpuSwitch {
            mode: NOT_SWITCHED,
            host_area: null,
            guest_area: null,
            components: 0,
            guest_xcr0: 0,
            host_xcr0: 0,
        };
        Self { switch, xcr0: 1, _areas: None }
    }

    /// Whether the state is exchanged by XSAVE and XRSTOR, which need CR4.OSXSAVE of the host at every entry.
    #[must_use]
    pub const fn uses_xsave(&self) -> bool {
        self.switch.mode == XSAVE
    }

    /// Whether a guest may have CR4.OSXSAVE: not where FXSAVE exchanges the state, which leaves out what XCR0 enables.
    #[must_use]
    pub const fn allows_osxsave(&self) -> bool {
        self.switch.mode != FXSAVE
    }

    /// The guest's XCR0.
    #[must_use]
    pub const fn xcr0(&self) -> u64 {
        self.xcr0
    }

    /// Whether [`set_xcr0`](Self::set_xcr0) would take `value`.
    ///
    /// # Errors
    ///
    /// The bits that are invalid, of `value`: those that the host has not enabled or that are not exchanged, or bit 0 if it
    /// is clear, or those whose prerequisites are missing.
    pub fn check_xcr0(&self, host: Host<'_>, value: u64) -> Result<(), u64> {
        let invalid = value & !self.enabled(host) | missing_prerequisites(value);
        if invalid == 0 { Ok(()) } else { Err(invalid) }
    }

    /// Sets the guest's XCR0.
    ///
    /// # Errors
    ///
    /// As [`check_xcr0`](Self::check_xcr0); then nothing is changed.
    pub fn set_xcr0(&mut self, host: Host<'_>, value: u64) -> Result<(), u64> {
        self.check_xcr0(host, value)?;
        self.xcr0 = value;
        Ok(())
    }

    /// What the world switch works on; `None` if it leaves the registers as they are. `osxsave` is the guest's CR4.OSXSAVE, without which it cannot use XCR0.
    #[inline]
    pub fn prepare(&mut self, osxsave: Osxsave) -> Option<&mut FpuSwitch> {
        if self.switch.mode == NOT_SWITCHED {
            return None;
        }
        let used = osxsave == Osxsave::Enabled && self.switch.mode == XSAVE;
        self.switch.guest_xcr0 = if used { self.xcr0 } else { 0 };
        Some(&mut self.switch)
    }
}

/// CR4.OSXSAVE of the guest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[cfg_attr(feature = "arbitrary", derive(arbitrary::Arbitrary))]
pub enum Osxsave {
    /// The guest uses XSAVE and XCR0.
    Enabled,
    /// The guest cannot use them.
    Disabled,
}

/// The bits of `xcr0` that cannot be set because others are clear.
///
/// Intel SDM vol. 1, section 13.3, "Enabling the XSAVE Feature Set and XSAVE-Enabled Features".
fn missing_prerequisites(xcr0: u64) -> u64 {
    const X87: u64 = 1;
    const SSE: u64 = 1 << 1;
    const AVX: u64 = 1 << 2;
    const MPX: u64 = 3 << 3;
    const AVX512: u64 = 7 << 5;
    let mut invalid = !xcr0 & X87;
    if xcr0 & AVX != 0 && xcr0 & SSE == 0 {
        invalid |= AVX;
    }
    if xcr0 & MPX != 0 && xcr0 & MPX != MPX {
        invalid |= xcr0 & MPX;
    }
    if xcr0 & AVX512 != 0 && xcr0 & (AVX512 | AVX) != AVX512 | AVX {
        invalid |= xcr0 & AVX512;
    }
    invalid
}

/// Fills a zeroed area with the state after reset.
fn initialize<A: Frames>(area: &Frame<A>) {
    // SAFETY: the frame is 4096 bytes, aligned, and ours.
    unsafe { area.pointer().cast::<u16>().write(FCW_RESET) };
    // SAFETY: the offset is inside the frame.
    let mxcsr = unsafe { area.pointer().add(MXCSR_OFFSET) };
    // SAFETY: the offset is a multiple of 4 in an aligned frame that is ours.
    unsafe { mxcsr.cast::<u32>().write(MXCSR_RESET) };
}

/// Saves the host's state and loads the guest's. Changes RAX, RCX, RDX and RSI besides.
///
/// # Safety
///
/// `switch` came from [`FpuState::prepare`], whose areas live on; CR4.OSXSAVE is 1 if it [uses
/// XSAVE](FpuState::uses_xsave); CR0.TS and CR0.EM are 0; interrupts are disabled; no vector register is used until
/// [`leave`] was called.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn enter(switch: *mut FpuSwitch) {
    naked_asm!(
        "cmp qword ptr [rdi + {mode}], {xsave}",
        "je 2f",
        "cmp qword ptr [rdi + {mode}], {fxsave}",
        "jne 9f",
        "mov rsi, [rdi + {host_area}]",
        "fxsave64 [rsi]",
        "mov rsi, [rdi + {guest_area}]",
        "fxrstor64 [rsi]",
        "ret",
        "2:",
        "xor ecx, ecx",
        "xgetbv",
        "mov [rdi + {host_xcr0}], eax",
        "mov [rdi + {host_xcr0} + 4], edx",
        "and eax, [rdi + {components}]",
        "and edx, [rdi + {components} + 4]",
        "mov rsi, [rdi + {host_area}]",
        "xsave64 [rsi]",
        "mov rsi, [rdi + {guest_area}]",
        "xrstor64 [rsi]",
        "mov rax, [rdi + {guest_xcr0}]",
        "test rax, rax",
        "jz 9f",
        "cmp rax, [rdi + {host_xcr0}]",
        "je 9f",
        "mov rdx, rax",
        "shr rdx, 32",
        "xsetbv",
        "9:",
        "ret",
        mode = const offset_of!(FpuSwitch, mode),
        xsave = const XSAVE,
        fxsave = const FXSAVE,
        host_area = const offset_of!(FpuSwitch, host_area),
        guest_area = const offset_of!(FpuSwitch, guest_area),
        host_xcr0 = const offset_of!(FpuSwitch, host_xcr0),
        guest_xcr0 = const offset_of!(FpuSwitch, guest_xcr0),
        components = const offset_of!(FpuSwitch, components),
    )
}

/// Saves the guest's state and loads the host's: the inverse of [`enter`]. Changes RAX, RCX, RDX and RSI besides.
///
/// # Safety
///
/// [`enter`] was called with the same `switch`, and no vector register was used by the host since.
#[unsafe(naked)]
pub unsafe extern "sysv64" fn leave(switch: *mut FpuSwitch) {
    naked_asm!(
        "cmp qword ptr [rdi + {mode}], {xsave}",
        "je 2f",
        "cmp qword ptr [rdi + {mode}], {fxsave}",
        "jne 9f",
        "mov rsi, [rdi + {guest_area}]",
        "fxsave64 [rsi]",
        "mov rsi, [rdi + {host_area}]",
        "fxrstor64 [rsi]",
        "ret",
        "2:",
        "mov eax, [rdi + {host_xcr0}]",
        "mov edx, [rdi + {host_xcr0} + 4]",
        "mov rcx, [rdi + {guest_xcr0}]",
        "test rcx, rcx",
        "jz 3f",
        "cmp rcx, [rdi + {host_xcr0}]",
        "je 3f",
        "xor ecx, ecx",
        "xsetbv",
        "3:",
        "and eax, [rdi + {components}]",
        "and edx, [rdi + {components} + 4]",
        "mov rsi, [rdi + {guest_area}]",
        "xsave64 [rsi]",
        "mov rsi, [rdi + {host_area}]",
        "xrstor64 [rsi]",
        "9:",
        "ret",
        mode = const offset_of!(FpuSwitch, mode),
        xsave = const XSAVE,
        fxsave = const FXSAVE,
        host_area = const offset_of!(FpuSwitch, host_area),
        guest_area = const offset_of!(FpuSwitch, guest_area),
        host_xcr0 = const offset_of!(FpuSwitch, host_xcr0),
        guest_xcr0 = const offset_of!(FpuSwitch, guest_xcr0),
        components = const offset_of!(FpuSwitch, components),
    )
}

#[cfg(test)]
mod tests {
    use super::missing_prerequisites;

    #[test]
    fn components_need_those_they_build_on() {
        assert_eq!(missing_prerequisites(0x1), 0);
        assert_eq!(missing_prerequisites(0x7), 0);
        assert_eq!(missing_prerequisites(0xe7), 0);
        assert_eq!(missing_prerequisites(0x0), 0x1);
        assert_eq!(missing_prerequisites(0x5), 0x4);
        assert_eq!(missing_prerequisites(0xe3), 0xe0);
        assert_eq!(missing_prerequisites(0x27), 0x20);
        assert_eq!(missing_prerequisites(0xf), 0x8);
    }
}
