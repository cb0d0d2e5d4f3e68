// why: what a file keeps must not be there in the next call
// expect: 200 ^contained$
let count = 0;
const kept = [];

routerAdd("GET", "/attack", (e) => {
	count++;
	kept.push(e);
	return e.string(200, count === 1 && kept.length === 1 ? "contained" : "LEAK " + count);
});
