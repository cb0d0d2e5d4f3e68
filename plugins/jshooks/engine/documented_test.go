package engine_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/plugins/jshooks/engine"
)

// documented is what the pages of PocketBase's documentation "Extend with JavaScript" show, page by page. It works as
// it does there, or is refused with a message that says what to use.
//
// A source without a registration is the body of a route. A refusal is looked for in the log, or among the problems.
var documented = []struct {
	page, name string
	source     string
	body       string // pattern of the answer
	refused    string // pattern of the refusal
}{
	{"overview", "route and record hook", `routerAdd("GET", "/hello", (e) => { const r = $app.findFirstRecordByFilter("users", "id != ''"); r.set("name", "n"); $app.save(r); return e.json(200, { message: "Hello" }) })
		onRecordAfterUpdateSuccess((e) => { console.log("user updated", e.record.get("email")); e.next() }, "users")`, `"Hello"`, ""},
	{"overview", "onBootstrap", `onBootstrap((e) => { e.next() })`, "", `onBootstrap\(\) isn't available in hooks\. It belongs to the server`},
	{"overview", "module", "const utils = require(`${__hooks}/utils.js`); return e.string(200, utils.hello('world'))", "^Hello world$", ""},
	{"overview", "constant of the file", `const name = "test"; routerAdd("GET", "/hello", (e) => e.string(200, name))`, "^test$", ""},

	{"routing", "patterns", `for (const p of ["/index.html", "/static/", "/static2/{path...}", "/static3/{$}", "/customers/{name}"]) routerAdd("GET", p, (e) => e.string(200, p)); routerAdd("GET", "/hello", (e) => e.string(200, "ok"))`, "ok", ""},
	{"routing", "pattern with a host", `routerAdd("GET", "example.com/index.html", (e) => {})`, "", "the path must begin with a slash"},
	{"routing", "auth state", `return e.json(200, [!e.auth, e.hasSuperuserAuth(), !e.requestInfo().auth, e.requestInfo().hasSuperuserAuth()])`, `\[true,false,true,false\]`, ""},
	{"routing", "query", `const all = JSON.parse(toString(e.request.url.query())) || {}; return e.json(200, [e.request.url.query().get("search"), e.requestInfo().query["search"], all.search])`, `\["1","1",\["1","2"\]\]`, ""},
	{"routing", "headers", `e.response.header().set("Some-Header", "123"); return e.json(200, [e.request.header.get("Some-Header"), e.requestInfo().headers["some_header"]])`, `\["in","in"\]`, ""},
	{"routing", "uploaded files", `try { e.findUploadedFiles("document") } catch (err) { return e.string(200, err.message) }`, "multipart", ""},
	{"routing", "formFile", `e.request.formFile("document")`, "", `formFile isn't available in hooks\. Use e\.findUploadedFiles`},
	{"routing", "body", `const data = new DynamicModel({ text: "", int: 0, float: -0, bool: false, list: [], object: {} }); e.bindBody(data); return e.json(200, [toString(e.request.body), e.requestInfo().body, data.text, data.list, data.object])`, `\["",\{\},"",\[\],\{\}\]`, ""},
	{"routing", "blob", `return e.blob(200, "application/octet-stream", [72, 105])`, "^Hi$", ""},
	{"routing", "fileFS", `e.fileFS($os.dirFS("x"), "example.txt")`, "", `\$os\.dirFS isn't available in hooks\. Hooks have no processes`},
	{"routing", "stream", `e.stream(200, "a/b", null)`, "", `stream isn't available in hooks\. Use e\.json`},
	{"routing", "addresses", `return e.json(200, [typeof e.realIP(), typeof e.remoteIP()])`, `\["string","string"\]`, ""},
	{"routing", "store", `e.set("someKey", 123); return e.json(200, e.get("someKey"))`, "^123", ""},
	{"routing", "middleware that refuses", `routerUse((e) => { if (e.request.header.get("Something") == "") throw new BadRequestError("Something header value is missing!"); return e.next() }); routerAdd("GET", "/hello", (e) => e.string(200, "in"))`, "header value is missing", ""},
	{"routing", "order of middlewares", `const order = []; routerUse((e) => { order.push(1); return e.next() }); routerUse(new Middleware((e) => { order.push(2); return e.next() }, -1)); routerAdd("GET", "/hello", (e) => { order.push(4); return e.json(200, order) }, (e) => { order.push(3); return e.next() })`, `\[2,1,3,4\]`, ""},
	{"routing", "builtin middlewares", `routerAdd("GET", "/hello", (e) => e.string(200, "in"), $apis.requireGuestOnly(), $apis.bodyLimit(0), $apis.gzip(), $apis.skipSuccessActivityLog()); routerAdd("GET", "/x/{id}", () => {}, $apis.requireSuperuserAuth(), $apis.requireSuperuserOrOwnerAuth("id"), $apis.requireAuth("users"))`, "^in$", ""},
	{"routing", "errors", `throw new ApiError(500, "something went wrong", { title: new ValidationError("invalid_title", "Invalid or missing title") })`, `"code":"invalid_title"`, ""},
	{"routing", "static", `routerAdd("GET", "/{path...}", $apis.static("/path/to/public", false))`, "", `\$apis\.static\(\) isn't available in hooks\. Files of the server can't be served`},
	{"routing", "own sign-in", `const record = e.app.findFirstRecordByData("clients", "email", "test@example.com"); if (!record.validatePassword("1234567890")) throw new BadRequestError("Invalid credentials"); return $apis.recordAuthResponse(e, record, "phone")`, `"token":"ey`, ""},
	{"routing", "enrich", `$app.save(new Record("items", { title: "t" })); const records = e.app.findRecordsByFilter("items", "title = 't'", "-created", 40, 0); $apis.enrichRecords(e, records, "categories"); return e.json(200, records)`, `^\[\{.*"collectionName":"items"`, ""},

	{"database", "execute", `$app.db().newQuery("DELETE FROM items").execute()`, "", `only SELECT is allowed; change records with \$app\.save\(\)`},
	{"database", "one and all", `$app.save(new Record("items", { title: "t", count: 2 })); const one = new DynamicModel({ id: "", count: 0, active: false, meta: {}, gone: nullString() }); $app.db().newQuery("SELECT id, count, active, meta, null AS gone FROM items WHERE count = {:n}").bind({ n: 2 }).one(one); const all = arrayOf(new DynamicModel({ title: "" })); $app.db().newQuery("SELECT title FROM items LIMIT 100").all(all); return e.json(200, [one.count, one.gone, all[0].title])`, `\[2,null,"t"\]`, ""},
	{"database", "missing row", `$app.db().newQuery("SELECT id FROM items").one(new DynamicModel({ id: "" }))`, "", "no rows"},
	{"database", "builder", `const rows = arrayOf(new DynamicModel({ id: "", email: "" })); $app.db().select("id", "email").andSelect("(name || '!') as image").distinct(true).from("users").andWhere($dbx.like("email", "example.com")).limit(100).offset(0).orderBy("created ASC", "updated DESC").andOrderBy("id ASC").all(rows); return e.json(200, rows.length)`, "^3", ""},
	{"database", "joins", `const rows = []; $app.db().select("i.id").from("items i").innerJoin("users u", $dbx.exp("u.id = i.title")).leftJoin("users v", $dbx.exp("v.id = {:id}", { id: "x" })).join("FULL OUTER JOIN", "users w", $dbx.exp("w.id = i.id")).groupBy("i.id").having($dbx.exp("count(*) > {:n}", { n: 0 })).column(rows); return e.json(200, rows.length)`, "^1", ""},
	{"database", "star where users are", `$app.db().select("users.*").from("users").row()`, "", "name the columns that you need"},
	{"database", "expressions", `const n = (x) => $app.countRecords("users", x); return e.json(200, [n($dbx.exp("verified > {:min}", { min: -1 })), n($dbx.hashExp({ email: "test@example.com", id: ["4q1xlclmfloku33", "x"], verified: false })), n($dbx.not($dbx.exp("1=1"))), n($dbx.and($dbx.exp("1=1"), $dbx.like("email", "test2"))), n($dbx.or($dbx.exp("1=2"), $dbx.like("email", "test2"))),
		n($dbx.in("email", "test@example.com", "test2@example.com")), n($dbx.notIn("email", "test@example.com")), n($dbx.like("email", "test", "example")), n($dbx.like("email", "test@").match(false, true)), n($dbx.like("email", "est@").match(false, true)), n($dbx.notLike("email", "test2")), n($dbx.orLike("email", "test2", "test3")), n($dbx.orNotLike("email", "test2", "x")),
		n($dbx.exists($dbx.exp("SELECT 1 FROM users WHERE email != ''"))), n($dbx.notExists($dbx.exp("SELECT 1 FROM users"))), n($dbx.between("created", "2000", "2100")), n($dbx.notBetween("created", "2000", "2100"))])`, `^\[3,1,0,1,1,2,2,3,1,0,2,2,2,3,0,3,0\]`, ""},
	{"database", "insert", `$app.db().insert("items", { title: "x" }).execute()`, "", `insert isn't available in hooks\. Change records with \$app\.save\(\)`},
	{"database", "transaction", `$app.runInTransaction((txApp) => { const r = new Record(txApp.findCollectionByNameOrId("items")); r.set("title", "in"); txApp.save(r) }); return e.json(200, $app.countRecords("items"))`, "^1", ""},

	{"records", "set and modifiers", `const r = new Record("items"); r.set("title", "example"); r.set("count+", 2); r.set("count+", 3); r.load({ active: true }); return e.json(200, [r.get("title"), r.getInt("count"), r.getBool("active")])`, `\["example",5,true\]`, ""},
	{"records", "get", `const r = $app.findFirstRecordByFilter("users", "email = 'test@example.com'"); r.set("x", "y"); return e.json(200, [r.get("email"), r.getBool("verified"), r.getString("email"), r.getInt("x"), r.getFloat("x"), r.getDateTime("created").isZero(), r.getStringSlice("file"), r.getUnsavedFiles("file").length, r.expandedOne("rel"), r.expandedAll("rel"), typeof r.publicExport()])`, `\["test@example.com",false,"test@example.com",0,0,false,`, ""},
	{"records", "auth accessors", `const r = $app.findFirstRecordByFilter("users", "email = 'test@example.com'"); r.setEmail("a@example.com"); r.setVerified(true); r.refreshTokenKey(); r.setPassword("abcdefgh"); return e.json(200, [r.isSuperuser(), r.email(), r.verified(), r.validatePassword("abcdefgh"), r.setRandomPassword().length])`, `\[false,"a@example.com",true,true,30\]`, ""},
	{"records", "token key", `new Record("users").tokenKey()`, "", `tokenKey isn't available in hooks\. Let users sign in through PocketBase's own endpoints`},
	{"records", "tokens", `$app.findFirstRecordByFilter("users", "id != ''").newAuthToken()`, "", `newAuthToken isn't available in hooks\. .*recordAuthResponse`},
	{"records", "copies", `const r = $app.findFirstRecordByFilter("users", "email = 'test@example.com'"); r.set("name", "new"); return e.json(200, [r.original().get("name"), r.fresh().get("name"), r.clone().get("name")])`, `\["test1","new","new"\]`, ""},
	{"records", "enrich hides a field", `onRecordEnrich((e) => { if (!e.requestInfo.auth || (!e.requestInfo.auth.isSuperuser() && e.requestInfo.auth.get("role") != "staff")) e.record.hide("title"); e.next() }, "items"); routerAdd("GET", "/hello", (e) => { const r = new Record("items", { title: "t" }); $app.save(r); $apis.enrichRecord(e, r); return e.json(200, r) })`, `^[^t]*"active":false[^}]*"meta":null[^}]*\}\s*$`, ""},
	{"records", "find one", `const r = new Record("items", { title: "test", count: 1 }); $app.save(r); return e.json(200, [$app.findRecordById("items", r.id).id == r.id, $app.findFirstRecordByData("items", "title", "test").id == r.id, $app.findFirstRecordByFilter("items", "title = 'test' && count = {:c}", { c: 1 }).id == r.id])`, `\[true,true,true\]`, ""},
	{"records", "find several", `const r = new Record("items", { title: "Test", count: 1 }); $app.save(r); return e.json(200, [$app.findRecordsByIds("items", [r.id, "missing"]).length, $app.countRecords("items", $dbx.hashExp({ count: 1 })), $app.findAllRecords("items", $dbx.exp("LOWER(title) = {:t}", { t: "test" }), $dbx.hashExp({ count: 1 })).length, $app.findRecordsByFilter("items", "title = {:t}", "-created", 10, 0, { t: "Test" }).length])`, `\[1,1,1,1\]`, ""},
	{"records", "find users", `const u = $app.findAuthRecordByEmail("users", "test@example.com"); try { $app.findAuthRecordByToken("YOUR_TOKEN", "auth") } catch (err) { return e.string(200, u.email() + " " + err.message.length) }`, `test@example.com \d+`, ""},
	{"records", "query of one", `for (const n of [3, 1, 2]) $app.save(new Record("items", { count: n, active: true })); function top() { let record = new Record(); $app.recordQuery("items").andWhere($dbx.hashExp({ active: true })).orderBy("count ASC").limit(1).one(record); return record } return e.json(200, top().getInt("count"))`, "^1", ""},
	{"records", "query of several", `for (const n of [3, 1, 2]) $app.save(new Record("items", { count: n })); function latest() { let records = arrayOf(new Record); $app.recordQuery("items").orderBy("count DESC").limit(2).all(records); return records } return e.json(200, latest().map((r) => r.getInt("count")))`, `\[3,2\]`, ""},
	{"records", "empty record", `new Record().get("title")`, "", `the record is empty: fill it with one\(record\)`},
	{"records", "files of bytes", `const u = $app.findFirstRecordByFilter("users", "email = 'test@example.com'"); u.set("file", [$filesystem.fileFromBytes("test content", "file2.txt"), $filesystem.fileFromBytes([72, 105], "file3.txt")]); $app.save(u); return e.json(200, u.getStringSlice("file"))`, `\["file2_\w+\.txt","file3_\w+\.txt"\]`, ""},
	{"records", "files of a path", `$filesystem.fileFromPath("/etc/hostname")`, "", `\$filesystem\.fileFromPath isn't available in hooks\. .*fileFromBytes`},
	{"records", "files of a URL", `$filesystem.fileFromURL("https://example.com/file3.pdf")`, "", `\$filesystem\.fileFromURL isn't available in hooks`},
	{"records", "create request", `onRecordCreateRequest((e) => { if (e.hasSuperuserAuth()) return e.next(); e.record.set("title", "pending"); const status = e.record.get("title"); if (status != "pending" && (!e.auth || e.auth.get("role") != "editor")) throw new BadRequestError("Only editors can set a status different from pending"); e.next() }, "items"); onRecordUpdateRequest((e) => e.next(), "items"); routerAdd("GET", "/hello", (e) => e.string(200, "ok"))`, "ok", ""},
	{"records", "delete", `const r = new Record("items"); $app.save(r); $app.delete(r); return e.json(200, $app.countRecords("items"))`, "^0", ""},
	{"records", "expand", `const u = $app.findFirstRecordByFilter("users", "rel != ''"); $app.expandRecord(u, ["rel"], null); return e.json(200, [u.expandedOne("rel").collection().name, u.expandedAll("rel").length])`, `\["\w+",1\]`, ""},
	{"records", "access", `const r = new Record("items", { title: "t" }); $app.save(r); if (!e.app.canAccessRecord(r, e.requestInfo(), r.collection().viewRule)) throw new ForbiddenError(); return e.json(200, [e.app.canAccessRecord(r, e.requestInfo(), "title = 'other'"), e.app.canAccessRecord(r, e.requestInfo(), null)])`, `\[false,false\]`, ""},

	{"collections", "find", `return e.json(200, [$app.findCollectionByNameOrId("items").name, $app.findAllCollections().some((c) => c.name == "items"), $app.findAllCollections("auth", "view").every((c) => c.type != "base")])`, `\["items",true,true\]`, ""},
	{"collections", "query", `$app.collectionQuery()`, "", `collectionQuery isn't available in hooks\. Use \$app\.findAllCollections\(\)`},
	{"collections", "create", `new Collection({ type: "base", name: "example" })`, "", `Collection isn't available in hooks\. Change collections in the dashboard`},
	{"collections", "change", `const c = $app.findCollectionByNameOrId("items"); const title = c.fields.getByName("title"); if (title.type != "text") throw new Error("LEAK"); c.fields.add(new EditorField({ name: "description" }))`, "", `EditorField isn't available in hooks\. Change collections in the dashboard`},
	{"collections", "fields", `$app.findCollectionByNameOrId("items").fields.add({})`, "", `collection\.fields\.add\(\) isn't available in hooks\. Change collections in the dashboard`},
	{"collections", "index", `$app.findCollectionByNameOrId("items").addIndex("x", false, "title", "")`, "", `addIndex isn't available in hooks`},
	{"collections", "rename", `"use strict"; $app.findCollectionByNameOrId("items").name = "other"`, "", `TypeError`},
	{"collections", "delete", `$app.delete($app.findCollectionByNameOrId("items"))`, "", `Changing a collection isn't available in hooks`},
	{"migrations", "migrate", `migrate((app) => { app.db().newQuery("UPDATE items SET title = ''").execute() })`, "", `migrate isn't available in hooks\. Change collections in the dashboard`},

	{"jobs", "cronAdd", `cronAdd("hello", "*/2 * * * *", () => { console.log("Hello!") }); cronRemove("other"); routerAdd("GET", "/hello", (e) => e.string(200, "ok"))`, "ok", ""},
	{"emails", "own", `const message = new MailerMessage({ from: { address: e.app.settings().meta.senderAddress, name: e.app.settings().meta.senderName }, to: [{ address: "a@example.com" }], bcc: [{ address: "b@example.com" }], cc: ["c@example.com"], headers: { "X-A": "b" }, subject: "S", html: "H" }); e.app.newMailClient().send(message); return e.json(200, [message.from.address.length > 0, message.cc[0].address])`, `\[true,"c@example.com"\]`, ""},
	{"emails", "change", `onMailerRecordPasswordResetSend((e) => { e.message.subject += " " + e.record.get("name"); e.next() }); routerAdd("GET", "/hello", (e) => e.string(200, "ok"))`, "ok", ""},
	{"templates", "loadFiles", "$template.loadFiles(`${__hooks}/views/base.html`).render({})", "", `\$template\.loadFiles isn't available in hooks\. Build HTML with template literals`},
	{"console", "command", `$app.rootCmd.addCommand(new Command({ use: "hello" }))`, "", `\$app\.rootCmd isn't available in hooks`},
	{"console", "Command", `new Command({ use: "hello" })`, "", `Command isn't available in hooks\. Hooks have no processes`},
	{"realtime", "send", `const message = new SubscriptionMessage({ name: "example", data: JSON.stringify({ a: 1 }) }); if (message.data != '{"a":1}') throw new Error("LEAK"); $app.subscriptionsBroker().clients()`, "", `subscriptionsBroker isn't available in hooks\. Save a record in a collection`},
	{"filesystem", "read", `const r = $app.findAuthRecordByEmail("users", "test@example.com"); if (!r.baseFilesPath()) throw new Error("LEAK"); $app.newFilesystem()`, "", `newFilesystem isn't available in hooks`},
	{"filesystem", "remove", `const u = $app.findFirstRecordByFilter("users", "file != ''"); const name = u.getStringSlice("file")[0]; u.set("file-", name); $app.save(u); u.set("file", null); $app.save(u); return e.json(200, u.getStringSlice("file").length)`, "^0", ""},
	{"logging", "levels", `const l = $app.logger(); l.debug("a", "name", "John", "id", 123); l.info("b"); l.warn("c"); l.error("d", "error", new Error("x")); l.with("total", 1).info("e", "n", 2); l.withGroup("sub").info("f", "n", 3); return e.string(200, "ok")`, "ok", ""},
	{"logging", "query", `$app.logQuery()`, "", `logQuery isn't available in hooks\. Logs are in the dashboard`},
	{"http", "send", `const res = $http.send({ url: "REMOTE", method: "POST", body: JSON.stringify({ test: 123 }), headers: { "content-type": "application/json" }, timeout: 120 }); return e.json(200, [res.statusCode, res.headers["X-Custom"][0], res.cookies.sessionId.value, toString(res.body), res.json.a])`, `\[200,"c","s","\{\\"a\\":1\}",1\]`, ""},
	{"http", "form", `const form = new FormData(); form.append("title", "Hello world!"); form.append("documents", $filesystem.fileFromBytes("doc1", "doc1.txt")); const res = $http.send({ url: "REMOTE", method: "POST", body: form }); return e.json(200, [res.statusCode, res.headers["X-Form"][0]])`, `\[200,"Hello world! doc1\.txt"\]`, ""},
	{"http", "failure", `try { $http.send({ url: "http://127.0.0.1:1/" }) } catch (err) { e.app.logger().error("Failed to retrieve book data", "error", err); return e.string(200, "caught") }`, "caught", ""},
}

