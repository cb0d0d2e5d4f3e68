package engine_test

import (
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/core"
	"github.com/prometheus/client_golang/prometheus"
)

func TestProblems(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, file, source string
		want               string
	}{
		{"syntax, first line", "a.pb.js", "let x = ;", "a.pb.js:1:9: Unexpected token ;"},
		{"syntax, later", "a.pb.js", "let a = 1;\n\n  foo bar\n", "a.pb.js:3:7: "},
		{"thrown, first line", "a.pb.js", `throw new TypeError("no")`, "a.pb.js:1:7: TypeError: no"},
		{"thrown, later", "a.pb.js", "\nconst f = () => {\n  missing()\n}\nf()", "a.pb.js:3:10: ReferenceError: missing is not defined"},
		{"in a module", "lib.js", "exports.x = {", "lib.js:1:14: "},
		{"refused hook", "a.pb.js", "\n onServe(() => {})", "a.pb.js:2:9: RefusedError: onServe() isn't available in hooks. It belongs to the server."},
		{"reserved path", "a.pb.js", `routerAdd("GET", "/api/v1/keys", () => {})`, "a.pb.js:1:1: /api/v1/keys belongs to the server"},
		{"double route", "a.pb.js", `routerAdd("GET", "/a/{x}", () => {}); routerAdd("GET", "/a/{y}", () => {})`, "a.pb.js:1:1: the route can't be added"},
		{"bad schedule", "a.pb.js", `cronAdd("x", "never", () => {})`, "cronAdd: "},
		{"no handler", "a.pb.js", `onRecordCreate("text")`, "the handler must be a function"},
		{"JSON", "a.json", `{`, "a.json:1:1: "},
		{"path", "../a.pb.js", ``, "isn't a clean relative one"},
	}
	h := newHost(t, engine.Config{})
	h.load(`routerAdd("GET", "/hello", (e) => e.string(200, "old"))`)
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			g, problems := h.engine.Compile(context.Background(), "v2", engine.Bundle{c.file: []byte(c.source)})
			if g != nil || len(problems) == 0 || !strings.Contains(problems[0].Error(), c.want) {
				t.Errorf("%v, want %s", problems, c.want)
			}
			if r := h.send("GET", "/hello", ""); r.body != "old" {
				t.Errorf("the running generation answers %v", r)
			}
		})
	}
}

func TestHooksLists(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{})
	g, problems := h.engine.Compile(context.Background(), "v", engine.Bundle{
		"b.pb.js": []byte("\nonRecordCreate(() => {}, 'items', 'posts')\ncronAdd('gone', '* * * * *', () => {})\ncronRemove('gone')"),
		"a.pb.js": []byte("routerAdd('get', '/x', () => {})\ncronAdd('job', '@hourly', () => {})"),
	})
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var got []string
	for _, i := range g.Hooks() {
		got = append(got, fmt.Sprint(i.Kind, " ", i.Name, " ", i.Tags, " ", i.Schedule, " ", i.File, ":", i.Line))
	}
	want := "route GET /x []  a.pb.js:1|cron job [] @hourly a.pb.js:2|hook onRecordCreate [items posts]  b.pb.js:2"
	if strings.Join(got, "|") != want {
		t.Errorf("%s, want %s", strings.Join(got, "|"), want)
	}
}

func TestErrorsSayWhere(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{})
	h.load("routerAdd('GET', '/hello', (e) => {\n\n  null.x\n})")
	h.send("GET", "/hello", "")
	log := h.log()
	if len(log) != 1 || log[0].File != "main.pb.js" || log[0].Line != 3 || log[0].Hook != "GET /hello" || log[0].Version != "v1" || log[0].Level != "error" {
		t.Errorf("%+v", log)
	}
}

func TestCron(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{})
	run := func(id string) bool {
		for _, j := range h.app.Cron().Jobs() {
			if j.Id() == id {
				j.Run()
				return true
			}
		}
		return false
	}
	h.load(`cronAdd("job", "0 0 1 1 *", () => { console.log("ran", $app.countRecords("items")) })`)
	if !run("picojs:job") || !strings.Contains(h.logged(), "ran 0") {
		t.Error(h.logged())
	}
	h.load(`cronAdd("other", "0 0 1 1 *", () => {})`)
	if run("picojs:job") || !run("picojs:other") {
		t.Error("jobs of the old generation stayed")
	}
	h.engine.Activate(nil)
	if run("picojs:other") {
		t.Error("jobs stayed after Activate(nil)")
	}
}

