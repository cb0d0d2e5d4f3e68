// why: an odd value is thrown
// expect: 400 
routerAdd("GET", "/attack", (e) => {
	throw { toString() { throw new Error("again"); } };
});
