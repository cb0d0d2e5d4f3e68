// why: long texts and large patterns
// expect: (504|400|200)
routerAdd("GET", "/attack", (e) => {
	const s = "a".repeat(1000000);
	try {
		new RegExp("(a?){500}a{500}b").test(s);
	} catch (err) {
		// refused
	}
	try {
		new RegExp("a".repeat(1000000));
	} catch (err) {
		// refused
	}
	s.match(/a.*b|a/g);
	return e.string(200, "contained");
});
