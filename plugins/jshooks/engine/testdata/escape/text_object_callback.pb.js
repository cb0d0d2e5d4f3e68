// why: a text is an object with a property for each character
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const s = "x".repeat(8000000);
	"x".repeat(900000).at(0);
	Array.prototype.forEach.call("x".repeat(900000), (c, i, all) => Object.keys(all));
	return e.string(200, "LEAK");
});
