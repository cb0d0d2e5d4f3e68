// why: the same in a list of ids
// expect: (400|500|504) 
// alone: it measures memory
routerAdd("GET", "/attack", (e) => {
	$app.findRecordsByIds("items", new Array(200000).fill("\u4e00".repeat(8000000)));
	return e.string(200, "LEAK");
});
