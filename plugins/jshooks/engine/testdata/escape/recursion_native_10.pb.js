// why: native functions that call each other would overflow the stack of the process
// expect: (200|400|500) 
routerAdd("GET", "/attack", (e) => {
	const attack = () => { const o = { toJSON: Date.prototype.toJSON }; o.toISOString = o.toJSON; JSON.stringify(o); };
	attack();
	return e.string(200, "survived");
});
