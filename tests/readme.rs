//! The README shows the smallest example as it is.

#[test]
fn the_readme_shows_the_minimal_example() {
    let example = include_str!("../examples/minimal/src/lib.rs");
    let promises = include_str!("../examples/minimal/src/main.rs");
    let readme = include_str!("../README.md");
    let block = readme.split("```rust\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert!(block.lines().count() < 60, "it is shown in under 60 lines");
    assert!(example.contains(block.trim_end()), "README.md and examples/minimal/src/lib.rs differ");
    let lines = [example.lines().count(), promises.lines().count()];
    assert!(lines.iter().sum::<usize>() < 80);
    assert!(readme.contains(&format!("has two files, of {} and {} lines:", lines[0], lines[1])));
}
