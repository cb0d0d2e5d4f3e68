// why: species that answer with lengths of their own
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	class A extends Array {
		static get [Symbol.species]() {
			return function () {
				return { length: 2 ** 53 };
			};
		}
	}
	const a = new A(1, 2, 3);
	for (;;) {
		a.map((v) => v);
		a.filter(() => true);
		a.slice(0);
		a.splice(0, 0);
	}
});