func TestDocumented(t *testing.T) {
	t.Parallel()
	remote := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ParseMultipartForm(1<<20) == nil {
			w.Header().Set("X-Form", r.FormValue("title")+" "+r.MultipartForm.File["documents"][0].Filename)
		}
		w.Header().Set("X-Custom", "c")
		http.SetCookie(w, &http.Cookie{Name: "sessionId", Value: "s"})
		_, _ = w.Write([]byte(`{"a":1}`))
	}))
	t.Cleanup(remote.Close)
	registers := regexp.MustCompile(`^\s*(const [^;]*;|for \([^)]*\))?\s*(on[A-Z]|routerAdd|routerUse|cronAdd|migrate)`)
	for _, c := range documented {
		t.Run(c.page+", "+c.name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t, engine.Config{Transport: http.DefaultTransport, CallTimeout: func() time.Duration { return 10 * time.Second }})
			source := strings.ReplaceAll(c.source, "REMOTE", remote.URL)
			if !registers.MatchString(source) {
				source = `routerAdd("GET", "/hello", (e) => { ` + source + "\n})"
			}
			g, problems := h.engine.Compile(context.Background(), "v", engine.Bundle{
				"main.pb.js": []byte(source), "utils.js": []byte(`module.exports = { hello: (name) => "Hello " + name }`),
			})
			if len(problems) > 0 {
				if c.refused == "" || !regexp.MustCompile(c.refused).MatchString(problems[0].Message) {
					t.Errorf("problems %v, want %q", problems, c.refused)
				}
				return
			}
			h.engine.Activate(g)
			r := h.send("GET", "/hello?search=1&search=2", "", "Some-Header", "in")
			if c.refused != "" {
				if r.status < 400 || !regexp.MustCompile(c.refused).MatchString(h.logged()) {
					t.Errorf("%d %s %s, want %q", r.status, r.body, h.logged(), c.refused)
				}
				return
			}
			if !regexp.MustCompile(c.body).MatchString(r.body) {
				t.Errorf("%d %s, want %s\n%s", r.status, r.body, c.body, h.logged())
			}
		})
	}
}

