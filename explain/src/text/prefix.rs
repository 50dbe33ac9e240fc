//! What mail and loggers put before a line.

/// How far into a line the names of loggers are looked for.
const LOGGER_REACH: usize = 100;

/// How many characters at the start of `line` are no part of what was printed.
pub(super) fn prefix_length(line: &[char]) -> usize {
    let mut rest = line;
    while let Some(shorter) = strip(rest) {
        rest = shorter;
    }
    line.len() - rest.len()
}

/// The line without its first prefix.
fn strip(line: &[char]) -> Option<&[char]> {
    let first = *line.first()?;
    if first.is_whitespace() || first == '>' || first == '|' {
        return line.get(1..);
    }
    starts(line, "&gt;")
        .or_else(|| ["kvm_intel:", "kvm_amd:", "kvm:"].into_iter().find_map(|module| starts(line, module)))
        .or_else(|| logger(line, "(XEN)"))
        .or_else(|| logger(line, "kernel:"))
        .or_else(|| bracketed(line))
        .or_else(|| level(line))
        .or_else(|| facility(line))
        .or_else(|| time(line))
}

fn starts<'l>(line: &'l [char], text: &str) -> Option<&'l [char]> {
    let (start, rest) = line.split_at_checked(text.len())?;
    start.iter().copied().eq(text.chars()).then_some(rest)
}

/// What follows the name of a logger, before which a date and a host may be.
fn logger<'l>(line: &'l [char], name: &str) -> Option<&'l [char]> {
    (0..line.len().min(LOGGER_REACH))
        .take_while(|at| line.get(*at).is_some_and(|character| *character != '='))
        .filter(|at| at.checked_sub(1).and_then(|before| line.get(before)).is_none_or(|c| c.is_whitespace()))
        .find_map(|at| starts(line.get(at..)?, name))
}

/// What follows a time or a number of a thread or a processor in brackets.
fn bracketed(line: &[char]) -> Option<&[char]> {
    let inner = line.strip_prefix(&['['])?;
    let end = inner.iter().take(48).position(|character| *character == ']')?;
    let (content, rest) = inner.split_at_checked(end)?;
    let is_number = content.iter().any(char::is_ascii_digit);
    let is_plain = content.iter().all(|c| c.is_ascii_alphanumeric() || " .:-+,/".contains(*c));
    (is_number && is_plain).then_some(rest.get(1..)?)
}

/// What follows the level of a kernel message.
fn level(line: &[char]) -> Option<&[char]> {
    let inner = line.strip_prefix(&['<'])?;
    let end = inner.iter().take(4).position(|character| *character == '>')?;
    let (content, rest) = inner.split_at_checked(end)?;
    (end > 0 && content.iter().all(char::is_ascii_digit)).then_some(rest.get(1..)?)
}

/// What follows facility and level as dmesg decodes them.
fn facility(line: &[char]) -> Option<&[char]> {
    let rest = starts(line, "kern")?;
    let mut colons = rest.iter().enumerate().filter(|(_, character)| **character == ':').map(|(at, _)| at);
    let (first, second) = (colons.next()?, colons.next()?);
    let is_padded = rest.get(..first)?.iter().all(|c| *c == ' ');
    let is_word = rest.get(first + 1..second)?.iter().all(|c| c.is_ascii_lowercase() || *c == ' ');
    (is_padded && is_word).then_some(rest.get(second + 1..)?)
}

/// What follows a date or a time of day.
fn time(line: &[char]) -> Option<&[char]> {
    let end = line.iter().position(|character| character.is_whitespace())?;
    let (word, rest) = line.split_at_checked(end)?;
    let count = |wanted| word.iter().filter(|character| **character == wanted).count();
    let is_time = word.first()?.is_ascii_digit()
        && word.iter().all(|c| c.is_ascii_digit() || ":.,+-TZ".contains(*c))
        && (count(':') >= 2 || count('-') >= 2);
    is_time.then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::prefix_length;

    fn rest(line: &str) -> String {
        let characters: Vec<char> = line.chars().collect();
        characters[prefix_length(&characters)..].iter().collect()
    }

    #[test]
    fn loggers_and_quotes_are_cut() {
        for prefix in [
            "",
            "  ",
            "> ",
            ">>>> ",
            "> > | ",
            "&gt; &gt; ",
            "[  123.456789] ",
            "[28041.038][T78789] ",
            "[  123.456789] kvm_intel: ",
            "[Mon Mar  3 12:00:00 2025] ",
            "Mar  3 12:00:00 host kernel: ",
            "Mar 03 12:00:00 host kernel: [ 1524.416884] ",
            "2024-03-03T12:00:00.123456+00:00 host kernel: kvm_amd: ",
            "2024-03-03 12:00:00 ",
            "2024-03-03T12:00:00,123456+00:00 ",
            "kern  :err   : [  1.2] ",
            "<3>[  1.2] ",
            "(XEN) ",
            "(XEN) [2019-11-02 14:09:46] ",
            "[2019-11-02 14:09:46] (XEN) ",
            "Nov  2 14:09:46.123456 (XEN) ",
            ">> (XEN) [  1.2] ",
        ] {
            let line = format!("{prefix}CR3 = 0x1");
            assert_eq!(rest(&line), "CR3 = 0x1", "{line}");
        }
    }

    #[test]
    fn what_was_printed_stays() {
        for line in [
            "CS:   sel=0x0010, attr=0x0a09b",
            "0: msr=0x00000600 value=0x0000000000000000",
            "reason=80000021 qualification=0000000000000000",
            "00|00 TPR Threshold = 0x00",
            "CR0=0000 kernel: no prefix",
            "cr_read:            0000",
            "[abc] none",
            "<x> none",
            "kernel_gs_base: 0000000000000000",
        ] {
            assert_eq!(rest(line), line);
        }
    }
}
