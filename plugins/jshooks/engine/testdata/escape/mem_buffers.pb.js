// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const list = [];
	for (;;) list.push(new Uint8Array(1000000));
	return e.string(200, "LEAK");
});
