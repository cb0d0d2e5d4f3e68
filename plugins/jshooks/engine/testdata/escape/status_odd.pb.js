// why: a status that Go panics for
// expect: (400|500) 
routerAdd("GET", "/attack", (e) => {
	return e.string(99999, "LEAK");
});
