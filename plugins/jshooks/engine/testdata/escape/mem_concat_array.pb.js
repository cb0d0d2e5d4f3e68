// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	let a = [1, 2, 3, 4];
	for (;;) a = a.concat(a);
	return e.string(200, "LEAK");
});
