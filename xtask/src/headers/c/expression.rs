//! Values of C expressions, in 64 bits.

use super::Unit;
use super::token::Token;

/// How deep macros may refer to macros.
const DEPTH: usize = 64;

/// The value of an expression, or why it has none.
pub(crate) fn evaluate(unit: &Unit, tokens: &[Token]) -> Result<u64, String> {
    at_depth(unit, tokens, 0)
}

fn at_depth(unit: &Unit, tokens: &[Token], depth: usize) -> Result<u64, String> {
    if depth > DEPTH {
        return Err("refers to itself".to_owned());
    }
    let mut expression = Expression { unit, rest: tokens, depth };
    let value = expression.binary(0)?;
    match expression.rest.first() {
        None => Ok(value),
        Some(token) => Err(format!("{token:?} is not understood")),
    }
}

struct Expression<'a> {
    unit: &'a Unit,
    rest: &'a [Token],
    depth: usize,
}

impl<'a> Expression<'a> {
    fn next(&mut self) -> Option<&'a Token> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    fn expect(&mut self, punctuation: char) -> Result<(), String> {
        match self.next() {
            Some(token) if token.is(punctuation) => Ok(()),
            token => Err(format!("{token:?} where `{punctuation}` was expected")),
        }
    }

    /// An expression of operators that bind at least as `binding`.
    fn binary(&mut self, binding: u8) -> Result<u64, String> {
        let mut left = self.unary()?;
        while let Some((own, operator)) = self.rest.first().and_then(operator) {
            if own < binding {
                break;
            }
            self.next();
            let right = self.binary(own + 1)?;
            left = operator(left, right).ok_or("a division by zero")?;
        }
        Ok(left)
    }

    fn unary(&mut self) -> Result<u64, String> {
        match self.next().ok_or("nothing where a value was expected")? {
            Token::Number(number) => Ok(*number),
            Token::Punctuation('-') => Ok(self.unary()?.wrapping_neg()),
            Token::Punctuation('+') => self.unary(),
            Token::Punctuation('~') => Ok(!self.unary()?),
            Token::Punctuation('(') => {
                if let [Token::Word(word), Token::Punctuation(')'), ..] = self.rest
                    && bits_of_type(word).is_some()
                {
                    self.rest = self.rest.get(2..).unwrap_or_default();
                    return self.unary();
                }
                let value = self.binary(0)?;
                self.expect(')')?;
                Ok(value)
            }
            Token::Word(word) if word == "sizeof" => self.size(),
            Token::Word(word) => self.name(word),
            token => Err(format!("{token:?} is not a value")),
        }
    }

    /// What follows `sizeof`.
    fn size(&mut self) -> Result<u64, String> {
        self.expect('(')?;
        let size = match self.next() {
            Some(Token::Word(word)) if word == "struct" => match self.next() {
                Some(Token::Word(structure)) => super::layout::of(self.unit, structure)?.size,
                token => return Err(format!("{token:?} is no structure")),
            },
            Some(Token::Word(word)) => bits_of_type(word).map(|bits| bits / 8).ok_or("a size of an unknown type")?,
            token => return Err(format!("the size of {token:?}")),
        };
        self.expect(')')?;
        Ok(size)
    }

    /// A constant or a macro.
    fn name(&mut self, name: &str) -> Result<u64, String> {
        let unit = self.unit;
        let is_call = self.rest.first().is_some_and(|token| token.is('('));
        if is_call {
            let arguments = self.arguments()?;
            let value = |index: usize| at_depth(unit, arguments.get(index).map_or(&[], Vec::as_slice), self.depth + 1);
            return match name {
                "BIT" | "BIT_ULL" => Ok(shift_left(1, value(0)?)),
                "GENMASK" | "GENMASK_ULL" => {
                    let (high, low) = (value(0)?, value(1)?);
                    Ok(shift_left(u64::MAX, low) & !shift_left(u64::MAX, high + 1))
                }
                "_AC" | "UL" | "ULL" | "_ULL" | "_UL" => value(0),
                _ => at_depth(unit, &expand(unit, name, &arguments)?, self.depth + 1),
            };
        }
        if let Some(value) = unit.constant(name) {
            return Ok(value);
        }
        match unit.definition(name) {
            Some(definition) if definition.parameters.is_none() => {
                at_depth(unit, &definition.body, self.depth + 1).map_err(|error| format!("{name}: {error}"))
            }
            _ => Err(format!("{name} is not known")),
        }
    }

    /// The arguments of a call, with its parentheses.
    fn arguments(&mut self) -> Result<Vec<Vec<Token>>, String> {
        self.expect('(')?;
        let mut arguments = Vec::new();
        let mut argument = Vec::new();
        let mut open = 0usize;
        loop {
            let token = self.next().ok_or("a call without an end")?;
            match token {
                Token::Punctuation(')') if open == 0 => {
                    arguments.push(argument);
                    return Ok(arguments);
                }
                Token::Punctuation(',') if open == 0 => arguments.push(core::mem::take(&mut argument)),
                _ => {
                    match token {
                        Token::Punctuation('(') => open += 1,
                        Token::Punctuation(')') => open -= 1,
                        _ => {}
                    }
                    argument.push(token.clone());
                }
            }
        }
    }
}

