// why: valueOf that never returns, where Go wants a number
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	sleep({ valueOf() { for (;;) {} } });
	return e.string(200, "LEAK");
});
