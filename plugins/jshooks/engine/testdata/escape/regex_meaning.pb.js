// why: replace and split keep their meaning
// expect: 200 ^contained$
routerAdd("GET", "/attack", (e) => {
	const got = JSON.stringify([
		"a1b22c".replace(/\d+/g, (m, at, all) => `[${m}@${at}/${all.length}]`), "2024-05".replace(/(\d+)-(\d+)/, "$2/$1 $& $$ $0 $3 $`|$'"), "ab".replace(/(?<x>a)/, "$<x>$<x>-$<y>"),
		"abc".replace(/(?:)/g, "-"), "aXbX".replace(/x/gi, ""), "😀a".replace(/(?:)/gu, "|"), "a,b;c".split(/[,;]/), "a1b2".split(/(\d)/), "abc".split(/(?:)/), "a,b,c".split(/,/, 2), "".split(/x/), "".split(/(?:)/),
		"😀b".split(/(?:)/u), "aBc".split(/b/i), "ab".split(/a|b/), "a\nb\n".split(/\n/), "x".replace(/y/, "z"), "aa".replace(/a/y, "b"), "abcabc".replace(/(?<=a)b/g, "_"), "one two".replace(/(\w+) (\w+)/, (m, a, b) => `${b} ${a}`)]);
	const want = JSON.stringify(["a[1@1/6]b[22@3/6]c", "05/2024 2024-05 $ $0 $3 |", "aa-b", "-a-b-c-", "ab", "|😀|a|", ["a", "b", "c"], ["a", "1", "b", "2", ""], ["a", "b", "c"], ["a", "b"], [""], [],
		["😀", "b"], ["a", "c"], ["", "", ""], ["a", "b", ""], "x", "ba", "a_ca_c", "two one"]);
	return e.string(200, got === want ? "contained" : "LEAK " + got);
});
