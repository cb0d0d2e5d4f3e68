// why: stack overflow in toString of what is thrown
// expect: (500|400) 
routerAdd("GET", "/attack", (e) => {
	const o = {
		toString() {
			return String(o);
		},
	};
	throw o;
});
