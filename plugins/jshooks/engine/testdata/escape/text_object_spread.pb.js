// why: a text is an object with a property for each character
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const s = "x".repeat(8000000);
	({ ...s });
	return e.string(200, "LEAK");
});
