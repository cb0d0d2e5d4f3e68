// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	let s = "ab".repeat(4000000);
	s += s;
	s.split("");
	return e.string(200, "LEAK");
});
