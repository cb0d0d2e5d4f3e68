// why: toJSON that answers more of itself
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	const o = { toJSON: () => ({ a: o, b: o }) };
	return e.string(200, "LEAK" + JSON.stringify(o));
});
