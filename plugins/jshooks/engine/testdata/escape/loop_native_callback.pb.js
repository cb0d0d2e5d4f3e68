// why: native loops over native callbacks
// expect: (504|500|400) 
routerAdd("GET", "/attack", (e) => {
	const big = "x".repeat(4000000);
	new Array(900000).fill(big).map(encodeURIComponent);
	return e.string(200, "LEAK");
});
