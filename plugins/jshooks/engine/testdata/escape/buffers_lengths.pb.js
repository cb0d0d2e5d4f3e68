// why: lengths that change between the check and the use
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const changing = (first, then) => {
		let n = 0;
		return { valueOf: () => (n++ ? then : first) };
	};
	for (const attempt of [() => new ArrayBuffer(changing(1, 4e9)), () => new Uint8Array({ get length() { return 2 ** 40; } }), () => Uint8Array.from({ length: 2 ** 53 }), () => new Uint8Array(10).set({ length: 2 ** 53 }),
		() => new DataView(new ArrayBuffer(8), changing(0, 100)), () => new Float64Array(4e9), () => "x".repeat(changing(1, 1e9)), () => "x".padEnd(changing(1, 1e9)), () => new Array(10).fill(0).copyWithin(0, changing(0, 2 ** 53))]) {
		try {
			const got = attempt();
			if (got && got.length > 1000000) return e.string(200, "LEAK");
		} catch (err) {
			continue;
		}
	}
	return e.string(200, "contained");
});
