// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	"x".repeat(2 ** 30).length;
	return e.string(200, "LEAK");
});
