// why: a server that never answers
// expect: 504 took too long
routerAdd("GET", "/attack", (e) => {
	try {
		$http.send({ url: "http://slow.test/", timeout: 100 });
	} catch (err) {
		// again
		$http.send({ url: "http://slow.test/" });
	}
	return e.string(200, "LEAK");
});
