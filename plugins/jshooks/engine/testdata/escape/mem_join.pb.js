// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	new Array(1000000).fill("x".repeat(1000000)).join("");
	return e.string(200, "LEAK");
});
