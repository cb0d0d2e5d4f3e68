// why: an exec of one's own answers what a native loop believes
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	class R extends RegExp { exec() { return { index: 0, length: 2 ** 40, 0: "" }; } }
	"abc".split(new R("a", "y"));
	return e.string(200, "LEAK");
});
