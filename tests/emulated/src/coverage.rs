//! Which rows of the tables of encodings this machine has exercised: the runner prints them for all machines together.

use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::sync::atomic::{AtomicU64, Ordering};

use machine::println;
use x86_virt::svm::ExitCode;
use x86_virt::vmx::field::{self, FieldInfo};
use x86_virt::vmx::{BasicExitReason, Control, ControlWord, PinControls};
use x86_virt::{Exit, ExitKind, Reason};

/// Rows of one table, by number.
struct Rows {
    table: &'static str,
    seen: [AtomicU64; 20],
    name: fn(usize) -> Option<String>,
}

impl Rows {
    const fn new(table: &'static str, name: fn(usize) -> Option<String>) -> Self {
        Self { table, seen: [const { AtomicU64::new(0) }; 20], name }
    }

    fn see(&self, number: usize) {
        if let Some(word) = self.seen.get(number / 64) {
            word.fetch_or(1 << (number % 64), Ordering::Relaxed);
        }
    }

    fn has(&self, number: usize) -> bool {
        self.seen.get(number / 64).is_some_and(|word| word.load(Ordering::Relaxed) >> (number % 64) & 1 == 1)
    }

    fn print(&self) {
        let seen = (0..self.seen.len() * 64).filter(|number| self.has(*number)).filter_map(self.name);
        let names: Vec<_> = seen.collect();
        if !names.is_empty() {
            println!("covered {}: {}", self.table, names.join(" "));
        }
    }
}

static EXIT_REASONS: Rows = Rows::new("vmx_exit_reason", |number| {
    u16::try_from(number).ok().and_then(|number| BasicExitReason::from_bits(number).name()).map(String::from)
});
static EXIT_CODES: Rows = Rows::new("svm_exit_code", |number| {
    u64::try_from(number).ok().and_then(|number| ExitCode::from_bits(number).name()).map(String::from)
});
static FIELDS: Rows = Rows::new("vmcs_field", |number| field::ALL.get(number).map(|info| info.name.to_string()));
static CONTROLS: Rows = Rows::new("vmx_control", |number| {
    Control::all().nth(number).map(|info| format!("{}:{}", info.control.word, info.name))
});

/// Takes note of an exit.
pub(crate) fn exit(reason: Reason) {
    match reason {
        Reason::Vmx(reason) => EXIT_REASONS.see(usize::from(reason.basic().into_bits())),
        // Codes beyond the table are refusals, which are no exits.
        Reason::Svm(exit) => EXIT_CODES.see(usize::try_from(exit.code.into_bits()).unwrap_or(usize::MAX)),
        _ => {}
    }
}

/// Takes note of the control that let an event of the host end a run.
pub(crate) fn host_event(exit: &Exit<Reason>) {
    match (exit.reason, exit.kind) {
        (Reason::Vmx(_), ExitKind::HostInterrupt) => pin(PinControls::EXTERNAL_INTERRUPT_EXITING),
        (Reason::Vmx(_), ExitKind::HostNmi) => pin(PinControls::NMI_EXITING),
        _ => {}
    }
}

fn pin(bit: PinControls) {
    control(Control { word: ControlWord::Pin, bit: u8::try_from(bit.into_bits().trailing_zeros()).unwrap_or(u8::MAX) });
}

/// Takes note of a field that was read and written.
pub(crate) fn field(field: &FieldInfo) {
    if let Some(number) = field::ALL.iter().position(|info| info.encoding == field.encoding) {
        FIELDS.see(number);
    }
}

/// Takes note of a control that ended a run.
pub(crate) fn control(control: Control) {
    if let Some(number) = Control::all().position(|info| info.control == control) {
        CONTROLS.see(number);
    }
}

/// Prints what was exercised.
pub(crate) fn print() {
    for rows in [&EXIT_REASONS, &EXIT_CODES, &FIELDS, &CONTROLS] {
        rows.print();
    }
}
