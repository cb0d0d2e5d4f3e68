// why: catastrophic backtracking
// expect: (504|400|200)
routerAdd("GET", "/attack", (e) => {
	const started = Date.now();
	/^(a|aa)+\1?(?!a)$/.test("a".repeat(60) + "b"); /(x+x+)+y(?=z)/.exec("x".repeat(60));
	return e.string(200, Date.now() - started > 1500 ? "LEAK" : "contained");
});
