// why: this of a sloppy function is a text as an object
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const lib = require("./lib.js");
	const { ...rest } = lib.box("x".repeat(8000000));
	return e.string(200, "LEAK");
});
