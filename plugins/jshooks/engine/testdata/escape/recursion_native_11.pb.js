// why: native functions that call each other would overflow the stack of the process
// expect: (200|400|500) 
routerAdd("GET", "/attack", (e) => {
	const attack = () => { const o = {}; Object.defineProperty(o, "x", { get: Object.prototype.__lookupGetter__ }); o.x; };
	attack();
	return e.string(200, "survived");
});
