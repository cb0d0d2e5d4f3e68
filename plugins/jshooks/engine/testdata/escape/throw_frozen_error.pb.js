// why: an odd value is thrown
// expect: 504 took too long
routerAdd("GET", "/attack", (e) => {
	throw Object.freeze(Object.assign(new Error("x"), { get stack() { for (;;) {} } }));
});
