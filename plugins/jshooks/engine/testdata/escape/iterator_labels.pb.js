// why: labelled loops in finally
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	a: for (;;) {
		try {
			for (;;) {}
		} finally {
			continue a;
		}
	}
});
