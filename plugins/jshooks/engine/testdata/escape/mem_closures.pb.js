// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	let f = null;
	for (;;) {
		const g = f;
		f = () => g;
	}
	return e.string(200, "LEAK");
});
