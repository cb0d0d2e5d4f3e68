package engine_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/core"
)

// hello asks for the route that most examples answer.
var hello = []string{"GET", "/hello", ""}

// TestDocumentedExamples runs what PocketBase's documentation shows, as it is there but for names of collections.
func TestDocumentedExamples(t *testing.T) {
	t.Parallel()
	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"method":"` + r.Method + `","got":` + string(raw) + `,"auth":"` + r.Header.Get("Authorization") + `"}`))
	}))
	t.Cleanup(remote.Close)
	create := []string{"POST", "/api/collections/items/records", `{"title":"a","count":2}`}
	cases := []struct {
		name   string
		source string
		more   []string // files beside it
		send   []string
		status int
		body   string // pattern
		log    string // pattern
	}{
		{"record hook with a tag", `onRecordCreate((e) => { e.record.set("title", "changed"); e.next() }, "items")`, nil, create, 200, `"title":"changed"`, ""},
		{"another tag", `onRecordCreate((e) => { throw new Error("no") }, "users", "posts")`, nil, create, 200, `"title":"a"`, ""},
		{"create request", `onRecordCreateRequest((e) => {
			// ignore for superusers
			if (e.hasSuperuserAuth()) { return e.next() }
			e.record.set("title", "pending")
			e.next()
		}, "items")`, nil, create, 200, `"title":"pending"`, ""},
		{"hooks nest", `onRecordCreateRequest((e) => { e.record.set("title", "r"); e.next() }, "items")
			onRecordCreate((e) => { e.record.set("title", e.record.get("title") + "c"); e.next() }, "items")
			onRecordCreate((e) => { e.record.set("title", e.record.get("title") + "2"); e.next() }, "items")
			onRecordCreateExecute((e) => { e.record.set("title", e.record.get("title") + "x"); e.next() }, "items")
			onRecordEnrich((e) => { e.record.withCustomData(true); e.record.set("extra", 7); e.next() }, "items")`, nil, create, 200, `"extra":7.*"title":"rc2x"`, ""},
		{"throw an API error", `onRecordCreateRequest((e) => { throw new BadRequestError("Not today.", { title: new ValidationError("invalid_title", "Bad title") }) }, "items")`, nil, create, 400, `invalid_title.*Not today\.`, ""},
		{"throw something else", `onRecordCreateRequest((e) => { throw new Error("internal detail") }, "items")`, nil, create, 400, `Something went wrong`, "internal detail"},
		{"return an API error", `routerAdd("GET", "/hello", (e) => e.forbiddenError("Nope.", null))`, nil, hello, 403, `Nope\.`, ""},
		{"catch and rethrow what next throws", `onRecordCreate((e) => { try { e.next() } catch (err) { console.log("caught", err.message); throw err } }, "items")
			onRecordCreate((e) => { throw new ApiError(418, "teapot", {}) }, "items")`, nil, create, 418, `Teapot`, "caught Teapot"},
		{"validation error of a save", `routerAdd("GET", "/hello", (e) => { const r = new Record($app.findCollectionByNameOrId("users")); r.set("email", "x"); $app.save(r) })`, nil, hello, 400, `.`, ""},
		{"route with a path parameter", `routerAdd("GET", "/hello/{name}", (e) => { let name = e.request.pathValue("name"); return e.json(200, { "message": "Hello " + name }) })`, nil,
			[]string{"GET", "/hello/joe", ""}, 200, `"Hello joe"`, ""},
		{"route below /api", `routerAdd("POST", "/api/myapp/settings", (e) => { return e.json(200, {"success": true}) }, $apis.requireAuth())`, nil,
			[]string{"POST", "/api/myapp/settings", `{}`}, 401, `.`, ""},
		{"middlewares", `const stamp = (e) => { e.set("x", 1); e.response.header().set("X-Stamp", "1"); return e.next() }
			routerUse(new Middleware((e) => { e.set("first", "yes"); return e.next() }, -1))
			routerAdd("GET", "/hello", (e) => e.json(200, { x: e.get("x"), first: e.get("first") }), stamp, $apis.requireGuestOnly(), $apis.skipSuccessActivityLog())`, nil, hello, 200, `"first":"yes","x":1`, ""},
		{"body, query and headers", `routerAdd("POST", "/hello", (e) => {
				const data = new DynamicModel({ someTextField: "", someIntValue: 0, flag: false });
				e.bindBody(data);
				const info = e.requestInfo();
				return e.json(200, [data.someTextField, data.someIntValue, info.query["search"], info.headers["x_token"], e.request.header.get("X-Token"), e.request.url.query().get("search"), info.body.someTextField]);
			})`, nil, []string{"POST", "/hello?search=q", `{"someTextField":"t","someIntValue":5}`}, 200, `\["t",5,"q",null,"","q","t"\]`, ""},
		{"responses", `routerAdd("GET", "/hello", (e) => e.redirect(307, "https://example.com"))`, nil, hello, 307, ``, ""},
		{"html", "routerAdd('GET', '/hello', (e) => e.html(200, `<h1>${[1, 2].join('-')}</h1>`))", nil, hello, 200, `<h1>1-2</h1>`, ""},
		{"no content", `routerAdd("GET", "/hello", (e) => e.noContent(204))`, nil, hello, 204, ``, ""},
		{"find records", `routerAdd("GET", "/hello", (e) => {
				for (let i = 0; i < 5; i++) { const r = new Record($app.findCollectionByNameOrId("items")); r.set("title", "t" + i); r.set("count", i); r.load({ active: i % 2 == 0 }); $app.save(r) }
				const records = $app.findRecordsByFilter("items", "count > {:min} && active = true", "-count", 10, 0, { min: 1 });
				const first = $app.findFirstRecordByFilter("items", "title = {:t}", { t: "t3" });
				const same = $app.findRecordById("items", first.id);
				const byData = $app.findFirstRecordByData("items", "title", "t1");
				const all = $app.findAllRecords("items", $dbx.exp("LOWER(title) = {:t}", { t: "t2" }), $dbx.hashExp({ active: true }));
				$app.delete(byData);
				return e.json(200, [records.length, records.map((r) => r.getInt("count")), same.get("title"), all.length, $app.countRecords("items"), $app.countRecords("items", $dbx.hashExp({ active: true }))]);
			})`, nil, hello, 200, `\[2,\[4,2\],"t3",1,4,3\]`, ""},
		{"not found", `routerAdd("GET", "/hello", (e) => { try { $app.findRecordById("items", "missing") } catch (err) { return e.notFoundError("No such item.", err) } })`, nil, hello, 404, `No such item`, ""},
		{"transaction", `routerAdd("GET", "/hello", (e) => {
				try { $app.runInTransaction((txApp) => { const r = new Record(txApp.findCollectionByNameOrId("items")); r.set("title", "tx"); txApp.save(r); throw new Error("roll back") }) } catch (err) { console.log(err.message) }
				$app.runInTransaction((txApp) => { txApp.save(new Record(txApp.findCollectionByNameOrId("items"), { title: "kept" })) })
				return e.json(200, $app.findAllRecords("items").map((r) => r.get("title")));
			})`, nil, hello, 200, `\["kept"\]`, "roll back"},
		{"raw query", `routerAdd("GET", "/hello", (e) => {
				$app.save(new Record($app.findCollectionByNameOrId("items"), { title: "q", count: 3, active: true, meta: { a: [1] } }));
				const result = arrayOf(new DynamicModel({ "title": "", "count": 0, "active": false, "meta": {}, "missing": nullString() }));
				$app.db().newQuery("SELECT title, count, active, meta, NULL AS missing FROM items WHERE count > {:n}").bind({ n: 1 }).all(result);
				const one = new DynamicModel({ total: 0 });
				$app.db().select("count(*) as total").from("items").where($dbx.like("title", "q")).orderBy("title ASC").limit(1).one(one);
				return e.json(200, [result, one.total]);
			})`, nil, hello, 200, `\[\[\{"active":true,"count":3,"meta":\{"a":\[1\]\},"missing":null,"title":"q"\}\],1\]`, ""},
		{"auth hook", `onRecordAuthWithPasswordRequest((e) => { console.log("sign in", e.identity, e.collection.name, e.record.email()); e.next() }, "clients")`, nil,
			[]string{"POST", "/api/collections/clients/auth-with-password", `{"identity":"test@example.com","password":"1234567890"}`}, 200, `"token"`, "sign in test@example.com clients test@example.com"},
		{"auth hook refuses", `onRecordAuthRequest((e) => { throw new ForbiddenError("Not you.") }, "users")`, nil,
			[]string{"POST", "/api/collections/users/auth-with-password", `{"identity":"test@example.com","password":"1234567890"}`}, 403, `Not you`, ""},
		{"hooks can't lock superusers out", `onRecordAuthRequest((e) => { throw new ForbiddenError("Not you.") }); routerUse((e) => { throw new ForbiddenError("Nobody.") })`, nil,
			[]string{"POST", "/api/collections/_superusers/auth-with-password", `{"identity":"test@example.com","password":"1234567890"}`}, 200, `"token"`, ""},
		{"list and view", `onRecordsListRequest((e) => { e.next(); console.log("listed", e.records.length, e.result.totalItems) }, "items")`, nil,
			[]string{"GET", "/api/collections/items/records", ""}, 200, `"items":\[\]`, "listed 0 0"},
		{"http", `routerAdd("GET", "/hello", (e) => {
				const res = $http.send({ url: "` + remote.URL + `", method: "POST", body: JSON.stringify({ test: 123 }), headers: { "content-type": "application/json", "Authorization": "Bearer x" }, timeout: 120 });
				return e.json(200, [res.statusCode, res.json.got.test, res.json.method, res.json.auth, res.headers["Content-Type"][0], toString(res.body).length > 0]);
			})`, nil, hello, 200, `\[200,123,"POST","Bearer x","application/json",true\]`, ""},
		{"security", `routerAdd("GET", "/hello", (e) => {
				const token = $security.createJWT({ "test": 1 }, "key", 60);
				const secret = "01234567890123456789012345678901";
				const encrypted = $security.encrypt("hi", secret);
				return e.json(200, [$security.parseJWT(token, "key").test, $security.md5("x").length, $security.hs256("a", "b").length, $security.randomString(12).length, $security.decrypt(encrypted, secret), $security.equal("a", "a")]);
			})`, nil, hello, 200, `\[1,32,64,12,"hi",true\]`, ""},
		{"require a module", "routerAdd('GET', '/hello', (e) => { const utils = require(`${__hooks}/utils.js`); const config = require('./config.json'); return e.json(200, [utils.hello('x'), config.name, require('lib').n]) })",
			[]string{"utils.js", `module.exports = { hello: (name) => { return require("./deep/more.js").prefix + name } }`, "deep/more.js", `exports.prefix = "Hello "`,
				"config.json", `{"name":"test"}`, "node_modules/lib/index.js", `exports.n = 7`}, hello, 200, `\["Hello x","test",7\]`, ""},
		{"console and logger", `routerAdd("GET", "/hello", (e) => { console.log("Hello!", { a: [1] }); console.error("bad"); $app.logger().info("logged", "total", 123); return e.string(200, "ok") })`, nil, hello, 200, `ok`,
			`(?s)info Hello! \{"a":\[1\]\}.*error bad.*info logged total=123`},
		{"dates", `routerAdd("GET", "/hello", (e) => { const d = new DateTime("2024-01-02 03:04:05.000Z"); return e.json(200, [d, d.addDate(0, 0, 1).string(), d.unix(), new DateTime("2024-01-02 00:00:00", "Europe/Berlin").string()]) })`, nil, hello, 200,
			`\["2024-01-02 03:04:05.000Z","2024-01-03 03:04:05.000Z",1704164645,"2024-01-01 23:00:00.000Z"\]`, ""},
		{"JSON field", `routerAdd("GET", "/hello", (e) => { const r = new Record($app.findCollectionByNameOrId("items")); r.set("meta", { "a": [1, "2"] }); const out = new DynamicModel({ a: [] }); r.unmarshalJSONField("meta", out); return e.json(200, [out, JSON.parse(r.getString("meta")), JSON.parse(toString(r.get("meta")))]) })`, nil, hello, 200,
			`\[\{"a":\[1,"2"\]\},\{"a":\[1,"2"\]\},\{"a":\[1,"2"\]\}\]`, ""},
		{"secrets", `routerAdd("GET", "/hello", (e) => e.json(200, [$secrets.get("KEY"), $secrets.get("other")]))`, nil, hello, 200, `\["value",null\]`, ""},
		{"send a mail", `routerAdd("GET", "/hello", (e) => {
				const message = new MailerMessage({ from: { address: e.app.settings().meta.senderAddress, name: e.app.settings().meta.senderName }, to: [{ address: "a@example.com" }], subject: "S", html: "<b>h</b>" });
				e.app.newMailClient().send(message); return e.noContent(204) })`, nil, hello, 204, ``, ""},
		{"change a mail", `onMailerRecordPasswordResetSend((e) => { e.message.subject = "changed " + e.record.email(); console.log(e.message.subject); e.next() }, "users")`, nil,
			[]string{"POST", "/api/collections/users/request-password-reset", `{"email":"test@example.com"}`}, 204, ``, ""},
		{"model hooks", `onModelCreate((e) => { console.log("model", e.model.collection().name, e.type); e.next() }, "items")`, nil, create, 200, `.`, "model items create"},
		{"e.app in a hook", `onRecordAfterCreateSuccess((e) => { e.next(); console.log("count", e.app.countRecords("items")) }, "items")`, nil, create, 200, `.`, "count 1"},
		{"arguments of built-ins", `routerAdd("GET", "/hello", (e) => e.json(200, [[3, 1, 2].sort((a, b) => b - a), "a-b".split("-"), "aXbX".replace(/X/g, (m) => m.toLowerCase()), "x".padStart(3, "ab"), Math.max(...[1, 5]), [[1], [2, [3]]].flat(Infinity), [..."hé"], Array.from({ length: 2 }, (v, i) => i), new Set([1, 1]).size,
				Object.entries({ a: 1 }), "2024".match(/(\d)(\d)/).slice(1), [1, 2, 3].includes(2), String([1, [2]]), JSON.stringify({ d: new Date(0), u: undefined, n: NaN }), (function () { return Array.prototype.slice.call(arguments, 1) })(1, 2), "$1".replace("$1", "$$&"), [..."ab".matchAll(/./g)].length, new String("hé").at(0), new String("x").length + Number(new String("4")), [...new Map([[1, 2]]).entries()][0]]))`, nil, hello, 200,
			`\[\[3,2,1\],\["a","b"\],"axbx","abx",5,\[1,2,3\],\["h","é"\],\[0,1\],1,\[\["a",1\]\],\["2","0"\],true,"1,2","\{\\"d\\":\\"1970-01-01T00:00:00.000Z\\",\\"n\\":null\}",\[2\],"\$\\u0026",2,"h",5,\[1,2\]\]`, ""},
		{"JSON of the language and of e.json", `routerAdd("GET", "/hello", (e) => e.string(200, JSON.stringify({ a: "<&>" }) + JSON.stringify("\u2028")))`, nil, hello, 200, "^\\{\"a\":\"<&>\"\\}\"\u2028\"$", ""},
		{"e.json escapes as stock does", `routerAdd("GET", "/hello", (e) => e.json(200, { a: "<&>" }))`, nil, hello, 200, `^\{"a":"\\u003c\\u0026\\u003e"\}\n$`, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			h := newHost(t, engine.Config{
				Transport: http.DefaultTransport,
				Secrets:   func(name string) (string, bool) { return "value", name == "KEY" },
			})
			h.load(c.source, c.more...)
			r := h.send(c.send[0], c.send[1], c.send[2])
			if r.status != c.status || !regexp.MustCompile(c.body).MatchString(r.body) {
				t.Errorf("%d %s, want %d %s\n%s", r.status, r.body, c.status, c.body, h.logged())
			}
			if c.log != "" && !regexp.MustCompile(c.log).MatchString(h.logged()) {
				t.Errorf("log %q, want %q", h.logged(), c.log)
			}
		})
	}
}

// TestSuperuserTokenStaysHidden looks at a superuser's request from where hooks see it.
func TestSuperuserTokenStaysHidden(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{})
	h.load(`
		const look = (e) => { console.log("seen", e.hasSuperuserAuth(), e.request.header.get("Authorization"), e.request.header.values("authorization").length,
			JSON.stringify(e.requestInfo().headers), JSON.stringify(e.request.header), e.request.url.string()) };
		routerUse((e) => { look(e); return e.next() });
		onRecordsListRequest((e) => { look(e); e.next() });
	`)
	su, err := h.app.FindAuthRecordByEmail(core.CollectionNameSuperusers, "test@example.com")
	if err != nil {
		t.Fatal(err)
	}
	token, err := su.NewAuthToken()
	if err != nil {
		t.Fatal(err)
	}
	if r := h.send("GET", "/api/collections/items/records?token="+token, "", "Authorization", token, "Cookie", "a="+token); r.status != 200 {
		t.Fatal(r)
	}
	if log := h.logged(); strings.Count(log, "seen true") != 2 || strings.Contains(log, token) {
		t.Error(log)
	}
}
