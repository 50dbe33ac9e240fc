//! Where the members of a C structure are.

use super::Unit;
use super::expression::{bits_of_type, evaluate};
use super::token::Token;

/// A structure or union as it is written.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    pub(crate) is_union: bool,
    pub(crate) is_packed: bool,
    /// What is between the braces, with the numbers of the lines.
    pub(crate) body: Vec<(usize, Token)>,
}

/// A member, or one of a structure in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// The name, behind those of the members around it: `es.selector`.
    pub(crate) path: String,
    pub(crate) offset: u64,
    pub(crate) line: usize,
}

/// A structure in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) size: u64,
    align: u64,
    pub(crate) members: Vec<Member>,
}

impl Layout {
    /// Of something without members.
    fn plain(size: u64) -> Self {
        Self { size, align: size.max(1), members: Vec::new() }
    }
}

/// The layout of the structure with this name.
pub(crate) fn of(unit: &Unit, name: &str) -> Result<Layout, String> {
    unit.structure(name).ok_or_else(|| format!("struct {name} is not known"))?.layout(unit)
}

impl Definition {
    /// Where its members are.
    pub(crate) fn layout(&self, unit: &Unit) -> Result<Layout, String> {
        let mut reader = Reader { unit, rest: &self.body };
        let mut layout = Layout::plain(0);
        let mut end = 0u64;
        while let Some(field) = reader.field()? {
            let kind = match field.kind {
                // A structure from a file that is not read: in a union the other members tell the size.
                Err(_) if self.is_union => Layout::plain(0),
                kind => kind?,
            };
            let align = if self.is_packed { 1 } else { kind.align };
            let offset = if self.is_union { 0 } else { end.next_multiple_of(align) };
            let size = kind.size.saturating_mul(field.count);
            end = end.max(offset + size);
            layout.align = layout.align.max(align);
            if let Some(name) = &field.name {
                layout.members.push(Member { path: name.clone(), offset, line: field.line });
            }
            if field.count == 1 {
                layout.members.extend(kind.members.into_iter().map(|part| Member {
                    path: field.name.as_ref().map_or(part.path.clone(), |name| format!("{name}.{}", part.path)),
                    offset: offset + part.offset,
                    line: if field.name.is_some() { field.line } else { part.line },
                }));
            }
        }
        layout.size = end.next_multiple_of(layout.align);
        Ok(layout)
    }
}

/// What stands before a semicolon.
struct Field {
    name: Option<String>,
    kind: Result<Layout, String>,
    count: u64,
    line: usize,
}

struct Reader<'a> {
    unit: &'a Unit,
    rest: &'a [(usize, Token)],
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Option<(usize, &'a Token)> {
        let ((line, token), rest) = self.rest.split_first()?;
        self.rest = rest;
        Some((*line, token))
    }

    /// The tokens up to the bracket that closes the one just read.
    fn enclosed(&mut self, open: char, close: char) -> Result<&'a [(usize, Token)], String> {
        let length = closing(self.rest, open, close).ok_or_else(|| format!("no `{close}`"))?;
        let (inside, rest) = self.rest.split_at_checked(length).unwrap_or_default();
        self.rest = rest.get(1..).unwrap_or_default();
        Ok(inside)
    }

    /// The next field, if there is one.
    fn field(&mut self) -> Result<Option<Field>, String> {
        let mut kind = None;
        let mut name: Option<String> = None;
        let mut count = 1u64;
        while let Some((line, token)) = self.next() {
            match token {
                Token::Punctuation(';') => {
                    let kind = kind.ok_or_else(|| format!("line {line}: a member without a type"))?;
                    return Ok(Some(Field { name, kind, count, line }));
                }
                Token::Punctuation('[') => {
                    let length: Vec<_> = self.enclosed('[', ']')?.iter().map(|(_, token)| token.clone()).collect();
                    count = count.saturating_mul(evaluate(self.unit, &length)?);
                }
                Token::Punctuation('(') => {
                    self.enclosed('(', ')')?;
                }
                Token::Word(word) if word == "__attribute__" || word.starts_with("__aligned") => {}
                Token::Word(word) if word == "const" || word == "volatile" => {}
                Token::Word(word) if word == "struct" || word == "union" => {
                    kind = Some(self.aggregate(word == "union")?)
                }
                Token::Word(word) if kind.is_none() => {
                    kind = Some(
                        bits_of_type(word)
                            .map(|bits| Layout::plain(bits / 8))
                            .ok_or_else(|| format!("{word} is not known")),
                    );
                }
                Token::Word(word) => name = Some(word.clone()),
                token => return Err(format!("line {line}: {token:?} in a structure")),
            }
        }
        Ok(None)
    }

    /// What follows `struct` or `union`: a name, or a body.
    fn aggregate(&mut self, is_union: bool) -> Result<Result<Layout, String>, String> {
        match self.next() {
            Some((_, Token::Word(name))) => Ok(of(self.unit, name)),
            Some((_, Token::Punctuation('{'))) => {
                let body = self.enclosed('{', '}')?.to_vec();
                let is_packed = self.rest.first().is_some_and(|(_, token)| token.is_word("__packed"));
                if is_packed {
                    self.next();
                }
                Ok(Definition { is_union, is_packed, body }.layout(self.unit))
            }
            token => Err(format!("{token:?} after struct")),
        }
    }
}

