//! A timeline of the exits in the Trace Event format, one track for each virtual processor: Perfetto opens it.
//!
//! "Trace Event Format", sections "JSON Object Format" and "Complete Events".

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::Context as _;
use serde_json::{Value, json};

const WORD: &str = "slice ";
const GUEST: &str = "guest";

/// One exit, as the example prints it: `slice PROCESSOR START NANOSECONDS KIND`.
#[derive(Debug, PartialEq, Eq)]
struct Slice<'a> {
    processor: u64,
    start: u64,
    length: u64,
    kind: &'a str,
}

/// Whether a line of the console is part of a timeline.
pub(super) fn is_slice(line: &str) -> bool {
    line.starts_with(WORD)
}

fn slice(line: &str) -> Option<Slice<'_>> {
    let mut words = line.strip_prefix(WORD)?.splitn(4, ' ');
    let mut number = || words.next()?.parse().ok();
    let (processor, start, length) = (number()?, number()?, number()?);
    Some(Slice { processor, start, length, kind: words.next()? })
}

/// Writes the timeline that is in the lines, and says how many exits it has.
pub(super) fn write(lines: &[String], file: &Path) -> anyhow::Result<usize> {
    let slices: Vec<_> = lines.iter().filter_map(|line| slice(line)).collect();
    let text = serde_json::to_string(&events(&slices))?;
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(slices.len())
}

fn events(slices: &[Slice<'_>]) -> Value {
    let named =
        |kind: &str, tid, name: String| json!({"ph": "M", "pid": 1, "tid": tid, "name": kind, "args": {"name": name}});
    let mut events = vec![named("process_name", 0, "guest".to_owned())];
    let first = slices.iter().map(|slice| slice.start).min().unwrap_or(0);
    // The processors print side by side.
    let mut last = BTreeMap::<_, &Slice<'_>>::new();
    for slice in slices {
        let complete = |name: &str, start: u64, length: u64| {
            let microseconds = |nanoseconds: u64| json!(format_microseconds(nanoseconds));
            let (ts, dur) = (microseconds(start.saturating_sub(first)), microseconds(length));
            json!({"ph": "X", "pid": 1, "tid": slice.processor, "name": name, "ts": ts, "dur": dur})
        };
        match last.insert(slice.processor, slice) {
            None => events.push(named("thread_name", slice.processor, format!("vCPU {}", slice.processor))),
            Some(last) => {
                let end = last.start.saturating_add(last.length);
                if end < slice.start {
                    events.push(complete(GUEST, end, slice.start.saturating_sub(end)));
                }
            }
        }
        events.push(complete(slice.kind, slice.start, slice.length));
    }
    json!({"traceEvents": events, "displayTimeUnit": "ns"})
}

/// Whether there is a timeline of so many exits for each of so many processors, none of which begins before the one before has ended.
pub(super) fn judge(lines: &[String], processors: u8, exits: u32) -> Result<(), String> {
    let slices: Vec<_> = lines.iter().filter_map(|line| slice(line)).collect();
    for processor in 0..u64::from(processors) {
        let track: Vec<_> = slices.iter().filter(|slice| slice.processor == processor).collect();
        if u32::try_from(track.len()) != Ok(exits) {
            return Err(format!("the timeline of processor {processor} has {} exits, not {exits}", track.len()));
        }
        let mut pairs = track.iter().zip(track.iter().skip(1));
        if let Some((_, next)) = pairs.find(|(one, next)| one.start.saturating_add(one.length) > next.start) {
            return Err(format!("{next:?} begins before the exit before has ended"));
        }
    }
    Ok(())
}

/// Nanoseconds as microseconds, which is what the format counts in.
fn format_microseconds(nanoseconds: u64) -> Value {
    let text = format!("{}.{:03}", nanoseconds / 1000, nanoseconds % 1000);
    serde_json::from_str(&text).unwrap_or(Value::Null)
}

#[cfg(test)]
mod tests {
    use super::{Slice, events, is_slice, judge, slice};

    #[test]
    fn lines_of_a_timeline_are_told_from_others() {
        let line = "slice 1 2500 700 control register";
        assert!(is_slice(line) && !is_slice("| slice 1 2 3 x"));
        assert_eq!(slice(line), Some(Slice { processor: 1, start: 2500, length: 700, kind: "control register" }));
        assert_eq!(slice("slice 1 2"), None);
    }

    #[test]
    fn between_two_exits_the_guest_runs() {
        let lines = ["slice 0 1000 500 CPUID", "slice 1 2000 1 I/O", "slice 0 4500 250 HLT"];
        let slices: Vec<_> = lines.iter().filter_map(|line| slice(line)).collect();
        let value = events(&slices);
        let events = value["traceEvents"].as_array().unwrap();
        let complete: Vec<_> = events
            .iter()
            .filter(|event| event["ph"] == "X")
            .map(|event| {
                (
                    event["tid"].as_u64().unwrap(),
                    event["name"].as_str().unwrap(),
                    event["ts"].as_f64(),
                    event["dur"].as_f64(),
                )
            })
            .collect();
        assert_eq!(
            complete,
            [
                (0, "CPUID", Some(0.0), Some(0.5)),
                (1, "I/O", Some(1.0), Some(0.001)),
                (0, "guest", Some(0.5), Some(3.0)),
                (0, "HLT", Some(3.5), Some(0.25)),
            ]
        );
        let names = events.iter().filter(|event| event["name"] == "thread_name").count();
        assert_eq!(names, 2);
    }

    #[test]
    fn each_processor_has_its_exits_one_after_the_other() {
        let lines = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect::<Vec<_>>();
        let fine = lines(&["slice 0 1 2 HLT", "slice 1 2 5 HLT", "| slice", "slice 0 3 1 CPUID", "slice 1 8 1 I/O"]);
        assert_eq!(judge(&fine, 2, 2), Ok(()));
        assert_eq!(judge(&fine, 3, 2), Err("the timeline of processor 2 has 0 exits, not 2".to_owned()));
        assert!(judge(&fine, 2, 3).is_err());
        assert!(judge(&lines(&["slice 0 1 2 HLT", "slice 0 2 2 HLT"]), 1, 2).is_err());
    }
}
