// why: an exec of one's own answers what a native loop believes
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	class R extends RegExp { static get [Symbol.species]() { return function () { return { exec: () => null, lastIndex: 0, flags: "y" }; }; } }
	for (;;) "abc".repeat(10000).split(new R("a"));
	return e.string(200, "LEAK");
});
