// why: changes to the built-ins that the next call would see
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attack = (name, fn) => {
		try {
			fn();
		} catch (err) {
			return;
		}
	};
	if ([].polluted || {}.polluted || globalThis.polluted || Array.prototype.push.polluted) return e.string(200, "LEAK from an earlier call");
	attack("a", () => { Object.prototype.polluted = 1; });
	attack("b", () => { Array.prototype.polluted = 1; });
	attack("c", () => { globalThis.polluted = 1; });
	attack("d", () => { Object.defineProperty(Object.prototype, "polluted", { get: () => 1 }); });
	attack("e", () => { ({}).__proto__.polluted = 1; });
	attack("f", () => { Array.prototype.push.polluted = 1; });
	attack("g", () => { JSON.parse = () => "owned"; });
	attack("h", () => { Array.prototype[Symbol.iterator] = function* () { yield 666; }; });
	attack("i", () => { Object.setPrototypeOf(Array.prototype, { polluted: 1 }); });
	attack("j", () => { Promise.prototype.then = () => 1; });
	attack("k", () => { Object.prototype.toString = () => "owned"; });
	attack("l", () => { console.log = () => 1; });
	attack("m", () => { $app.save = () => 1; });
	attack("n", () => { Error.prototype.message = "owned"; });
	attack("o", () => { (function () {}).__proto__.call = () => 1; });
	attack("p", () => { RegExp.prototype.exec = () => null; });
	attack("q", () => { Symbol.iterator.polluted = 1; });
	attack("r", () => { Reflect.set(Object.prototype, "polluted", 1); });
	attack("s", () => { Object.assign(Object.prototype, { polluted: 1 }); });
	attack("t", () => { delete Array.prototype.map; });
	attack("u", () => { $app = 1; });
	attack("v", () => { BadRequestError.prototype.polluted = 1; });
	const ok = {}.polluted === undefined && [].polluted === undefined && typeof [].map === "function" && String({}) === "[object Object]"
		&& JSON.parse("1") === 1 && [...[1]][0] === 1 && /a/.test("a") && new Error("x").message === "x" && typeof $app.save === "function"
		&& new BadRequestError("x").polluted === undefined && globalThis.polluted === undefined;
	return e.string(200, ok ? "contained" : "LEAK");
});
