// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	let s = "xxxxxxxxxxxxxxxx";
	for (;;) s += s;
	return e.string(200, "LEAK");
});
