// why: a loop in a generator that refuses to return
// expect: 504 took too long
routerAdd("GET", "/attack", (e) => {
	function* forever() {
		try {
			for (;;) yield 1;
		} finally {
			for (;;) {}
		}
	}
	for (const x of forever()) {
		if (x > 1) break;
	}
});
