// why: sleeping past the budget
// expect: 504 took too long
routerAdd("GET", "/attack", (e) => {
	sleep(3600000);
	return e.string(200, "LEAK");
});
