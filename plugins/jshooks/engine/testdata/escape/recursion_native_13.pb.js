// why: native functions that call each other would overflow the stack of the process
// expect: (200|400|500) 
routerAdd("GET", "/attack", (e) => {
	const attack = () => { let o = {}; const s = new Set(); s.has = s.forEach; s.forEach(s.forEach, s); };
	attack();
	return e.string(200, "survived");
});
