// why: making a long text normal
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	"\u1E9B\u0323".repeat(4000000).normalize("NFKD");
	return e.string(200, "LEAK");
});
