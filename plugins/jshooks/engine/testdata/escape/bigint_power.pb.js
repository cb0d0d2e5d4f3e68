// why: powers of BigInt
// expect: problem BigInt
routerAdd("GET", "/attack", (e) => e.string(200, String(2n ** 1000000000n)));
