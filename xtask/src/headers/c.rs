//! Constants and structures of C headers.
//!
//! This is not a compiler: conditions are not evaluated, the first definition of a name counts, and what is neither a macro, nor an
//! enumeration, nor a structure is passed over.

mod expression;
mod layout;
mod token;

use std::collections::BTreeMap;

use self::token::Token;
use super::symbol::{Origin, Symbol};

/// A macro.
#[derive(Debug, Clone)]
struct Macro {
    parameters: Option<Vec<String>>,
    body: Vec<Token>,
}

/// Files that know each other's names.
#[derive(Debug, Default)]
pub(crate) struct Unit {
    macros: BTreeMap<String, Macro>,
    constants: BTreeMap<String, u64>,
    structures: BTreeMap<String, layout::Definition>,
    symbols: Vec<Symbol>,
    /// The macros and structures whose values are not asked for yet: name, file and line.
    pending: Vec<(Pending, String, usize)>,
}

#[derive(Debug)]
enum Pending {
    Macro(String),
    Structure(String),
}

impl Unit {
    /// Reads a file. What it refers to may come from files read later, but for the values of enumerations.
    pub(crate) fn load(&mut self, file: &str, text: &str) {
        let mut tokens: Vec<(usize, Token)> = Vec::new();
        for (line, text) in token::lines(text) {
            match text.trim_start().strip_prefix('#') {
                Some(directive) => {
                    if let Some(definition) = directive.trim_start().strip_prefix("define") {
                        self.define(definition, file, line);
                    }
                }
                None => tokens.extend(token::tokens(&text).into_iter().map(|token| (line, token))),
            }
        }
        let mut rest = tokens.as_slice();
        while let Some(((_, token), after)) = rest.split_first() {
            rest = match token {
                Token::Word(word) if word == "enum" => self.enumeration(file, after),
                Token::Word(word) if word == "struct" => self.define_structure(file, after),
                _ => after,
            };
        }
    }

    /// Every name, with its value.
    pub(crate) fn into_symbols(mut self) -> Vec<Symbol> {
        let mut symbols = core::mem::take(&mut self.symbols);
        for (pending, file, line) in &self.pending {
            let symbol = |name: &str, origin, line, value| Symbol {
                name: name.to_owned(),
                origin,
                file: file.clone(),
                line,
                value,
            };
            match pending {
                Pending::Macro(name) => {
                    let value = self.definition(name).map(|own| expression::evaluate(&self, &own.body));
                    symbols.extend(value.map(|value| symbol(name, Origin::Constant, *line, value)));
                }
                Pending::Structure(name) => {
                    let origin = || Origin::Structure(name.clone());
                    match layout::of(&self, name) {
                        Ok(layout) => symbols.extend(
                            layout.members.iter().map(|own| symbol(&own.path, origin(), own.line, Ok(own.offset))),
                        ),
                        Err(error) => symbols.push(symbol("", origin(), *line, Err(error))),
                    }
                }
            }
        }
        symbols
    }

    fn constant(&self, name: &str) -> Option<u64> {
        self.constants.get(name).copied()
    }

    fn definition(&self, name: &str) -> Option<&Macro> {
        self.macros.get(name)
    }

    fn structure(&self, name: &str) -> Option<&layout::Definition> {
        self.structures.get(name)
    }

