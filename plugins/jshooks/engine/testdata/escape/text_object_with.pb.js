// why: a with between the script and the check
// expect: problem (?i)with
with ({}) {}
