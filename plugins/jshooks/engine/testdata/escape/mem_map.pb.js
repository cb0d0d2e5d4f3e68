// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const m = new Map();
	for (let i = 0; ; i++) m.set("k" + i, [i]);
	return e.string(200, "LEAK");
});
