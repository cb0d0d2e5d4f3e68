// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	new Array(2 ** 29).fill(1);
	return e.string(200, "LEAK");
});
