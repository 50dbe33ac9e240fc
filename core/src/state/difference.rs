//! What differs between two states.

use core::fmt;

use crate::state::rows::ROWS;
use crate::state::{ExtendedState, Msrs, StateComponent, VcpuState};

/// A register that two states have different values of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Difference {
    /// A register, or something else that has a number.
    Register {
        /// The name, as the text of a [`VcpuState`] has it.
        name: &'static str,
        /// The value in the first state.
        left: u64,
        /// The value in the second state.
        right: u64,
    },
    /// x87, SSE and AVX state is in one of the two alone.
    Extended,
    /// A component of it.
    Component {
        /// The component.
        component: StateComponent,
        /// The first byte of it that differs, or `None` if it is in use in one of the two alone.
        byte: Option<usize>,
    },
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Register { name, left, right } => {
                let Some(row) = ROWS.iter().find(|row| row.name == name) else {
                    return write!(f, "{name}: {left:#018x} and {right:#018x}");
                };
                write!(f, "{name}: ")?;
                (row.show)(left, f)?;
                f.write_str(" and ")?;
                (row.show)(right, f)
            }
            Self::Extended => f.write_str("x87, SSE and AVX state: in one alone"),
            Self::Component { component, byte: None } => write!(f, "{component}: in use in one alone"),
            Self::Component { component, byte: Some(byte) } => write!(f, "{component}: differs from byte {byte} on"),
        }
    }
}

/// What differs between two states; made by [`VcpuState::differences`].
///
/// It is an iterator, and its text names all of them in one line.
#[derive(Clone, Debug)]
pub struct Differences<'s> {
    left: &'s VcpuState,
    right: &'s VcpuState,
    /// How many places have been looked at.
    at: usize,
}

impl VcpuState {
    /// The registers that `other` has other values of.
    ///
    /// ```
    /// use x86_virt_core::VcpuState;
    ///
    /// let (left, mut right) = (VcpuState::default(), VcpuState::default());
    /// assert_eq!(left.differences(&right).count(), 0);
    /// right.cpu.cr0.set_pe(true);
    /// let text = left.differences(&right).to_string();
    /// assert_eq!(text, "CR0: 0x0000000000000010 ET and 0x0000000000000011 PE ET");
    /// ```
    #[must_use]
    pub const fn differences<'s>(&'s self, other: &'s Self) -> Differences<'s> {
        Differences { left: self, right: other, at: 0 }
    }
}

impl Differences<'_> {
    /// What is at the place `at`: the table of registers, the MSRs, MXCSR, and the components, one after the other. `None` behind the
    /// last one.
    fn look(&self, at: usize) -> Option<Option<Difference>> {
        if let Some(row) = ROWS.get(at) {
            return Some(register(row.name, (row.get)(self.left), (row.get)(self.right)));
        }
        let at = at - ROWS.len();
        if let Some(msr) = Msrs::held().nth(at) {
            return Some(register(msr.name(), self.left.msr(msr), self.right.msr(msr)));
        }
        let at = at - Msrs::held().count();
        match (&self.left.extended, &self.right.extended) {
            (Some(left), Some(right)) => extended(left, right, at),
            (left, right) if at == 0 => Some((left.is_some() != right.is_some()).then_some(Difference::Extended)),
            _ => None,
        }
    }
}

fn register(name: &'static str, left: u64, right: u64) -> Option<Difference> {
    (left != right).then_some(Difference::Register { name, left, right })
}

fn extended(left: &ExtendedState, right: &ExtendedState, at: usize) -> Option<Option<Difference>> {
    let Some(at) = at.checked_sub(1) else {
        return Some(register("MXCSR", left.mxcsr().into(), right.mxcsr().into()));
    };
    let component = *StateComponent::ALL.get(at)?;
    if (left.in_use() ^ right.in_use()) & component.bit() != 0 {
        return Some(Some(Difference::Component { component, byte: None }));
    }
    let is_mxcsr = |byte: usize| component == StateComponent::X87 && (24..32).contains(&byte);
    let pairs = left.component(component).iter().zip(right.component(component));
    let byte = pairs.enumerate().find_map(|(byte, (one, other))| (one != other && !is_mxcsr(byte)).then_some(byte));
    Some(byte.map(|byte| Difference::Component { component, byte: Some(byte) }))
}

impl Iterator for Differences<'_> {
    type Item = Difference;

    fn next(&mut self) -> Option<Difference> {
        loop {
            let found = self.look(self.at)?;
            self.at += 1;
            if found.is_some() {
                return found;
            }
        }
    }
}

impl fmt::Display for Differences<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, difference) in self.clone().enumerate() {
            f.write_str(if number == 0 { "" } else { ", " })?;
            difference.fmt(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::string::ToString as _;
    use std::vec::Vec;

    use super::Difference;
    use crate::permission::SwitchedMsr;
    use crate::state::rows::ROWS;
    use crate::state::{ExtendedState, Msrs, StateComponent, VcpuState};

    #[test]
    fn a_change_of_any_register_is_named_alone() {
        let left = VcpuState::default();
        for row in ROWS {
            let mut right = left.clone();
            // What each of them can have, and is not.
            let value = (row.get)(&left) ^ 1;
            if (row.set)(&mut right, value).is_none() {
                (row.set)(&mut right, 3).unwrap();
            }
            let names: Vec<_> = left.differences(&right).collect();
            assert!(
                matches!(names[..], [Difference::Register { name, .. }] if name == row.name),
                "{}: {names:?}",
                row.name
            );
        }
        for msr in Msrs::held() {
            let mut right = left.clone();
            right.msrs.set(msr, 7);
            assert_eq!(right.differences(&left).count(), 1, "{msr:?}");
        }
    }

    #[test]
    fn components_are_compared() {
        let left = VcpuState::default();
        let mut right = left.clone();
        let mut extended = ExtendedState::new();
        extended.set_component(StateComponent::Avx, &[0; 256]).unwrap();
        extended.set_mxcsr(0x1fa0);
        right.extended = Some(extended.clone());
        right.msrs.set(SwitchedMsr::Lstar, 1);
        assert_eq!(
            left.differences(&right).to_string(),
            "LSTAR: 0x0000000000000000 and 0x0000000000000001, MXCSR: 0x0000000000001f80 and 0x0000000000001fa0, AVX: in use in one \
             alone"
        );
        let mut other = right.clone();
        extended.set_component(StateComponent::Avx, &[[0; 128], [1; 128]].concat()).unwrap();
        other.extended = Some(extended);
        let found: Vec<_> = right.differences(&other).collect();
        assert_eq!(found, [Difference::Component { component: StateComponent::Avx, byte: Some(128) }]);
        other.extended = None;
        assert_eq!(right.differences(&other).collect::<Vec<_>>(), [Difference::Extended]);
    }
}