// TestTimeInNext holds that the clock stands still where the time isn't the hook's.
func TestTimeInNext(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{CallTimeout: func() time.Duration { return 100 * time.Millisecond }})
	h.app.OnRecordCreate("items").BindFunc(func(e *core.RecordEvent) error {
		<-time.After(400 * time.Millisecond)
		return e.Next()
	})
	h.load(`onRecordCreateRequest((e) => { e.next(); if (e.record.get("title") == "loop") for (;;) {} }, "items")`)
	if r := h.send("POST", "/api/collections/items/records", `{"title":"a"}`); r.status != 200 {
		t.Errorf("%v %s", r, h.logged())
	}
	// The clock runs again after e.next(); the response has been written by then.
	started := time.Now()
	h.send("POST", "/api/collections/items/records", `{"title":"loop"}`)
	if took := time.Since(started); took > 3*time.Second || !strings.Contains(h.logged(), "took too long") {
		t.Errorf("%v %s", took, h.logged())
	}
}

// TestNestedCallsNeedNoSecondVM would wait for ever for itself with a VM for every call.
func TestNestedCallsNeedNoSecondVM(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{MaxVMs: func() int { return 1 }, QueueTimeout: 10 * time.Second, CallTimeout: func() time.Duration { return 10 * time.Second }})
	h.load(`
		onRecordCreateRequest((e) => { e.next() }, "items");
		onRecordCreate((e) => { e.next() }, "items");
		onRecordAfterCreateSuccess((e) => { if (e.record.get("title") == "first") $app.save(new Record("items", { title: "second" })); e.next() }, "items");
		onRecordEnrich((e) => { e.next() }, "items");
	`)
	var wg sync.WaitGroup
	var failed atomic.Int32
	started := time.Now()
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if r := h.send("POST", "/api/collections/items/records", `{"title":"first"}`); r.status != 200 {
				failed.Add(1)
			}
		}()
	}
	wg.Wait()
	if failed.Load() > 0 || time.Since(started) > 9*time.Second {
		t.Errorf("%d failed after %v: %s", failed.Load(), time.Since(started), h.logged())
	}
}

func TestBusy(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	h := newHost(t, engine.Config{
		MaxVMs: func() int { return 1 }, QueueTimeout: 50 * time.Millisecond, CallTimeout: func() time.Duration { return 2 * time.Second }, Metrics: registry,
	})
	h.load(`routerAdd("GET", "/slow", (e) => { console.log("in"); sleep(600); return e.string(200, "ok") }); routerAdd("GET", "/hello", (e) => e.string(200, "ok"))`)
	done := make(chan response)
	go func() { done <- h.send("GET", "/slow", "") }()
	until(t, func() bool { return strings.Contains(h.logged(), "in") })
	if r := h.send("GET", "/hello", ""); r.status != 503 {
		t.Errorf("%v, want 503", r)
	}
	if r := <-done; r.status != 200 {
		t.Errorf("%v", r)
	}
	if r := h.send("GET", "/hello", ""); r.status != 200 {
		t.Errorf("afterwards %v", r)
	}
	families, err := registry.Gather()
	if err != nil || len(families) != 2 {
		t.Errorf("%d metrics, %v", len(families), err)
	}
}

// A hook that is stopped again and again is refused for a while; nothing else is.
func TestSuspended(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{CallTimeout: func() time.Duration { return 50 * time.Millisecond }, Transport: silent{}})
	const source = `
		routerAdd("GET", "/loop", () => { for (;;) {} })
		routerAdd("GET", "/wait", () => { for (;;) { try { $http.send({ url: "http://nobody.test/" }) } catch (e) {} } })
		routerAdd("GET", "/hello", (e) => e.string(200, "hello"))
		onRecordCreate((e) => { for (;;) {} }, "items")
		onRecordCreate((e) => e.next(), "demo2")`
	h.load(source)
	for range 3 {
		for _, path := range []string{"/loop", "/wait"} {
			if r := h.send("GET", path, ""); r.status != http.StatusGatewayTimeout {
				t.Fatalf("GET %s: %v", path, r)
			}
		}
	}
	suspended := func(r response) bool {
		return r.status == http.StatusServiceUnavailable && strings.Contains(r.body, "stopped several times in a row")
	}
	if r := h.send("GET", "/loop", ""); !suspended(r) {
		t.Errorf("after three timeouts: %v", r)
	}
	if !strings.Contains(h.logged(), "the hook was stopped 3 times in a row: its calls are refused for 30s") {
		t.Errorf("the log does not say so: %s", h.logged())
	}
	if r := h.send("GET", "/wait", ""); r.status != http.StatusGatewayTimeout {
		t.Errorf("one that only waited: %v", r)
	}
	if r := h.send("GET", "/hello", ""); r.body != "hello" {
		t.Errorf("another hook: %v", r)
	}
	const items = "/api/collections/items/records"
	for range 3 {
		h.send("POST", items, `{}`)
	}
	if r := h.send("POST", items, `{}`); !suspended(r) {
		t.Errorf("a hook on records: %v", r)
	}
	another, err := h.app.FindCollectionByNameOrId("demo2")
	if err != nil {
		t.Fatal(err)
	}
	record := core.NewRecord(another)
	record.Set("title", "another")
	if err := h.app.Save(record); err != nil {
		t.Errorf("the same hook on another collection: %v", err)
	}
	h.load(source)
	if r := h.send("GET", "/loop", ""); r.status != http.StatusGatewayTimeout {
		t.Errorf("a new version: %v", r)
	}
}

