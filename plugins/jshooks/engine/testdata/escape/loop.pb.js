// why: an endless loop
// expect: 504 took too long
routerAdd("GET", "/attack", (e) => {
	for (;;) {}
});