// TestGuide holds that the guide's tables say what is so: every name in "refused" is refused with a message, and all that
// is refused is there; every name in "supported" exists.
func TestGuide(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("../../../docs/guides/js-hooks.md")
	if err != nil {
		t.Fatal(err)
	}
	guide := string(raw)
	names := func(table string, column int) (list []string) {
		_, rest, ok := strings.Cut(guide, table)
		if !ok {
			t.Fatalf("the guide has no table %q", table)
		}
		rest, _, _ = strings.Cut(rest, "\n\n")
		for _, line := range strings.Split(rest, "\n") {
			cells := strings.Split(line, "|")
			if len(cells) < 4 || strings.HasPrefix(cells[1], " ---") {
				continue
			}
			for _, found := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(cells[column], -1) {
				list = append(list, found[1])
			}
		}
		return list
	}
	h := newHost(t, engine.Config{CallTimeout: func() time.Duration { return 10 * time.Second }})
	ask := func(expression string) string {
		h.load(`routerAdd("GET", "/hello", (e) => { try { return e.string(200, String(` + expression + `)) } catch (err) { return e.string(200, err.name + ": " + err.message) } })`)
		return h.send("GET", "/hello", "").body
	}

	refused := names("| refused | use instead |", 1)
	use := map[string]string{
		"…Field": "new TextField()", "$apis.static": "$apis.static()", "$os": "$os.x", "process": "process.x", "$filepath": "$filepath.x", "$template": "$template.x",
		"$mails": "$mails.x", "$filesystem": "$filesystem.x", "onSettings…": "onSettingsReload()", "onBackup…": "onBackupCreate()", "BigInt": "BigInt(1)", "$app.rootCmd": "$app.rootCmd",
	}
	for _, name := range refused {
		expression, ok := use[name]
		if !ok {
			expression = name + "()"
		}
		if got := ask(expression); !strings.HasPrefix(got, "RefusedError: ") || len(got) < 40 {
			t.Errorf("%s: %s", name, got)
		}
	}
	listed := strings.Join(refused, " ")
	for _, line := range regexp.MustCompile(`(?m)^(?:/\*\* @deprecated Not available in hooks.*\n)declare const ([\w$]+): never$`).FindAllStringSubmatch(string(engine.Types()), -1) {
		name := line[1]
		if strings.HasSuffix(name, "Field") || name == "FieldsList" || strings.HasPrefix(name, "onSettings") || strings.HasPrefix(name, "onBackup") {
			continue
		}
		if !regexp.MustCompile(`(^| )` + regexp.QuoteMeta(name) + `( |$)`).MatchString(listed) {
			t.Errorf("the guide doesn't say that %s is refused", name)
		}
	}

	for _, name := range names("| supported as in PocketBase | |", 2) {
		expression := "typeof " + name
		switch {
		case name == "SELECT":
			continue
		case strings.Contains(name, "…"), strings.HasSuffix(name, "*"):
			prefix, suffix, _ := strings.Cut(strings.ReplaceAll(name, "*", "…"), "…")
			if !regexp.MustCompile(`declare function ` + prefix + `\w*` + suffix + `\(`).Match(engine.Types()) {
				t.Errorf("there is no %s", name)
			}
			continue
		case strings.Contains(name, "()"):
			expression = "typeof (" + strings.TrimSuffix(name, "()") + ")"
		case strings.HasPrefix(name, "$app") || strings.HasPrefix(name, "$") || strings.HasPrefix(name, "e."):
		case regexp.MustCompile(`^[a-z]\w*$`).MatchString(name) && ask("typeof "+name) == "undefined":
			expression = "typeof $app." + name
		}
		if got := ask(expression); got == "undefined" || strings.Contains(got, "Error") {
			t.Errorf("%s: %s", name, got)
		}
	}
}
