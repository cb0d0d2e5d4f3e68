// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	String.raw({ raw: { length: 2 ** 32 } });
	return e.string(200, "LEAK");
});
