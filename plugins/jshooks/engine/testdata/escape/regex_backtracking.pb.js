// why: catastrophic backtracking
// expect: (504|400|200)
routerAdd("GET", "/attack", (e) => {
	const started = Date.now();
	/^(a+)+$/.test("a".repeat(40) + "b"); /^(?=(a+)+$)b/.test("a".repeat(50) + "b");
	return e.string(200, Date.now() - started > 1500 ? "LEAK" : "contained");
});
