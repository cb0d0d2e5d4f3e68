// why: an async function that never ends
// expect: (504|500) 
routerAdd("GET", "/attack", (e) => {
	(async () => {
		for (;;) await null;
	})();
	return null;
});
