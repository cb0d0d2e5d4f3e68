// why: odd values are returned
// expect: (200|204|404|400)
routerAdd("GET", "/attack", (e) => {
	return { then(resolve) {
		for (;;) resolve();
	} };
});
