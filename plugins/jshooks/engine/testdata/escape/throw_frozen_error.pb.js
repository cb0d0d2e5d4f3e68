// why: an odd value is thrown
// expect: 400 
routerAdd("GET", "/attack", (e) => {
	throw Object.freeze(Object.assign(new Error("x"), { get stack() { for (;;) {} } }));
});
