// why: what is rewritten keeps its meaning
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const o = { toString: () => "o", x: 1 };
	const { x, ...rest } = { x: 1, y: 2, z: 3 };
	const pick = ({ a = 7, ...others }, [{ ...first }] = [{ q: 1 }]) => [a, others, first];
	const none = Object.assign(Object.create(null), { k: 1 });
	const { ...copy } = none;
	const { ...digits } = 5;
	let later;
	({ ...later } = { l: 1 });
	const got = JSON.stringify([`${1}-${"a"}-${o}-${null}-${undefined}-${true}${[1, 2]}é${"ü"}`, rest, { ...{ a: 1 }, ...[5], ..."hi", ...null }, pick({ b: 2 }), copy, digits, later]);
	const want = '["1-a-o-null-undefined-true1,2éü",{"y":2,"z":3},{"0":"h","1":"i","a":1},[7,{"b":2},{"q":1}],{"k":1},{},{"l":1}]';
	let symbol = "";
	try {
		symbol = `${1}${2}${3}${Symbol("s")}`;
	} catch (err) {
		symbol = err.name;
	}
	return e.string(200, got === want && symbol === "TypeError" ? "contained" : "LEAK " + got + symbol);
});
