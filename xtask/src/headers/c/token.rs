//! Text of C as lines and tokens.

/// A token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(String),
    Number(u64),
    Punctuation(char),
    ShiftLeft,
    ShiftRight,
    /// `##`.
    Paste,
    /// A string or a character.
    Text,
}

impl Token {
    /// Whether it is this word.
    pub(crate) fn is_word(&self, word: &str) -> bool {
        matches!(self, Self::Word(own) if own == word)
    }

    /// Whether it is this character.
    pub(crate) fn is(&self, punctuation: char) -> bool {
        *self == Self::Punctuation(punctuation)
    }
}

/// The lines of `text` with their numbers: without comments, and continued lines as one.
pub(crate) fn lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut continued = false;
    for (index, line) in without_comments(text).lines().enumerate() {
        let (line, continues) = match line.trim_end().strip_suffix('\\') {
            Some(line) => (line, true),
            None => (line, false),
        };
        match lines.last_mut() {
            Some((_, last)) if continued => last.push_str(line),
            _ => lines.push((index + 1, line.to_owned())),
        }
        continued = continues;
    }
    lines
}

/// The text with a space for each comment, and its line ends.
fn without_comments(text: &str) -> String {
    let mut left = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(comment) = rest.strip_prefix("/*") {
            let (comment, after) = comment.split_once("*/").unwrap_or((comment, ""));
            left.push(' ');
            left.extend(comment.chars().filter(|&letter| letter == '\n'));
            rest = after;
        } else if rest.starts_with("//") {
            rest = rest.find('\n').and_then(|end| rest.get(end..)).unwrap_or_default();
        } else if first == '"' {
            let length = string_length(rest);
            left.push_str(rest.get(..length).unwrap_or(rest));
            rest = rest.get(length..).unwrap_or_default();
        } else {
            left.push(first);
            rest = rest.get(first.len_utf8()..).unwrap_or_default();
        }
    }
    left
}

/// Bytes of the string that `text` begins with, with both quotation marks.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (index, letter) in text.char_indices().skip(1) {
        match letter {
            '"' if !escaped => return index + 1,
            '\n' => return index,
            _ => escaped = letter == '\\' && !escaped,
        }
    }
    text.len()
}

/// The tokens of a line.
pub(crate) fn tokens(line: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let word = rest.split(|letter| !is_word(letter)).next().unwrap_or_default();
        let (token, length) = if first == '"' {
            (Token::Text, string_length(rest))
        } else if first == '\'' {
            let end = rest.get(1..).and_then(|rest| rest.find('\'')).map_or(rest.len(), |end| end + 2);
            (Token::Text, end)
        } else if rest.starts_with("<<") {
            (Token::ShiftLeft, 2)
        } else if rest.starts_with(">>") {
            (Token::ShiftRight, 2)
        } else if rest.starts_with("##") {
            (Token::Paste, 2)
        } else if word.is_empty() {
            (Token::Punctuation(first), first.len_utf8())
        } else if let Some(number) = number(word) {
            (Token::Number(number), word.len())
        } else {
            (Token::Word(word.to_owned()), word.len())
        };
        tokens.push(token);
        rest = rest.get(length..).unwrap_or_default().trim_start();
    }
    tokens
}

/// The number that `word` is, whatever its suffix.
fn number(word: &str) -> Option<u64> {
    let digits = word.trim_end_matches(['u', 'U', 'l', 'L']);
    let lower = digits.to_ascii_lowercase();
    if let Some(hexadecimal) = lower.strip_prefix("0x") {
        return u64::from_str_radix(hexadecimal, 16).ok();
    }
    match lower.strip_prefix('0') {
        Some(octal) if !octal.is_empty() => u64::from_str_radix(octal, 8).ok(),
        _ => lower.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_go_and_lines_keep_their_numbers() {
        let text = "a /* x\ny */ b\n#define C \\\n  1 // one\n\"/* text */\" d\n";
        assert_eq!(
            lines(text),
            [
                (1, "a  ".to_owned()),
                (2, " b".to_owned()),
                (3, "#define C   1 ".to_owned()),
                (5, "\"/* text */\" d".to_owned())
            ]
        );
    }

    #[test]
    fn numbers_have_bases_and_suffixes() {
        for (word, value) in
            [("0", 0), ("31", 31), ("0x2e", 0x2e), ("0XFEULL", 0xfe), ("010", 8), ("1ull", 1), ("0xFFUL", 0xff)]
        {
            assert_eq!(number(word), Some(value), "{word}");
        }
        assert_eq!(number("u32"), None);
        assert_eq!(number("ull"), None);
    }

    #[test]
    fn lines_are_cut_into_tokens() {
        let word = |word: &str| Token::Word(word.to_owned());
        assert_eq!(
            tokens("BIT(VMX_##x >> 2) \"a\\\"b\" 'c' <<"),
            [
                word("BIT"),
                Token::Punctuation('('),
                word("VMX_"),
                Token::Paste,
                word("x"),
                Token::ShiftRight,
                Token::Number(2),
                Token::Punctuation(')'),
                Token::Text,
                Token::Text,
                Token::ShiftLeft,
            ]
        );
    }
}
