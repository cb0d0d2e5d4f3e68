// why: a native loop as long as a length says
// expect: (504|400) 
routerAdd("GET", "/attack", (e) => {
	const like = { length: Number.MAX_SAFE_INTEGER };
	Array.prototype.indexOf.call(like, 1);
	return e.string(200, "LEAK");
});
