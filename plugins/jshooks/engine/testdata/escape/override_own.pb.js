// why: own properties named like built-ins must still work
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	class Failure extends Error {
		constructor(m) {
			super(m);
			this.name = "Failure";
			this.message = m + "!";
		}
	}
	function Old() {}
	Old.prototype = Object.create(Object.prototype);
	Old.prototype.constructor = Old;
	Old.prototype.toString = () => "old";
	const o = {};
	o.toString = () => "mine";
	const f = new Failure("x");
	const ok = String(new Old()) === "old" && String(o) === "mine" && f.name === "Failure" && f.message === "x!" && f instanceof Error;
	return e.string(200, ok ? "contained" : "BROKEN");
});
