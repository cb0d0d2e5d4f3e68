// why: a file that never finishes loading
// expect: problem took too long
for (;;) {}
