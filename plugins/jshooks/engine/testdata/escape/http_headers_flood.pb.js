// why: more headers and a larger body than a request may have
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	const list = new Array(100000).fill("x".repeat(1000));
	$http.send({ url: "http://endless.test/", method: "POST", body: { list } });
	return e.string(200, "LEAK");
});
