// why: bytes as a list of numbers
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const list = [];
	for (;;) list.push(toBytes("x".repeat(8000000)));
});
