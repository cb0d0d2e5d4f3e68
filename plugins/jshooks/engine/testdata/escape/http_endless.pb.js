// why: a response without an end
// expect: (400|504) 
routerAdd("GET", "/attack", (e) => {
	$http.send({ url: "http://endless.test/" });
	return e.string(200, "LEAK");
});
