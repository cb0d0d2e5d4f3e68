// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	$security.randomString(2 ** 31);
	return e.string(200, "LEAK");
});
