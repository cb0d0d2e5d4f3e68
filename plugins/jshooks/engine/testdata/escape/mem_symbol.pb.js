// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	for (let i = 0; ; i++) Symbol.for("leak" + i + "x".repeat(1000));
	return e.string(200, "LEAK");
});
