// why: native functions that call each other would overflow the stack of the process
// expect: (200|400|500) 
routerAdd("GET", "/attack", (e) => {
	const attack = () => { const args = []; const f = Reflect.apply.bind(null, Reflect.apply, null, args); args.push(f, null, args); f(); };
	attack();
	return e.string(200, "survived");
});
