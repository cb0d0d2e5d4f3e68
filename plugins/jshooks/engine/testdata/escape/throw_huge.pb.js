// why: an odd value is thrown
// expect: 400 
routerAdd("GET", "/attack", (e) => {
	throw "x".repeat(8000000);
});
