//! What cannot be made by hand does not compile.

#[test]
fn what_only_one_step_makes_cannot_be_made_by_hand() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/compile_fail/*.rs");
}
