// why: a promise that resolves to itself again and again
// expect: (200|504)
routerAdd("GET", "/attack", (e) => {
	const t = { then: (resolve) => resolve(t) };
	Promise.resolve(t);
	return e.string(200, "contained");
});
