// why: a loop that catches what stops it
// expect: 504 took too long
routerAdd("GET", "/attack", (e) => {
	for (;;) {
		try {
			for (;;) {}
		} catch (err) {
			// again
		} finally {
			continue;
		}
	}
});
