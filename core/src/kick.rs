//! Kicks: one processor takes a virtual processor out of the guest on another.

use core::sync::atomic::{AtomicU64, Ordering};

/// Takes a virtual processor out of the guest, from any processor, without losing a wake-up.
///
/// A virtual processor that a kick is [attached](#attach) to looks at it before every entry. Who wants it out calls
/// [`kick`](Self::kick):
///
/// - outside of the guest, the next run returns [`ExitKind::Kicked`](crate::ExitKind::Kicked) at once;
/// - inside, `kick` returns the number of the processor, and the caller sends an interrupt there. It ends the run with
///   [`ExitKind::HostInterrupt`](crate::ExitKind::HostInterrupt), or ends one that was just beginning, and the run after it
///   returns `Kicked`.
///
/// Kicks add up to one until the virtual processor has seen it. The interrupt must be a maskable one: between the look and
/// the entry, interrupts are disabled, so that it is still pending when the guest would start; an NMI would be gone.
///
/// ```
/// use x86_virt_core::Kick;
///
/// static KICK: Kick = Kick::new();
///
/// /// On any processor: something waits for the virtual processor.
/// fn notify(send_interrupt: impl FnOnce(u32)) {
///     if let Some(processor) = KICK.kick() {
///         send_interrupt(processor);
///     }
/// }
///
/// notify(|_| unreachable!("it is not in the guest"));
/// assert!(KICK.is_pending());
/// ```
///
/// # Attach
///
/// `set_kick` of the vendors' virtual processors, and of `AnyVcpu`, takes the kick and the number of the processor that the
/// virtual processor is loaded on. One that is parked keeps neither: attach it again where it is loaded.
#[derive(Debug, Default)]
pub struct Kick {
    word: AtomicU64,
}

/// The virtual processor is in the guest, or about to be with interrupts disabled. The upper half is the processor.
const INSIDE: u64 = 1 << 0;
/// It shall leave, or not enter.
const KICKED: u64 = 1 << 1;

impl Kick {
    /// A kick that nobody has given.
    #[must_use]
    pub const fn new() -> Self {
        Self { word: AtomicU64::new(0) }
    }

    /// Makes the virtual processor leave the guest, or not enter it. `Some` is the processor to which the caller must send an
    /// interrupt.
    #[must_use = "the guest goes on until the processor is interrupted"]
    pub fn kick(&self) -> Option<u32> {
        let before = self.word.fetch_or(KICKED, Ordering::SeqCst);
        // Who kicked it first sends the interrupt.
        let must_interrupt = before & INSIDE != 0 && before & KICKED == 0;
        must_interrupt.then(|| u32::try_from(before >> 32).unwrap_or(0))
    }

    /// Whether the virtual processor has not seen the last kick yet.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.word.load(Ordering::SeqCst) & KICKED != 0
    }

    /// For implementors of [`Vcpu`](crate::Vcpu), before an entry, with interrupts disabled until behind it: `None` if the guest
    /// must not be entered, since it was kicked.
    pub fn enter(&self, processor: u32) -> Option<Inside<'_>> {
        let inside = u64::from(processor) << 32 | INSIDE;
        if self.word.compare_exchange(0, inside, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            return Some(Inside { kick: self });
        }
        // Outside of the guest, nothing else can be in it.
        self.word.store(0, Ordering::SeqCst);
        None
    }
}

/// The virtual processor is in the guest, until this is dropped.
#[derive(Debug)]
pub struct Inside<'k> {
    kick: &'k Kick,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        // A kick that came meanwhile stays.
        self.kick.word.fetch_and(KICKED, Ordering::SeqCst);
    }
}

/// A kick that is attached to a loaded virtual processor.
#[derive(Clone, Copy, Debug)]
pub struct AttachedKick<'k> {
    kick: &'k Kick,
    processor: u32,
}

impl<'k> AttachedKick<'k> {
    /// `kick`, for a virtual processor that is loaded on `processor`.
    #[must_use]
    pub const fn new(kick: &'k Kick, processor: u32) -> Self {
        Self { kick, processor }
    }

    /// As [`Kick::enter`].
    #[inline]
    pub fn enter(self) -> Option<Inside<'k>> {
        self.kick.enter(self.processor)
    }
}

#[cfg(test)]
mod tests;
