// why: native functions that call each other
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const native = [];
	const attack = (fn) => {
		try {
			fn();
		} catch (err) {
			return;
		}
	};
	attack(() => String({ toString: Object.prototype.toLocaleString }));
	attack(() => String({ join: Array.prototype.toString, toString: Array.prototype.toString }));
	attack(() => { const o = { toString: RegExp.prototype.toString }; o.source = o; String(o); });
	attack(() => { const o = { toString: Error.prototype.toString }; o.name = o; String(o); });
	attack(() => { const o = { exec: RegExp.prototype.test }; RegExp.prototype.test.call(o, "x"); });
	attack(() => { const o = { toString: String.prototype.trim }; String(o); });
	attack(() => { const o = {}; o.toString = String.bind(null, o); String(o); });
	attack(() => { const args = []; const f = Reflect.apply.bind(null, Reflect.apply, null, args); args.push(f, null, args); f(); });
	attack(() => { const o = {}; o[Symbol.toPrimitive] = Number.prototype.toString.bind(o); +o; });
	attack(() => { const o = { toJSON: Date.prototype.toJSON }; o.toISOString = o.toJSON; JSON.stringify(o); });
	attack(() => { const o = {}; Object.defineProperty(o, "x", { get: Object.prototype.__lookupGetter__ }); o.x; });
	attack(() => { const d = new Date(); d.toISOString = d.toJSON; });
	attack(() => { let o = {}; const s = new Set(); s.has = s.forEach; s.forEach(s.forEach, s); });
	attack(() => { const a = []; a.push(a); String(a); a.flat(Infinity); });
	return e.string(200, "contained");
});
