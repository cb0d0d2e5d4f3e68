// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	let x = "x".repeat(1000);
	for (let i = 0; i < 40; i++) x = [x, x];
	JSON.stringify(x);
	return e.string(200, "LEAK");
});
