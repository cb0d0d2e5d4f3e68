// why: a response larger than allowed
// expect: (400|500) 
routerAdd("GET", "/attack", (e) => {
	let s = "x".repeat(4000000);
	s += s;
	return e.string(200, s);
});
