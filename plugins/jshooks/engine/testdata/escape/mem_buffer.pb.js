// why: a memory bomb
// expect: (500|400|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	new ArrayBuffer(2 ** 32);
	new Uint8Array(2 ** 32);
	return e.string(200, "LEAK");
});
