// why: one long text in memory is a thousand in what is sent
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	return e.json(200, new Array(100000).fill("x".repeat(8000000)));
});
