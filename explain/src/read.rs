//! Dumps in a text.

mod error;
mod listing;
mod own;

pub use error::{ReadError, ReadErrorKind};

use crate::dump::Dump;
use crate::place::Place;
use crate::text::Text;

/// Reads all dumps in `source`: logs of Linux or Xen, or the text of this library's own dumps, as people paste them.
///
/// What loggers and mail put before lines is left out, wrapped lines are joined, and lines of other messages are ignored.
///
/// ```
/// use x86_virt_explain::{State, read};
/// use x86_virt_vmx::field;
///
/// let mail = "> [  7.1] kvm_intel: *** Guest State ***\n> [  7.1] kvm_intel: RSP = 0x0000000000000000  RIP =\n> 0x000000000000fff0";
/// let dumps = read(mail)?;
/// let State::Vmcs(fields) = &dumps[0].state else { panic!("no VMCS") };
/// assert_eq!(fields.get(field::GUEST_RIP), Some(0xfff0));
///
/// let error = read("CS:   sel=0x0010, attr=0xbadx").unwrap_err();
/// assert_eq!(error.to_string(), "line 1, column 24: GUEST_CS_ACCESS_RIGHTS: `0xbadx` is no number");
/// # Ok::<(), x86_virt_explain::ReadError>(())
/// ```
///
/// # Errors
///
/// [`ReadError`] with the place of what is in the place of a number, or if there is no dump.
pub fn read(source: &str) -> Result<Vec<Dump>, ReadError> {
    let text = Text::new(source);
    let mut dumps = listing::read(&text)?;
    if dumps.is_empty() {
        dumps = own::read(&text)?;
    }
    if dumps.is_empty() {
        return Err(ReadError { place: Place::START, kind: ReadErrorKind::NoDump });
    }
    Ok(dumps)
}
