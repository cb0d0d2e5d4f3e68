// why: reading a number takes the square of its length
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	parseInt("9".repeat(8000000));
	return e.string(200, "LEAK");
});