/// The place of the bracket that closes the one before `tokens`.
pub(crate) fn closing(tokens: &[(usize, Token)], open: char, close: char) -> Option<usize> {
    let mut depth = 0usize;
    for (index, (_, token)) in tokens.iter().enumerate() {
        if token.is(open) {
            depth += 1;
        } else if token.is(close) {
            match depth.checked_sub(1) {
                Some(outer) => depth = outer,
                None => return Some(index),
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "
        enum { MAX = 6 };
        struct __attribute__ ((__packed__)) area {
            u32 words[MAX];
            u32 reserved_1[15 - MAX];
            u16 threshold;
            u8 control;
            u64 base;
            union {
                struct unknown_here enlightenments;
                u8 reserved_sw[32];
            };
            u8 after;
        };
        struct seg { u16 selector; u16 attrib; u32 limit; u64 base; } __packed;
        struct save {
            struct seg es;
            struct seg cs;
            struct seg list[2];
            u8 cpl;
        } __packed;
        struct page { struct save save; u8 rest[4096 - sizeof(struct save)]; } __packed;
        struct natural { u16 index; u64 value; u8 last; } __aligned(16);
        struct bad { u32 a : 3; };
        struct unknown { struct unknown_here a; };
    ";

    fn offsets(name: &str) -> Result<(u64, Vec<(String, u64)>), String> {
        let mut unit = Unit::default();
        unit.load("t.h", TEXT);
        let layout = of(&unit, name)?;
        Ok((layout.size, layout.members.into_iter().map(|member| (member.path, member.offset)).collect()))
    }

    fn offset(name: &str, path: &str) -> u64 {
        offsets(name).unwrap().1.into_iter().find(|(own, _)| own == path).unwrap().1
    }

    #[test]
    fn packed_members_follow_each_other() {
        assert_eq!(offset("area", "threshold"), 60);
        assert_eq!(offset("area", "control"), 62);
        assert_eq!(offset("area", "base"), 63);
        assert_eq!(offset("area", "reserved_sw"), 71);
        assert_eq!(offset("area", "after"), 103);
        assert_eq!(offsets("area").unwrap().0, 104);
    }

    #[test]
    fn structures_in_structures_have_paths() {
        assert_eq!(offset("save", "cs"), 16);
        assert_eq!(offset("save", "cs.base"), 24);
        assert_eq!(offset("save", "cpl"), 64);
        assert_eq!(offset("page", "save.es.limit"), 4);
        assert_eq!(offsets("page").unwrap().0, 4096);
    }

    #[test]
    fn others_are_aligned() {
        let natural = [("index".to_owned(), 0), ("value".to_owned(), 8), ("last".to_owned(), 16)];
        assert_eq!(offsets("natural").unwrap(), (24, natural.to_vec()));
    }

    #[test]
    fn what_is_not_understood_is_told() {
        for name in ["bad", "unknown", "nowhere"] {
            assert!(offsets(name).is_err(), "{name}");
        }
    }
}
