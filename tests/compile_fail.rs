//! What must not compile does not, and what differs from it in the offending line only does.

#[test]
fn ownership_and_sensitive_fields_are_held_by_the_compiler() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
    cases.pass("tests/compile_pass/*.rs");
}
