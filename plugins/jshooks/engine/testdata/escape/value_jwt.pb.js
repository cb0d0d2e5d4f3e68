// why: the same in a token
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	$security.createJWT({ a: new Array(100000).fill("x".repeat(1000)) }, "k", 1);
	return e.string(200, "LEAK");
});
