// why: catastrophic backtracking
// expect: (504|400|200)
routerAdd("GET", "/attack", (e) => {
	const started = Date.now();
	"a".repeat(60).replace(/^(a+)+(?=b)$/g, "");
	return e.string(200, Date.now() - started > 1500 ? "LEAK" : "contained");
});
