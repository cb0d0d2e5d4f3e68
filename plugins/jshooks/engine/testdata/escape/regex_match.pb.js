// why: catastrophic backtracking
// expect: (504|400|200)
routerAdd("GET", "/attack", (e) => {
	const started = Date.now();
	("x".repeat(60)).match(/(x+x+)+(?=y)/g); [...("x".repeat(60)).matchAll(/(x+x+)+(?=y)/g)];
	return e.string(200, Date.now() - started > 1500 ? "LEAK" : "contained");
});
