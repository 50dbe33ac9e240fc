//! Lines as a program prints them: labels with numbers behind them.

use crate::place::Place;
use crate::scan::{Number, Radix};
use crate::text::Text;

/// A part of a dump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    Guest,
    Host,
    Control,
    VmcbControl,
    VmcbSave,
    /// What Linux prints of a VMSA behind that which a VMCB has too.
    Vmsa,
}

/// Which program prints a line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Origin {
    Both,
    Linux,
    Xen,
}

/// A number in a line, and what it is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot<T> {
    pub(crate) target: T,
    pub(crate) radix: Radix,
}

/// A line, or a part of one that stands for itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row<T: 'static> {
    pub(crate) section: Section,
    pub(crate) origin: Origin,
    /// Whether the label tells the section, so that it counts without a heading.
    pub(crate) opens: bool,
    /// How many numbers must be right for the line to be this one. What is wrong behind them is an error.
    pub(crate) sure: usize,
    /// The labels before each number.
    pub(crate) labels: &'static [&'static str],
    /// The numbers.
    pub(crate) slots: &'static [Slot<T>],
}

/// What a line gave for a slot.
#[derive(Clone, Debug)]
pub(crate) struct Found<T> {
    pub(crate) target: T,
    pub(crate) value: Value,
    pub(crate) place: Place,
}

/// A number, or why there is none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// The number, and what is in parentheses behind it.
    Number(u64, Option<String>),
    /// The line was cut.
    Cut,
    /// Something else is there: the word.
    Malformed(String),
}

impl<T: Copy> Row<T> {
    /// What the row gives at `index`, and what is behind it.
    pub(crate) fn read(&self, text: &Text, index: usize) -> Option<(Vec<Found<T>>, usize)> {
        let mut at = index;
        let mut found = Vec::with_capacity(self.slots.len());
        for (count, (label, slot)) in self.labels.iter().zip(self.slots).enumerate() {
            let Some(behind) = text.label(at, label) else {
                return (count > 0 && count >= self.sure).then_some((found, at));
            };
            let is_sure = count >= self.sure;
            match text.number(behind, slot.radix) {
                Number::Value { is_short: true, .. } if !is_sure => return None,
                Number::Value { value, start, end, .. } => {
                    let aside = text.aside(end);
                    at = aside.as_ref().map_or(end, |(_, end)| *end);
                    let value = Value::Number(value, aside.map(|(content, _)| content));
                    found.push(Found { target: slot.target, value, place: text.place(start) });
                }
                Number::Cut { at } if is_sure => {
                    found.push(Found { target: slot.target, value: Value::Cut, place: text.place(at) });
                    return Some((found, at));
                }
                Number::Other { at } if is_sure => {
                    let value = Value::Malformed(text.word(at));
                    found.push(Found { target: slot.target, value, place: text.place(at) });
                    return Some((found, at));
                }
                Number::Cut { .. } | Number::Other { .. } => return None,
            }
        }
        Some((found, at))
    }
}
