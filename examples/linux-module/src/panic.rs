//! What a panic does: a line in the kernel's log, and the end of the thread.

use core::panic::PanicInfo;

use crate::kernel::{self, Level};

/// There is no unwinding in the kernel, and a frame must not be left as if its destructors had run. So the thread stops here, for ever: all that it has
/// borrowed stays borrowed, and all that it owns is leaked, which the library allows anywhere. See ADR 0018.
#[panic_handler]
fn panic(info: &PanicInfo<'_>) -> ! {
    kernel::log(Level::Error, format_args!("{info}"));
    kernel::give_up()
}
