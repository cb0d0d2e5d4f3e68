// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	"x".padStart(2 ** 30).length;
	"x".padEnd(2 ** 30, "ab").length;
	return e.string(200, "LEAK");
});
