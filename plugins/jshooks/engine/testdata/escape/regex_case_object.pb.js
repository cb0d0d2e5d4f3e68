// why: the same by way of objects that become text
// expect: (400|500|504) 
routerAdd("GET", "/attack", (e) => {
	let n = 0;
	new RegExp({ toString: () => (n++ ? "(?=a)" + "\\W".repeat(3000) : "a") }, { toString: () => "i" });
	new RegExp(new RegExp("(?=a)" + "\\W".repeat(3000)), "i");
	return e.string(200, "LEAK");
});
