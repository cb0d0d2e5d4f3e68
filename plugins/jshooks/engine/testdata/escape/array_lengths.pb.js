// why: lengths up to 2**53 and arrays that shrink while they are sorted
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	const attempts = [() => { const x = []; x.length = 4294967295; x.reverse(); }, () => [].concat({ [Symbol.isConcatSpreadable]: true, length: 2 ** 53 - 1 }),
		() => { const x = new Array(1000).fill(0); x.sort(() => ((x.length = 0), Math.random() - 0.5)); }, () => { const [...y] = Object.assign([], { length: 4294967295 }); }];
	for (const attempt of attempts) {
		try {
			attempt();
		} catch (err) {
			continue;
		}
	}
});
