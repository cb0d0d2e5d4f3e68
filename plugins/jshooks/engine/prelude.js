// Runs once in every new VM, before any hook, and returns nothing: it takes
// away what can't be bounded, puts interruptible functions in the place of native
// loops, wraps every native function that is left, and freezes the lot.
(function (go) {
	"use strict";
	const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, setPrototypeOf, freeze } = Object;
	const { ownKeys } = Reflect;
	const apply = go.wrap(Reflect.apply, ""); // wrapped: it calls scripts
	const { isArray } = Array;
	const quote = JSON.stringify;
	const join = Array.prototype.join;
	const push = Array.prototype.push;
	const codePointAt = String.prototype.codePointAt;
	const slice = String.prototype.slice;
	const iteratorProto = getPrototypeOf(getPrototypeOf([][Symbol.iterator]()));
	const global = globalThis;

	const length = (x) => {
		const n = Math.trunc(Number(x.length));
		return n > 0 ? Math.min(n, Number.MAX_SAFE_INTEGER) : 0;
	};
	const put = (object, key, value) => defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
	const callable = (fn) => {
		if (typeof fn !== "function") {
			throw new TypeError("not a function");
		}
		return fn;
	};
	const object = (x) => {
		if (x === null || x === undefined) {
			throw new TypeError("Cannot convert undefined or null to object");
		}
		return Object(x);
	};
	const iterator = (next) => ({ __proto__: iteratorProto, next });
	const done = () => ({ value: undefined, done: true });

	// ----- functions

	const bind = {
		bind(self, ...head) {
			const fn = callable(this);
			const bound = function (...tail) {
				const args = [...head, ...tail];
				return new.target ? new fn(...args) : apply(fn, self, args);
			};
			defineProperty(bound, "name", { value: "bound " + String(fn.name), configurable: true });
			return bound;
		},
	};
	const listOf = (x) => {
		if (x === null || x === undefined) {
			return [];
		}
		const n = length(object(x));
		go.checkArgs(n);
		const list = [];
		for (let i = 0; i < n; i++) {
			put(list, i, x[i]);
		}
		return list;
	};
	const call = {
		apply(self, list) {
			return apply(callable(this), self, listOf(list));
		},
		call(self, ...list) {
			return apply(callable(this), self, list);
		},
	};
	const reflect = {
		apply(fn, self, list) {
			return apply(callable(fn), self, listOf(list));
		},
		construct(fn, list) {
			return new fn(...listOf(list));
		},
	};

	// ----- arrays

	const flatten = (to, from, depth) => {
		const n = length(from);
		for (let i = 0; i < n; i++) {
			if (!(i in from)) continue;
			const v = from[i];
			if (depth > 0 && isArray(v)) {
				flatten(to, v, depth - 1);
			} else {
				put(to, to.length, v);
			}
		}
		return to;
	};
	const spreadable = (x) => {
		if (typeof x !== "object" || x === null) {
			return false;
		}
		const asked = x[Symbol.isConcatSpreadable];
		return asked === undefined ? isArray(x) : !!asked;
	};
	const same = (a, b) => a === b || (a !== a && b !== b);
	const merge = (list, compare) => {
		for (let width = 1; width < list.length; width *= 2) {
			const next = [];
			for (let from = 0; from < list.length; from += 2 * width) {
				const middle = Math.min(from + width, list.length);
				const end = Math.min(from + 2 * width, list.length);
				let a = from;
				let b = middle;
				while (a < middle || b < end) {
					const left = b >= end || (a < middle && !(compare(list[a], list[b]) > 0));
					put(next, next.length, left ? list[a++] : list[b++]);
				}
			}
			list = next;
		}
		return list;
	};
	const byText = (a, b) => {
		const x = String(a);
		const y = String(b);
		return x < y ? -1 : x > y ? 1 : 0;
	};
	const comparer = (fn) => {
		if (fn === undefined) {
			return byText;
		}
		callable(fn);
		return (a, b) => Number(fn(a, b));
	};
	const entries = (self, what) => {
		const list = object(self);
		let i = 0;
		return iterator(() => (i < length(list) ? { value: what(i, list, i++), done: false } : done()));
	};
	const start = (from, n) => {
		const i = Math.trunc(Number(from)) || 0;
		return i < 0 ? Math.max(n + i, 0) : i;
	};
	const array = {
		concat(...others) {
			const list = [];
			for (const x of [object(this), ...others]) {
				if (!spreadable(x)) {
					put(list, list.length, x);
					continue;
				}
				const n = length(x);
				const base = list.length;
				for (let i = 0; i < n; i++) {
					if (i in x) put(list, base + i, x[i]);
				}
				list.length = base + n;
			}
			return list;
		},
		flat(depth) {
			return flatten([], object(this), depth === undefined ? 1 : Number(depth) || 0);
		},
		flatMap(fn, self) {
			callable(fn);
			const from = object(this);
			const n = length(from);
			const list = [];
			for (let i = 0; i < n; i++) {
				if (i in from) put(list, list.length, apply(fn, self, [from[i], i, from]));
			}
			return flatten([], list, 1);
		},
		join(separator) {
			const list = object(this);
			const n = length(list);
			const between = separator === undefined ? "," : String(separator);
			if (go.enter(list)) {
				return "";
			}
			try {
				let text = "";
				for (let i = 0; i < n; i++) {
					const v = list[i];
					text += (i ? between : "") + (v === undefined || v === null ? "" : String(v));
				}
				return text;
			} finally {
				go.leave();
			}
		},
		toString() {
			const list = object(this);
			return typeof list.join === "function" ? list.join() : "[object Object]";
		},
		toLocaleString() {
			const list = object(this);
			let text = "";
			for (let i = 0; i < length(list); i++) {
				text += (i ? "," : "") + (list[i] === undefined || list[i] === null ? "" : list[i].toLocaleString());
			}
			return text;
		},
		indexOf(x, from) {
			const list = object(this);
			const n = length(list);
			for (let i = start(from, n); i < n; i++) {
				if (list[i] === x && i in list) return i;
			}
			return -1;
		},
		lastIndexOf(x, from) {
			const list = object(this);
			const n = length(list);
			const asked = arguments.length > 1 ? Math.trunc(Number(from)) || 0 : n - 1;
			for (let i = asked < 0 ? n + asked : Math.min(asked, n - 1); i >= 0; i--) {
				if (list[i] === x && i in list) return i;
			}
			return -1;
		},
		includes(x, from) {
			const list = object(this);
			const n = length(list);
			for (let i = start(from, n); i < n; i++) {
				if (same(list[i], x)) return true;
			}
			return false;
		},
		sort(fn) {
			const compare = comparer(fn);
			const list = object(this);
			const n = length(list);
			const present = [];
			let empty = 0;
			for (let i = 0; i < n; i++) {
				if (!(i in list)) continue;
				if (list[i] === undefined) empty++;
				else put(present, present.length, list[i]);
			}
			const sorted = merge(present, compare);
			for (let i = 0; i < n; i++) {
				if (i < sorted.length) list[i] = sorted[i];
				else if (i < sorted.length + empty) list[i] = undefined;
				else if (i in list) delete list[i];
			}
			return list;
		},
		toSorted(fn) {
			comparer(fn);
			return [...object(this)].sort(fn);
		},
		values() {
			return entries(this, (i, list) => list[i]);
		},
		keys() {
			return entries(this, (i) => i);
		},
		entries() {
			return entries(this, (i, list) => [i, list[i]]);
		},
	};
	const from = {
		from(source, fn, self) {
			if (fn !== undefined) callable(fn);
			const items = object(source);
			const list = [];
			const add = (v) => put(list, list.length, fn ? apply(fn, self, [v, list.length]) : v);
			if (items[Symbol.iterator] !== undefined && items[Symbol.iterator] !== null) {
				for (const v of items) add(v);
			} else {
				const n = length(items);
				for (let i = 0; i < n; i++) add(items[i]);
			}
			if (this === Array || typeof this !== "function" || !(this.prototype instanceof Array)) {
				return list;
			}
			const made = new this();
			for (const v of list) apply(push, made, [v]);
			return made;
		},
	};

	// ----- text

	const text = {
		concat(...others) {
			let all = String(object(this).valueOf());
			for (const x of others) all += String(x);
			return all;
		},
		[Symbol.iterator]() {
			const s = String(object(this).valueOf());
			let i = 0;
			return iterator(() => {
				if (i >= s.length) return done();
				const n = apply(codePointAt, s, [i]) > 0xffff ? 2 : 1;
				const value = apply(slice, s, [i, i + n]);
				i += n;
				return { value, done: false };
			});
		},
	};
	const raw = {
		raw(strings, ...values) {
			const parts = object(object(strings).raw);
			const n = length(parts);
			let all = "";
			for (let i = 0; i < n; i++) {
				all += String(parts[i]) + (i + 1 < n && i < values.length ? String(values[i]) : "");
			}
			return all;
		},
	};

	// ----- a String object has a property for each character, and loses the check of its prototype with that

	const plainString = String;
	const toText = go.wrap(plainString, ""); // it calls scripts
	const construct = Reflect.construct;
	const string = function String(value) {
		if (new.target === undefined) {
			return arguments.length === 0 ? "" : toText(value);
		}
		const s = arguments.length === 0 ? "" : `${value}`;
		go.checkObject(s);
		return construct(plainString, [s], new.target === string ? plainString : new.target);
	};

	const plainObject = Object;
	const objects = function Object(value) {
		if (typeof value === "string") go.checkObject(value);
		if (new.target !== undefined && new.target !== objects) return construct(plainObject, [], new.target);
		return value === undefined || value === null ? {} : plainObject(value);
	};

	// ----- symbols that all calls share

	const shared = Symbol.for;
	const symbols = new Set();
	const hasSymbol = symbols.has.bind(symbols);
	const addSymbol = symbols.add.bind(symbols);
	const symbol = {
		for(key) {
			const name = `${key}`;
			if (name.length > 1000) throw new RangeError("the name of the symbol is too long");
			if (!hasSymbol(name)) {
				// The VM keeps them, so it is thrown away after a call that makes many.
				if (symbols.size > 100) go.taint();
				addSymbol(name);
			}
			return shared(name);
		},
	};

	// ----- regular expressions: what their exec answers may claim any length

	const includes = String.prototype.includes;
	const indexOf = String.prototype.indexOf;
	const toInteger = (x) => Math.trunc(Number(x)) || 0;
	const toLength = (x) => Math.min(Math.max(toInteger(x), 0), Number.MAX_SAFE_INTEGER);
	const advance = (s, at, unicode) => at + (unicode && at < s.length && apply(codePointAt, s, [at]) > 0xffff ? 2 : 1);
	const receiver = (x) => {
		if (typeof x !== "object" && typeof x !== "function" || x === null) {
			throw new TypeError("this function needs a regular expression");
		}
		return x;
	};
	const match = (rx, s) => {
		const fn = rx.exec;
		if (typeof fn !== "function") return apply(RegExp.prototype.exec, rx, [s]);
		const found = apply(fn, rx, [s]);
		if (typeof found !== "object" && typeof found !== "function") throw new TypeError("exec must return an object or null");
		return found;
	};
	const writer = () => {
		const parts = [];
		let size = 0;
		return {
			write(s) {
				size += s.length;
				go.checkText(size);
				put(parts, parts.length, s);
			},
			text: () => apply(join, parts, [""]),
		};
	};
	// substitute writes a replacement with its $1, $& and so on.
	const substitute = (write, template, matched, s, position, captures, groups) => {
		let from = 0;
		for (;;) {
			const at = apply(indexOf, template, ["$", from]);
			if (at < 0 || at + 1 >= template.length) break;
			write(apply(slice, template, [from, at]));
			const c = template[at + 1];
			from = at + 2;
			if (c === "$") write("$");
			else if (c === "&") write(matched);
			else if (c === "`") write(apply(slice, s, [0, position]));
			else if (c === "'") write(apply(slice, s, [Math.min(position + matched.length, s.length)]));
			else if (c >= "0" && c <= "9") {
				const second = template[at + 2];
				let n = Number(c);
				if (second >= "0" && second <= "9" && n * 10 + Number(second) >= 1 && n * 10 + Number(second) <= captures.length) {
					n = n * 10 + Number(second);
					from++;
				}
				if (n >= 1 && n <= captures.length) {
					if (captures[n - 1] !== undefined) write(captures[n - 1]);
				} else write("$" + c);
			} else if (c === "<" && groups !== undefined) {
				const end = apply(indexOf, template, [">", from]);
				if (end < 0) write("$<");
				else {
					const group = groups[apply(slice, template, [from, end])];
					if (group !== undefined) write(`${group}`);
					from = end + 1;
				}
			} else write("$" + c);
		}
		write(apply(slice, template, [from]));
	};
	const regexp = {
		[Symbol.replace](text, replacement) {
			const rx = receiver(this);
			const s = `${text}`;
			const call = typeof replacement === "function";
			const template = call ? "" : `${replacement}`;
			const flags = `${rx.flags}`;
			const global = apply(includes, flags, ["g"]);
			const unicode = apply(includes, flags, ["u"]);
			if (global) rx.lastIndex = 0;
			const found = [];
			for (;;) {
				const m = match(rx, s);
				if (m === null) break;
				put(found, found.length, m);
				if (!global) break;
				if (`${m[0]}` === "") rx.lastIndex = advance(s, toLength(rx.lastIndex), unicode);
			}
			const out = writer();
			let next = 0;
			for (let i = 0; i < found.length; i++) {
				const m = found[i];
				const matched = `${m[0]}`;
				const position = Math.max(Math.min(toInteger(m.index), s.length), 0);
				const captures = [];
				const n = length(m);
				for (let j = 1; j < n; j++) {
					const c = m[j];
					put(captures, captures.length, c === undefined ? c : `${c}`);
				}
				const groups = m.groups;
				let part;
				if (call) {
					const args = [matched];
					for (let j = 0; j < captures.length; j++) put(args, args.length, captures[j]);
					put(args, args.length, position);
					put(args, args.length, s);
					if (groups !== undefined) put(args, args.length, groups);
					go.checkArgs(args.length);
					part = `${apply(replacement, undefined, args)}`;
				} else {
					const written = writer();
					substitute(written.write, template, matched, s, position, captures, groups === undefined ? groups : object(groups));
					part = written.text();
				}
				if (position >= next) {
					out.write(apply(slice, s, [next, position]));
					out.write(part);
					next = position + matched.length;
				}
			}
			if (next < s.length) out.write(apply(slice, s, [next]));
			return out.text();
		},
		[Symbol.split](text, limit) {
			const rx = receiver(this);
			const s = `${text}`;
			const own = rx.constructor;
			let make = RegExp;
			if (own !== undefined) {
				const kind = receiver(own)[Symbol.species];
				if (kind !== undefined && kind !== null) make = kind;
			}
			const flags = `${rx.flags}`;
			const unicode = apply(includes, flags, ["u"]);
			// Looking for the next match is the same as trying each place, and much faster. It takes an exec that
			// nobody has replaced.
			const fast = make === RegExp && rx.exec === RegExp.prototype.exec;
			const kept = fast ? [...flags].filter((c) => c !== "y" && c !== "g").join("") : flags;
			const splitter = new make(rx, fast ? kept + "g" : apply(includes, flags, ["y"]) ? flags : flags + "y");
			const most = limit === undefined ? 4294967295 : limit >>> 0;
			const parts = [];
			if (most === 0) return parts;
			if (s.length === 0) {
				if (match(splitter, s) === null) put(parts, 0, s);
				return parts;
			}
			let last = 0;
			for (let at = 0; at < s.length; ) {
				splitter.lastIndex = at;
				const m = match(splitter, s);
				if (m === null) {
					if (fast) break;
					at = advance(s, at, unicode);
					continue;
				}
				if (fast) at = m.index;
				if (at >= s.length) break;
				const end = Math.min(toLength(splitter.lastIndex), s.length);
				if (end === last) {
					at = advance(s, at, unicode);
					continue;
				}
				put(parts, parts.length, apply(slice, s, [last, at]));
				if (parts.length === most) return parts;
				last = end;
				const n = length(m);
				for (let i = 1; i < n; i++) {
					put(parts, parts.length, m[i]);
					if (parts.length === most) return parts;
				}
				at = last;
			}
			put(parts, parts.length, apply(slice, s, [last]));
			return parts;
		},
	};

	// ----- JSON

	const json = {
		stringify(value, replacer, space) {
			let keep;
			const replace = typeof replacer === "function" ? replacer : undefined;
			if (isArray(replacer)) {
				keep = [];
				for (const k of replacer) {
					if (typeof k === "string" || typeof k === "number") keep.push(String(k));
				}
			}
			if (space instanceof Number || space instanceof String) space = space.valueOf();
			let gap = "";
			if (typeof space === "number") gap = apply(slice, "          ", [0, Math.max(0, Math.min(10, space))]);
			if (typeof space === "string") gap = apply(slice, space, [0, 10]);

			let parts = [];
			let size = 0;
			const write = (s) => {
				size += s.length;
				go.checkText(size);
				put(parts, parts.length, s);
			};
			const open = [];
			const prepare = (holder, key) => {
				let v = holder[key];
				if (typeof v === "object" && v !== null && typeof v.toJSON === "function") v = v.toJSON(key);
				if (replace) v = apply(replace, holder, [key, v]);
				if (v instanceof Number) v = Number(v);
				else if (v instanceof String) v = String(v);
				else if (v instanceof Boolean) v = v.valueOf();
				return v;
			};
			const skip = (v) => v === undefined || typeof v === "function" || typeof v === "symbol";
			const list = (v, indent, brackets, each) => {
				for (let i = 0; i < open.length; i++) {
					if (open[i] === v) throw new TypeError("Converting circular structure to JSON");
				}
				if (open.length > 400) throw new RangeError("the value is nested too deeply");
				put(open, open.length, v);
				write(brackets[0]);
				let first = true;
				const inner = indent + gap;
				each((prefix) => {
					write((first ? "" : ",") + (gap ? "\n" + inner : "") + prefix);
					first = false;
				}, inner);
				write((gap && !first ? "\n" + indent : "") + brackets[1]);
				open.length--;
			};
			const print = (v, indent) => {
				if (v === null) return write("null");
				if (typeof v === "string") return write(quote(v));
				if (typeof v !== "object") return write(typeof v === "number" && !isFinite(v) ? "null" : String(v));
				if (isArray(v)) {
					return list(v, indent, "[]", (next, inner) => {
						const n = length(v);
						for (let i = 0; i < n; i++) {
							const item = prepare(v, String(i));
							next("");
							print(skip(item) ? null : item, inner);
						}
					});
				}
				list(v, indent, "{}", (next, inner) => {
					for (const k of keep || Object.keys(v)) {
						const item = prepare(v, k);
						if (skip(item)) continue;
						next(quote(k) + (gap ? ": " : ":"));
						print(item, inner);
					}
				});
			};
			const root = prepare({ "": value }, "");
			if (skip(root)) return undefined;
			print(root, "");
			return apply(join, parts, [""]);
		},
	};

	// ----- put them in place

	const install = (target, methods) => {
		for (const key of ownKeys(methods)) {
			defineProperty(target, key, { value: methods[key], writable: true, enumerable: false, configurable: true });
		}
	};
	install(Function.prototype, bind);
	install(Function.prototype, call);
	install(Reflect, reflect);
	install(Array.prototype, array);
	install(Array.prototype, { [Symbol.iterator]: array.values });
	install(Array, from);
	install(String.prototype, text);
	install(String, raw);
	install(JSON, json);
	install(Symbol, symbol);
	install(RegExp.prototype, regexp);
	const stand = (replacement, original, name) => {
		for (const key of ownKeys(original)) {
			if (key !== "prototype" && key !== "name" && key !== "length") {
				defineProperty(replacement, key, getOwnPropertyDescriptor(original, key));
			}
		}
		defineProperty(replacement, "prototype", { value: original.prototype, writable: false });
		defineProperty(original.prototype, "constructor", { value: replacement });
		global[name] = replacement;
	};
	stand(string, plainString, "String");
	stand(objects, plainObject, "Object");
	// What a pattern with a rest asks first; see rewrite in the engine.
	defineProperty(Object.prototype, "\0rest", {
		get() {
			go.checkObject(this);
			return 0;
		},
	});

	// ----- take away

	const refused = (name, reason) => go.refuse(name, reason);
	const code = refused("Function()", "Code from text isn't run. Put it into a file of the bundle and require it.");
	for (const fn of [function () {}, function* () {}, async function () {}]) {
		defineProperty(getPrototypeOf(fn), "constructor", { value: code });
	}
	global.Function = code;
	defineProperty(code, "prototype", { value: getPrototypeOf(function () {}) });
	global.eval = refused("eval()", "Code from text isn't run. Put it into a file of the bundle and require it.");
	global.Proxy = refused("Proxy", "Use a class with getters and setters.");
	global.BigInt = refused("BigInt", "Use numbers, or text.");
	defineProperty(go.bigIntPrototype, "constructor", { value: global.BigInt });
	for (const name of ["BigInt64Array", "BigUint64Array", "GoError"]) delete global[name];
	for (const name of ["getBigInt64", "getBigUint64", "setBigInt64", "setBigUint64"]) delete DataView.prototype[name];
	for (const name of ["ArrayBuffer", "Uint8Array", "Uint8ClampedArray", "Int8Array", "Uint16Array", "Int16Array",
		"Uint32Array", "Int32Array", "Float32Array", "Float64Array", "RegExp"]) {
		const original = global[name];
		const guarded = go.constructor(name, original);
		for (const key of ownKeys(original)) {
			if (key !== "prototype" && key !== "name" && key !== "length") {
				defineProperty(guarded, key, getOwnPropertyDescriptor(original, key));
			}
		}
		setPrototypeOf(guarded, getPrototypeOf(original));
		defineProperty(guarded, "prototype", { value: original.prototype, writable: false });
		defineProperty(original.prototype, "constructor", { value: guarded });
		global[name] = guarded;
	}

	// ----- wrap and freeze all that can be reached

	const seen = new Set();
	const queue = [];
	const reach = (x, path) => {
		if ((typeof x === "object" && x !== null) || typeof x === "function") {
			if (!seen.has(x)) {
				seen.add(x);
				queue.push([x, path]);
			}
		}
	};
	const named = (key) => (typeof key === "symbol" ? String(key) : key);
	// Constructors keep their identity, for instanceof and extends.
	const wrap = (fn, path) => (typeof fn === "function" && go.native(fn) && !("prototype" in fn) ? go.wrap(fn, path) : fn);
	reach(global, "");
	for (const x of [[][Symbol.iterator](), "".matchAll(/x/g), new Map().entries(), new Set().entries(),
		(function* () {})(), async function () {}, function* () {}, new Uint8Array(1)[Symbol.iterator](), go.bigIntPrototype]) {
		reach(getPrototypeOf(x), "");
	}
	reach(go.bigIntPrototype, "BigInt.prototype");
	// Indexes instead of for-of: the iterators are those of above by now, and slow.
	const parts = ["value", "get", "set"];
	for (let i = 0; i < queue.length; i++) {
		const x = queue[i][0];
		const path = queue[i][1];
		reach(getPrototypeOf(x), path + ".__proto__");
		const keys = ownKeys(x);
		for (let j = 0; j < keys.length; j++) {
			const key = keys[j];
			const d = getOwnPropertyDescriptor(x, key);
			const name = path === "" ? named(key) : path + "." + named(key);
			let changed = false;
			for (let k = 0; k < 3; k++) {
				const v = d[parts[k]];
				if (typeof v === "function") {
					const w = wrap(v, name);
					if (w !== v) {
						changed = true;
						d[parts[k]] = w;
					}
					reach(w, name);
				} else if (typeof v === "object") {
					reach(v, name);
				}
			}
			if (changed && d.configurable) defineProperty(x, key, d);
			else if (changed && d.writable) x[key] = d.value;
		}
	}
	// A frozen property of a prototype can't be assigned to on an object that
	// inherits it. These often are, so they become accessors that define it there.
	const overridable = (proto, keys) => {
		for (const key of keys) {
			const d = getOwnPropertyDescriptor(proto, key);
			if (!d || !("value" in d)) continue;
			const value = d.value;
			defineProperty(proto, key, {
				configurable: false,
				enumerable: false,
				get: () => value,
				set(to) {
					if (this === proto || seen.has(this)) throw new TypeError("the built-in objects are frozen");
					put(this, key, to);
				},
			});
		}
	};
	overridable(Object.prototype, ["toString", "valueOf", "toLocaleString", "hasOwnProperty", "constructor", "isPrototypeOf"]);
	overridable(getPrototypeOf(function () {}), ["toString"]);
	for (const name of ["Error", "TypeError", "RangeError", "SyntaxError", "ReferenceError", "EvalError", "URIError", "AggregateError"]) {
		overridable(global[name].prototype, ["name", "message", "toString", "constructor"]);
	}
	go.finish(() => {
		for (let i = 0; i < queue.length; i++) {
			freeze(queue[i][0]);
			go.builtin(queue[i][0]);
		}
	});
})
