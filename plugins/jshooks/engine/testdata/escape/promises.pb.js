// why: a flood of microtasks
// expect: (504|500) 
routerAdd("GET", "/attack", (e) => {
	const flood = () => Promise.resolve().then(flood);
	flood();
	return Promise.resolve();
});
