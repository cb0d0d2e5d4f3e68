// why: a sparse array of four thousand million
// expect: (504|400) 
routerAdd("GET", "/attack", (e) => {
	const list = [];
	list.length = 4294967295;
	list.sort();
	return e.string(200, "LEAK");
});
