// why: the same without a literal
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const seen = [];
	const attempts = [
		() => BigInt(2) ** BigInt(100),
		() => new BigInt64Array(1),
		() => new DataView(new ArrayBuffer(8)).getBigInt64(0),
		() => Object(1).constructor.BigInt,
	];
	for (const attempt of attempts) {
		try {
			const got = attempt();
			if (got !== undefined && got !== null && got !== "") seen.push(String(attempt) + " -> " + String(got).slice(0, 60));
		} catch (err) {
			// contained
		}
	}
	return e.string(200, seen.length ? "LEAK " + seen.join("; ") : "contained");
});
