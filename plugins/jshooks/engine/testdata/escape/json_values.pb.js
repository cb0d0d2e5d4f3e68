// why: a JSON text of millions of values
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	JSON.parse("[" + "[],".repeat(2600000) + "1]");
	return e.string(200, "LEAK");
});