// silent answers nobody.
type silent struct{}

func (silent) RoundTrip(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func until(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("waited too long")
		}
	}
}

// TestPoolCap holds that no more calls run than there are VMs, and that the others wait for their turn.
func TestPoolCap(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	var known atomic.Bool
	h := newHost(t, engine.Config{
		MaxVMs: func() int { return 3 }, QueueTimeout: time.Minute, CallTimeout: func() time.Duration { return time.Minute },
		Secrets: func(string) (string, bool) {
			if !known.Load() {
				return "", true
			}
			for n := now.Add(1); ; {
				old := most.Load()
				if n <= old || most.CompareAndSwap(old, n) {
					break
				}
			}
			// Long enough for all that may to be here, and not so long that the hook counts as slow.
			for since := time.Now(); most.Load() < 3 && time.Since(since) < 10*time.Second; {
				<-time.After(time.Millisecond)
			}
			<-time.After(5 * time.Millisecond)
			now.Add(-1)
			return "", true
		},
	})
	h.load(`routerAdd("GET", "/hello", (e) => e.string(200, $secrets.get("x")))`)
	h.send("GET", "/hello", "") // it is a quick one
	known.Store(true)
	var wg sync.WaitGroup
	for range 12 {
		wg.Go(func() {
			if r := h.send("GET", "/hello", ""); r.status != 200 {
				t.Errorf("%v", r)
			}
		})
	}
	wg.Wait()
	if most.Load() != 3 {
		t.Errorf("%d calls at once, want 3", most.Load())
	}
}

// TestSizes holds the bounds of a response, of a line and of the lines of a call.
func TestSizes(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{MaxResponse: 1 << 20, CallTimeout: func() time.Duration { return 10 * time.Second }})
	h.load(`
		const big = (n) => "x".repeat(n);
		routerAdd("GET", "/string/{n}", (e) => e.string(200, big(Number(e.request.pathValue("n")))));
		routerAdd("GET", "/json/{n}", (e) => e.json(200, big(Number(e.request.pathValue("n")))));
		routerAdd("GET", "/blob/{n}", (e) => e.blob(200, "text/plain", big(Number(e.request.pathValue("n")))));
		routerAdd("GET", "/html/{n}", (e) => e.html(200, big(Number(e.request.pathValue("n")))));
		routerAdd("GET", "/log", (e) => { console.log(big(1000000)); for (let i = 0; i < 1000; i++) console.log(i); return e.noContent(204) });
	`)
	for _, kind := range []string{"string", "json", "blob", "html"} {
		if r := h.send("GET", fmt.Sprintf("/%s/%d", kind, 1<<20-2), ""); r.status != 200 || len(r.body) < 1<<20-2 {
			t.Errorf("%s: %d with %d bytes", kind, r.status, len(r.body))
		}
		if r := h.send("GET", fmt.Sprintf("/%s/%d", kind, 1<<20+1), ""); r.status != 400 || len(r.body) > 1000 {
			t.Errorf("%s: %d with %d bytes, want 400", kind, r.status, len(r.body))
		}
	}
	before := len(h.log())
	h.send("GET", "/log", "")
	lines := h.log()[before:]
	if len(lines) != 101 || !strings.Contains(lines[100].Message, "more than 100 lines") {
		t.Errorf("%d lines, the last is %q", len(lines), lines[len(lines)-1].Message)
	}
	if n := len(lines[0].Message); n < 4000 || n > 5000 {
		t.Errorf("a line of %d bytes", n)
	}
}