/// The body of the macro `name` with its arguments.
fn expand(unit: &Unit, name: &str, arguments: &[Vec<Token>]) -> Result<Vec<Token>, String> {
    let definition = unit.definition(name).ok_or_else(|| format!("{name} is not known"))?;
    let parameters = definition.parameters.as_deref().ok_or_else(|| format!("{name} has no parameters"))?;
    let mut expanded: Vec<Token> = Vec::new();
    let mut paste = false;
    for token in &definition.body {
        if *token == Token::Paste {
            paste = true;
            continue;
        }
        let place = parameters.iter().position(|parameter| token.is_word(parameter));
        let own = core::slice::from_ref(token);
        let replacement = place.map_or(own, |place| arguments.get(place).map_or(&[], Vec::as_slice));
        for (index, token) in replacement.iter().enumerate() {
            match (expanded.last_mut(), token) {
                (Some(Token::Word(left)), Token::Word(right)) if paste && index == 0 => left.push_str(right),
                (Some(Token::Word(left)), Token::Number(right)) if paste && index == 0 => {
                    left.push_str(&right.to_string())
                }
                _ => expanded.push(token.clone()),
            }
        }
        paste = false;
    }
    Ok(expanded)
}

type Operator = fn(u64, u64) -> Option<u64>;

/// How an operator binds, and what it does.
fn operator(token: &Token) -> Option<(u8, Operator)> {
    Some(match token {
        Token::Punctuation('|') => (0, |left, right| Some(left | right)),
        Token::Punctuation('^') => (1, |left, right| Some(left ^ right)),
        Token::Punctuation('&') => (2, |left, right| Some(left & right)),
        Token::ShiftLeft => (3, |left, right| Some(shift_left(left, right))),
        Token::ShiftRight => {
            (3, |left, right| Some(u32::try_from(right).ok().and_then(|n| left.checked_shr(n)).unwrap_or(0)))
        }
        Token::Punctuation('+') => (4, |left, right| Some(left.wrapping_add(right))),
        Token::Punctuation('-') => (4, |left, right| Some(left.wrapping_sub(right))),
        Token::Punctuation('*') => (5, |left, right| Some(left.wrapping_mul(right))),
        Token::Punctuation('/') => (5, u64::checked_div),
        Token::Punctuation('%') => (5, u64::checked_rem),
        _ => return None,
    })
}

/// Shifts; bits shifted out are lost.
fn shift_left(value: u64, bits: u64) -> u64 {
    u32::try_from(bits).ok().and_then(|bits| value.checked_shl(bits)).unwrap_or(0)
}

/// Bits of a type of an integer.
pub(crate) fn bits_of_type(name: &str) -> Option<u64> {
    Some(match name.trim_start_matches("__") {
        "u8" | "s8" | "char" | "bool" => 8,
        "u16" | "s16" | "short" => 16,
        "u32" | "s32" | "int" | "unsigned" => 32,
        "u64" | "s64" | "long" => 64,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    const TEXT: &str = "
        #define FEATURE_HLT ( 1*32+  7)
        #define CONTROL_BIT(x) BIT(FEATURE_##x & 0x1f)
        #define HLT CONTROL_BIT(HLT)
        #define SHIFT 8
        #define TYPE (3 << SHIFT)
        #define LOOP LOOP
        enum { FIRST = 5, SECOND };
        struct __packed_not { u32 a; u64 b; };
    ";

    fn value(expression: &str) -> Result<u64, String> {
        let mut unit = Unit::default();
        unit.load("t.h", TEXT);
        evaluate(&unit, &tokens(expression))
    }

    #[test]
    fn operators_bind_as_in_c() {
        for (expression, expected) in [
            ("1 | 2 ^ 7 & 1 << 1 + 1", 7),
            ("(1ull << 63) | 1", 1 << 63 | 1),
            ("10 - 4 - 3", 3),
            ("2 + 3 * 4", 14),
            ("-1", u64::MAX),
            ("~((0xFFFULL << 52) | 0xFFF)", 0x000f_ffff_ffff_f000),
            ("((u64)7) & 3", 3),
            ("16 / 4 % 3", 1),
        ] {
            assert_eq!(value(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn macros_and_constants_are_looked_up() {
        for (expression, expected) in [
            ("HLT", 1 << 7),
            ("CONTROL_BIT(HLT) | BIT_ULL(40)", 1 << 7 | 1 << 40),
            ("GENMASK_ULL(11, 0)", 0xfff),
            ("GENMASK_ULL(63, 52)", 0xfff << 52),
            ("TYPE", 0x300),
            ("SECOND + 1", 7),
            ("64 - sizeof(struct __packed_not) + sizeof(u16)", 50),
        ] {
            assert_eq!(value(expression), Ok(expected), "{expression}");
        }
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for expression in ["LOOP", "UNKNOWN", "1 +", "\"text\"", "1 2", "1 / 0", "CONTROL_BIT(", "sizeof(struct no)"] {
            assert!(value(expression).is_err(), "{expression}");
        }
    }
}
