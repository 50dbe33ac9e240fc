//! Constants of Rust sources of the form that the crate `x86` has.

use super::symbol::{Origin, Symbol};

/// The integer constants in `text`. Their group is the module that they are in, or, for flags, the type.
pub(crate) fn symbols(file: &str, text: &str) -> Vec<Symbol> {
    let mut symbols = Vec::new();
    let mut groups: Vec<(usize, String)> = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        if line.is_empty() || line.starts_with("//") {
            continue;
        }
        groups.retain(|&(own, _)| own < indent || (own == indent && !line.starts_with('}')));
        if let Some(group) = group(line) {
            groups.push((indent, group.to_owned()));
            continue;
        }
        let Some((name, value)) = constant(line) else { continue };
        let origin = groups.last().map_or(Origin::Constant, |(_, group)| Origin::Group(group.clone()));
        let name = name.to_owned();
        symbols.push(Symbol { name, origin, file: file.to_owned(), line: index + 1, value });
    }
    symbols
}

/// The module or the type that begins here.
fn group(line: &str) -> Option<&str> {
    let rest = line.strip_suffix('{')?.trim_end();
    let rest = rest.strip_prefix("pub mod ").or_else(|| rest.strip_prefix("pub struct "))?;
    rest.split(':').next().map(str::trim)
}

/// The constant in this line, if it is an integer.
fn constant(line: &str) -> Option<(&str, Result<u64, String>)> {
    let rest = line.strip_prefix("pub ").unwrap_or(line).strip_prefix("const ")?;
    let (left, value) = rest.strip_suffix(';')?.split_once('=')?;
    let mut parts = left.split(':').map(str::trim);
    let (name, kind) = (parts.next()?, parts.next());
    if !matches!(kind, None | Some("u16" | "u32" | "u64")) {
        return None;
    }
    Some((name, integer(value.trim())))
}

fn integer(text: &str) -> Result<u64, String> {
    let number = |text: &str| {
        let text = text.trim().replace('_', "");
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        }
    };
    let value = match text.split_once("<<") {
        Some((left, right)) => {
            number(right).and_then(|right| u32::try_from(right).ok()).and_then(|right| number(left)?.checked_shl(right))
        }
        None => number(text),
    };
    value.ok_or_else(|| format!("`{text}` is not understood"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
/// Fields.
pub mod control {
    use bitflags::bitflags;
    /// VPID.
    pub const VPID: u32 = 0x0;
    bitflags! {
        /// Pin-based controls.
        pub struct PinControls: u32 {
            /// NMI exiting.
            const NMI_EXITING = 1 << 3;
        }
    }
}

pub mod guest {
    pub const RIP: u32 = 0x681E;
    pub const NAME: &str = \"x\";
}
pub const IA32_VMX_BASIC: u32 = 0x4_80;
pub const OTHER: u32 = RIP;
";

    #[test]
    fn constants_are_read_with_their_groups() {
        let symbols = symbols("t.rs", TEXT);
        let group = |name: &str| Origin::Group(name.to_owned());
        let found: Vec<_> = symbols
            .iter()
            .map(|symbol| (symbol.name.as_str(), symbol.origin.clone(), symbol.line, symbol.value.clone()))
            .collect();
        assert_eq!(
            found,
            [
                ("VPID", group("control"), 6, Ok(0)),
                ("NMI_EXITING", group("PinControls"), 11, Ok(8)),
                ("RIP", group("guest"), 17, Ok(0x681e)),
                ("IA32_VMX_BASIC", Origin::Constant, 20, Ok(0x480)),
                ("OTHER", Origin::Constant, 21, Err("`RIP` is not understood".to_owned())),
            ]
        );
    }
}
