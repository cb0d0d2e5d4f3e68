// why: deep recursion
// expect: 500 
routerAdd("GET", "/attack", (e) => {
	const f = () => f() + 1;
	return e.string(200, "LEAK" + f());
});
