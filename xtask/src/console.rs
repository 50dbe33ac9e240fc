//! The image's console, told from what the emulators print beside it, and what its lines mean.

/// Begins every line of the image.
const MARK: &str = "@ ";

/// The image's part of a line on the emulator's standard output; `None` where the line is the emulator's own.
///
/// Bochs may leave text without a line end before the image's first line.
pub(crate) fn filter(line: &str) -> Option<&str> {
    let line = line.trim_end_matches(['\r', '\n']);
    match line.split_once(MARK) {
        Some((_, text)) => Some(text),
        None => (line == MARK.trim_end()).then_some(""),
    }
}

/// How the image says it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Pass,
    Fail,
}

/// The verdict, which is the last line.
pub(crate) fn verdict<S: AsRef<str>>(lines: &[S]) -> Option<Verdict> {
    match lines.last()?.as_ref() {
        "VERDICT PASS" => Some(Verdict::Pass),
        "VERDICT FAIL" => Some(Verdict::Fail),
        _ => None,
    }
}

/// The number of instructions per exit, as printed.
pub(crate) fn instructions_per_exit<S: AsRef<str>>(lines: &[S]) -> Option<&str> {
    let number = lines.iter().find_map(|line| line.as_ref().strip_prefix("instructions per exit:"))?.trim();
    number.parse::<f64>().is_ok().then_some(number)
}

/// One test inside an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) name: String,
    /// Why it failed.
    pub(crate) outcome: Result<(), String>,
}

/// The test that a line reports.
pub(crate) fn test(line: &str) -> Option<Test> {
    let (name, outcome) = line.strip_prefix("test ")?.split_once(" ... ")?;
    let outcome = match outcome {
        "ok" => Ok(()),
        _ => Err(outcome.strip_prefix("FAILED")?.trim_start_matches(':').trim().to_owned()),
    };
    Some(Test { name: name.to_owned(), outcome })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_marked_lines_are_the_images() {
        let table = [
            ("@ VERDICT PASS\n", Some("VERDICT PASS")),
            ("@   indented\r\n", Some("  indented")),
            ("@ a mail @ home\n", Some("a mail @ home")),
            ("@ \n", Some("")),
            ("@\n", Some("")),
            ("<bochs:1> @ first line\n", Some("first line")),
            ("Next at t=0\n", None),
            ("(0) [0x0000fffffff0] f000:fff0 (unk. ctxt): jmpf 0xf000:e05b\n", None),
            ("========================\n", None),
            ("", None),
        ];
        for (line, text) in table {
            assert_eq!(filter(line), text, "{line:?}");
        }
    }

    #[test]
    fn the_verdict_is_the_last_line_alone() {
        assert_eq!(verdict(&["a", "VERDICT PASS"]), Some(Verdict::Pass));
        assert_eq!(verdict(&["VERDICT FAIL"]), Some(Verdict::Fail));
        assert_eq!(verdict(&["VERDICT PASS", "and more"]), None);
        assert_eq!(verdict(&["VERDICT PASSED"]), None);
        assert_eq!(verdict::<&str>(&[]), None);
    }

    #[test]
    fn the_number_of_instructions_is_kept_as_printed() {
        assert_eq!(instructions_per_exit(&["x", "instructions per exit: 95.000"]), Some("95.000"));
        assert_eq!(instructions_per_exit(&["instructions per exit: none"]), None);
        assert_eq!(instructions_per_exit(&["instructions"]), None);
    }

    #[test]
    fn tests_are_read() {
        assert_eq!(test("test ept::maps ... ok"), Some(Test { name: "ept::maps".to_owned(), outcome: Ok(()) }));
        let failed = Test { name: "a".to_owned(), outcome: Err("left 1 right 2".to_owned()) };
        assert_eq!(test("test a ... FAILED: left 1 right 2"), Some(failed));
        assert_eq!(test("test a ... running"), None);
        assert_eq!(test("testing"), None);
    }
}
