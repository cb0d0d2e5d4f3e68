// why: typed arrays, copies and subclasses of them
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	class B extends ArrayBuffer {}
	const list = [];
	for (;;) {
		list.push(new B(1000000), new Float64Array(100000), new ArrayBuffer(1000000).slice(0), new Uint8Array(1000000).slice(), new Uint8Array(new Array(100000).fill(1)));
	}
});