// TestCompressedBomb holds that what $http.send unpacks counts.
func TestCompressedBomb(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		zeros := make([]byte, 1<<20)
		for range 200 {
			if _, err := z.Write(zeros); err != nil {
				return
			}
		}
		_ = z.Close()
	}))
	t.Cleanup(server.Close)
	h := newHost(t, engine.Config{Transport: http.DefaultTransport, CallTimeout: func() time.Duration { return 10 * time.Second }})
	h.load(`routerAdd("GET", "/hello", (e) => { try { $http.send({ url: "` + server.URL + `" }) } catch (err) { return e.string(200, err.message) } })`)
	if r := h.send("GET", "/hello", ""); !strings.Contains(r.body, "larger than 5242880 bytes") {
		t.Errorf("%d %.200s", r.status, r.body)
	}
}

// TestRequestIDs holds that all that is logged during a request names it, whoever called the hook.
func TestRequestIDs(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{})
	h.app.Settings().Batch.Enabled, h.app.Settings().Batch.MaxRequests, h.app.Settings().Batch.Timeout = true, 10, 10
	const models = "onRecordCreate, onRecordValidate, onRecordCreateExecute, onRecordAfterCreateSuccess, onModelCreate"
	for _, hooks := range []string{models, models + ", onRecordCreateRequest, onRecordEnrich"} {
		h.load(`
			for (const on of [` + hooks + `]) on((e) => { console.log("ran"); e.next() }, "items");
			routerAdd("GET", "/hello", (e) => { $app.save(new Record("items", { title: "x" })); return e.noContent(204) });
			cronAdd("job", "0 0 1 1 *", () => $app.save(new Record("items")));
		`)
		for path, body := range map[string]string{
			"/api/collections/items/records": `{"title":"a"}`, "/hello": "",
			"/api/batch": `{"requests":[{"method":"POST","url":"/api/collections/items/records","body":{"title":"b"}}]}`,
		} {
			method := "POST"
			if body == "" {
				method = "GET"
			}
			before := len(h.log())
			if r := h.send(method, path, body, "X-Request-Id", "id-of-"+path); r.status >= 300 {
				t.Fatalf("%s: %v", path, r)
			}
			lines := h.log()[before:]
			if len(lines) < 5 {
				t.Errorf("%s: %d lines", path, len(lines))
			}
			for _, l := range lines {
				if l.RequestID != "id-of-"+path {
					t.Errorf("%s: %s has the request %q", path, l.Hook, l.RequestID)
				}
			}
		}
	}
	before := len(h.log())
	for _, j := range h.app.Cron().Jobs() {
		if j.Id() == "picojs:job" {
			j.Run()
		}
	}
	for _, l := range h.log()[before:] {
		if l.RequestID != "" {
			t.Errorf("a job has the request %q", l.RequestID)
		}
	}
}

// TestHotSwap activates 100 generations while calls run. Not parallel: it counts goroutines and memory.
func TestHotSwap(t *testing.T) {
	h := newHost(t, engine.Config{})
	source := func(i int) string {
		return fmt.Sprintf(`const n = %d; routerAdd("GET", "/hello", (e) => { let s = 0; for (let i = 0; i < 500; i++) s += i; return e.json(200, n) });
			onRecordCreate((e) => { e.next() }, "items"); cronAdd("job", "0 0 1 1 *", () => {}) // %s`, i, strings.Repeat("x", 10_000))
	}
	h.load(source(0))
	settle := func() (int, uint64) {
		var m runtime.MemStats
		for range 3 {
			runtime.GC()
		}
		runtime.ReadMemStats(&m)
		return runtime.NumGoroutine(), m.HeapAlloc
	}
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var calls, failed atomic.Int64
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-stop:
					return
				default:
				}
				r := h.send("GET", "/hello", "")
				calls.Add(1)
				if r.status != 200 {
					failed.Add(1)
				}
			}
		}()
	}
	until(t, func() bool { return calls.Load() > 50 })
	for i := range 10 {
		h.load(source(i))
	}
	goroutines, before := settle()
	for i := range 100 {
		h.load(source(i))
	}
	close(stop)
	wg.Wait()
	var after int
	var heap uint64
	after, heap = settle()
	if failed.Load() > 0 {
		t.Errorf("%d of %d calls failed: %.500s", failed.Load(), calls.Load(), h.logged())
	}
	if after > goroutines {
		t.Errorf("%d goroutines, %d before", after, goroutines)
	}
	if heap > before+16<<20 {
		t.Errorf("heap grew from %d to %d", before, heap)
	}
	t.Logf("%d calls during 110 activations", calls.Load())
}

