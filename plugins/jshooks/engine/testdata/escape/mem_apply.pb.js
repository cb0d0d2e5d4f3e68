// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	String.fromCharCode.apply(null, { length: 2 ** 30 });
	return e.string(200, "LEAK");
});
