// why: letters of a range written out, for minutes
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	new RegExp("(?=a)" + "[a-z0-9\\W]".repeat(800), "i");
	return e.string(200, "LEAK");
});
