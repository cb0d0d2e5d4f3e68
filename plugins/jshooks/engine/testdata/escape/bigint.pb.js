// why: numbers without bounds
// expect: problem BigInt
routerAdd("GET", "/attack", (e) => {
	return e.string(200, String(2n ** 1000000000n));
});
