// why: the same as JSON
// expect: (400|500) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	return e.json(200, new Array(150000).fill("x".repeat(1000)));
});
