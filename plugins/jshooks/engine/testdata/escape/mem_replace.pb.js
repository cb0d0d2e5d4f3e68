// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	"a".repeat(1000000).replace(/a/g, "$`");
	"a".repeat(1000000).replaceAll("a", "b".repeat(1000000));
	return e.string(200, "LEAK");
});
