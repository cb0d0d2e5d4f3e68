// why: a file that closes the function around it
// expect: problem 
});
globalThis.polluted = 1;
(function () {