// TestCallsKeepNothing holds that a VM keeps nothing of a call, by any of the ways that the language has to hang
// something on an object that stays. Not parallel: it measures memory.
func TestCallsKeepNothing(t *testing.T) {
	for name, keep := range map[string]string{
		"nothing":         `require("./lib.js"); own.length; e.requestInfo(); $app.findCollectionByNameOrId("items").fields.getByName("title")`,
		"private members": `class Base { constructor(o) { return o } } class Stamp extends Base { #kept = big() } for (const o of [Math, JSON.parse, Array.prototype, globalThis]) try { new Stamp(o) } catch (err) {}`,
		"weak maps":       `try { for (let i = 0; i < 5000; i++) for (const o of [Math, $app, Record]) new WeakMap().set(o, big) } catch (err) {}`,
		"symbols":         `const long = "x".repeat(900); for (let i = 0; i < 700; i++) Symbol.for(Math.random() + long)`,
		"stack":           `const text = "y".repeat(9000); try { Math.max(...new Array(1000).fill(0).map(() => ({ big: text + Math.random() }))) } catch (err) {}`,
		"globals":         `for (const f of [() => { globalThis.kept = big() }, () => { Math.kept = big() }, () => { Error.prototype.kept = big() }, () => { $app.kept = big() }]) try { f() } catch (err) {}`,
		"functions":       `const big_ = big(); Promise.resolve().then(() => big_); /x/.exec("x"); (() => big_).name`,
	} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, engine.Config{MemoryLimit: func() int64 { return 2 << 30 }, CallTimeout: func() time.Duration { return 20 * time.Second }})
			h.load(`const big = () => { let s = "x" + Math.random(); while (s.length < 1000000) s += s; return s };
				const own = big(); // held by all that is left of the call
				routerAdd("GET", "/hello", (e) => { `+keep+`; return e.string(200, "done") })`, "lib.js", "")
			heap := func() uint64 {
				var m runtime.MemStats
				runtime.GC()
				runtime.GC()
				runtime.ReadMemStats(&m)
				return m.HeapAlloc
			}
			call := func() {
				if r := h.send("GET", "/hello", ""); r.status != 200 {
					t.Fatalf("%v %.300s", r, h.logged())
				}
			}
			call()
			before := heap()
			for range 25 {
				call()
			}
			// What stays of a call holds a megabyte at least; what a few spare VMs weigh is less than 20.
			if grown := int64(heap()) - int64(before); grown > 20<<20 {
				t.Errorf("%d KB stayed", grown>>10)
			}
		})
	}
}

// TestCloseLeavesNothing counts goroutines after stopped calls. Not parallel.
func TestCloseLeavesNothing(t *testing.T) {
	before := runtime.NumGoroutine()
	t.Run("calls", func(t *testing.T) {
		h := newHost(t, engine.Config{CallTimeout: func() time.Duration { return 50 * time.Millisecond }})
		h.load(`routerAdd("GET", "/loop", (e) => { for (;;) {} }); routerAdd("GET", "/regex", (e) => { /^(?=(a+)+$)b/.test("a".repeat(50) + "b") })`)
		for range 3 {
			h.send("GET", "/loop", "")
		}
		h.send("GET", "/regex", "")
	})
	// The clock of regexp2 ends a second after its last use.
	until(t, func() bool { return runtime.NumGoroutine() <= before })
}

// PocketBase enriches the records of a list one inside of the other.
func TestEnrichLongList(t *testing.T) {
	t.Parallel()
	h := newHost(t, engine.Config{CallTimeout: func() time.Duration { return 20 * time.Second }})
	h.load(`onRecordEnrich((e) => { e.record.set("title", "seen"); e.next() }, "items")
		routerAdd("GET", "/hello", (e) => {
			$app.runInTransaction((tx) => { for (let i = 0; i < 1000; i++) tx.save(new Record("items", { title: "t" + i })) })
			const all = $app.findRecordsByFilter("items", "id != ''", "", 1000, 0)
			$apis.enrichRecords(e, all)
			return e.string(200, all.length + " " + all.every((one) => one.get("title") == "seen"))
		})`)
	if r := h.send("GET", "/hello", ""); r.status != 200 || r.body != "1000 true" {
		t.Errorf("%d %.200s %.300s", r.status, r.body, h.logged())
	}
}
