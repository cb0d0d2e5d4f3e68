// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const list = [];
	for (;;) list.push({ a: list.length });
	return e.string(200, "LEAK");
});
