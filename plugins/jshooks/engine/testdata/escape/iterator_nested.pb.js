// why: finally within finally of generators in generators
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	function* g(n) {
		try {
			yield* n ? g(n - 1) : [1];
		} finally {
			for (;;) {
				try {
					for (;;) {}
				} catch (err) {
					continue;
				}
			}
		}
	}
	for (const x of g(50)) break;
});
