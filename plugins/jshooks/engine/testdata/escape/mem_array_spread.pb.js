// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const list = [];
	list.length = 2 ** 31;
	Math.max(...list);
	return e.string(200, "LEAK");
});
