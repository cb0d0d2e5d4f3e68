// why: an exec of one's own answers what a native loop believes
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	const r = /a/;
	Object.defineProperty(r, "flags", { get() { for (;;) {} } });
	"a".replace(r, "b");
	return e.string(200, "LEAK");
});