    /// Reads what follows `#define`.
    fn define(&mut self, text: &str, file: &str, line: usize) {
        let text = text.trim_start();
        let end = text.find(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_').unwrap_or(text.len());
        let Some((name, rest)) = text.split_at_checked(end) else { return };
        let (parameters, body) = match rest.strip_prefix('(').and_then(|rest| rest.split_once(')')) {
            Some((parameters, body)) => {
                (Some(parameters.split(',').map(|parameter| parameter.trim().to_owned()).collect()), body)
            }
            None => (None, rest),
        };
        let body = token::tokens(body);
        if self.macros.contains_key(name) {
            return;
        }
        if parameters.is_none() && !body.is_empty() {
            self.pending.push((Pending::Macro(name.to_owned()), file.to_owned(), line));
        }
        self.macros.insert(name.to_owned(), Macro { parameters, body });
    }

    /// Reads what follows `enum`, and returns the rest.
    fn enumeration<'a>(&mut self, file: &str, tokens: &'a [(usize, Token)]) -> &'a [(usize, Token)] {
        let (tag, after) = match tokens {
            [(_, Token::Word(tag)), (_, Token::Punctuation('{')), after @ ..] => (tag.clone(), after),
            [(_, Token::Punctuation('{')), after @ ..] => (String::new(), after),
            _ => return tokens,
        };
        let end = layout::closing(after, '{', '}').unwrap_or(after.len());
        let (body, rest) = after.split_at_checked(end).unwrap_or_default();
        let mut next = Ok(0u64);
        for entry in body.split(|(_, token)| token.is(',')) {
            let Some(((line, Token::Word(name)), value)) = entry.split_first() else { continue };
            if let Some((_, value)) = value.split_first() {
                let value: Vec<_> = value.iter().map(|(_, token)| token.clone()).collect();
                next = expression::evaluate(self, &value);
            }
            if let Ok(value) = next {
                self.constants.entry(name.clone()).or_insert(value);
            }
            self.symbols.push(Symbol {
                name: name.clone(),
                origin: Origin::Group(tag.clone()),
                file: file.to_owned(),
                line: *line,
                value: next.clone(),
            });
            next = next.map(|value| value.wrapping_add(1));
        }
        rest
    }

    /// Reads what follows `struct`, and returns the rest.
    fn define_structure<'a>(&mut self, file: &str, tokens: &'a [(usize, Token)]) -> &'a [(usize, Token)] {
        let mut is_packed = false;
        let mut name = None;
        let mut rest = tokens;
        // Between the keyword and the body are attributes and the name.
        while let Some(((line, token), after)) = rest.split_first() {
            match token {
                Token::Word(word) if word == "__attribute__" => {}
                Token::Word(word) if word == "__packed" || word == "__packed__" => is_packed = true,
                Token::Word(word) if name.is_none() => name = Some((word.clone(), *line)),
                Token::Punctuation('(' | ')') if name.is_none() => {}
                Token::Punctuation('{') => {
                    let Some((name, line)) = name else { return tokens };
                    let end = layout::closing(after, '{', '}').unwrap_or(after.len());
                    let (body, rest) = after.split_at_checked(end).unwrap_or_default();
                    let behind = rest.iter().take_while(|(_, token)| !token.is(';'));
                    is_packed |=
                        behind.clone().any(|(_, token)| token.is_word("__packed") || token.is_word("__packed__"));
                    let definition = layout::Definition { is_union: false, is_packed, body: body.to_vec() };
                    self.structures.entry(name.clone()).or_insert(definition);
                    self.pending.push((Pending::Structure(name), file.to_owned(), line));
                    return rest;
                }
                _ => return tokens,
            }
            rest = after;
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FEATURES: &str = "#define FEATURE_HLT\t( 1*32+  7) /* \"hlt\" text */\n";
    const HEADER: &str = "
#ifndef HEADER
#define HEADER
#include <features.h>
#define CONTROL(x)\tBIT(FEATURE_##x & 0x1f)
#define CPU_HLT CONTROL(HLT)
#define ALIAS CPU_HLT
#define TEXTS \\
    { CPU_HLT, \"hlt\" }, \\
    { 2, \"two\" }
enum field {
    FIRST = 0x0000,
    SECOND\t\t= 0x00002001, /* comment */
    THIRD,
};
enum { CAUSE_A, CAUSE_B = CAUSE_A + 16, };
static inline enum field f(struct pair *pair) { return FIRST; }
struct pair {
    u32 low;
    u32 high;
} __packed;
extern enum field variable;
#endif
";

    fn symbols() -> Vec<Symbol> {
        let mut unit = Unit::default();
        unit.load("header.h", HEADER);
        unit.load("features.h", FEATURES);
        unit.into_symbols()
    }

    #[test]
    fn macros_enumerations_and_structures_are_read() {
        let symbols = symbols();
        let group = |tag: &str| Origin::Group(tag.to_owned());
        let pair = || Origin::Structure("pair".to_owned());
        let expected = [
            ("FIRST", group("field"), 12, 0),
            ("SECOND", group("field"), 13, 0x2001),
            ("THIRD", group("field"), 14, 0x2002),
            ("CAUSE_A", group(""), 16, 0),
            ("CAUSE_B", group(""), 16, 16),
            ("CPU_HLT", Origin::Constant, 6, 0x80),
            ("ALIAS", Origin::Constant, 7, 0x80),
            ("low", pair(), 19, 0),
            ("high", pair(), 20, 4),
            ("FEATURE_HLT", Origin::Constant, 1, 39),
        ];
        let known: Vec<_> = symbols
            .iter()
            .filter_map(|symbol| {
                Some((symbol.name.as_str(), symbol.origin.clone(), symbol.line, symbol.value.clone().ok()?))
            })
            .collect();
        assert_eq!(known, expected);
    }

    #[test]
    fn a_text_has_no_value() {
        let symbols = symbols();
        let texts = symbols.iter().find(|symbol| symbol.name == "TEXTS").unwrap();
        assert!(texts.value.is_err());
        assert!(symbols.iter().all(|symbol| symbol.name != "CONTROL" && symbol.name != "HEADER"));
    }
}
