// why: private members of one's own at a built-in object, call after call
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	class Base {
		constructor(o) {
			return o;
		}
	}
	class Stamp extends Base {
		#kept = "x".repeat(4000000);
		static at(o) {
			return #kept in o;
		}
	}
	if (Stamp.at(Math)) return e.string(200, "LEAK");
	new Stamp(Math);
	return e.string(200, "contained");
});
