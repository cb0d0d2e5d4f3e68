package jshooks

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/core"
)

func (f *fixture) readLog(query string) logList {
	f.t.Helper()
	answer := f.call(http.MethodGet, "/api/v1/hooks/logs?"+query, nil)
	if answer.status != http.StatusOK {
		f.t.Fatalf("%s: %+v", query, answer)
	}
	var list logList
	answer.into(f.t, &list)
	return list
}

// messages joins what a page holds.
func (l logList) messages() string {
	var all []string
	for _, e := range l.Items {
		all = append(all, e.Message)
	}
	return strings.Join(all, " ")
}

func TestLogs(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	now := time.Now()
	for i, e := range []engine.Entry{
		{Level: "debug", Message: "a", Version: "1", Hook: "onRecordCreate", File: "main.pb.js", Line: 3, RequestID: "r1"},
		{Level: "log", Message: "b", Version: "1", Hook: "cron", RequestID: "r2"},
		{Level: "warn", Message: "c", Version: "2", Hook: "cron"},
		{Level: "error", Message: "d", Version: "2", Hook: "onRecordCreate", RequestID: "r1"},
	} {
		e.At = now.Add(time.Duration(i-10) * time.Minute)
		f.Plugin.log(e)
	}
	for query, want := range map[string]string{
		"":                     "d c b a",
		"level=debug":          "d c b a",
		"level=info":           "d c b",
		"level=warn":           "d c",
		"level=error":          "d",
		"version=1":            "b a",
		"hook=cron":            "c b",
		"requestId=r1":         "d a",
		"hook=cron&level=WARN": "c",
		"perPage=3":            "d c b",
		"perPage=3&page=2":     "a",
		"perPage=3&page=3":     "",
		"since=" + now.Add(-8*time.Minute).UTC().Format(time.RFC3339): "d c",
	} {
		if got := f.readLog(query).messages(); got != want {
			t.Errorf("%s: got %q, want %q", query, got, want)
		}
	}
	list := f.readLog("perPage=1&page=4")
	entry := list.Items[0]
	if list.TotalItems != 4 || entry.ID == 0 || entry.Level != "debug" || entry.Version != "1" || entry.Hook != "onRecordCreate" ||
		entry.File != "main.pb.js" || entry.Line != 3 || entry.RequestID != "r1" || entry.Time.UnixMilli() != now.Add(-10*time.Minute).UnixMilli() {
		t.Errorf("%+v", list)
	}
	for _, query := range []string{"level=loud", "page=0", "perPage=501", "since=yesterday", "filter=x", "level=info&level=warn"} {
		f.want(f.call(http.MethodGet, "/api/v1/hooks/logs?"+query, nil), http.StatusBadRequest, "validation_failed")
	}

	if _, err := f.app.AuxNonconcurrentDB().NewQuery("UPDATE _pico_hook_logs SET at = at - 8 * 86400000 WHERE message IN ('a', 'b')").Execute(); err != nil {
		t.Fatal(err)
	}
	if err := f.deleteOldLogs(); err != nil {
		t.Fatal(err)
	}
	if got := f.readLog("").messages(); got != "d c" {
		t.Errorf("after the retention: %q", got)
	}
}

// What comes faster than it can be stored is dropped, counted, and never waited for.
func TestLogsDrop(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{idle: true})
	for range maxPending + 7 {
		f.Plugin.log(engine.Entry{Level: "info", Message: "x"})
	}
	list := f.readLog("perPage=2")
	if list.TotalItems != maxPending+1 || list.Items[0].Level != "warn" || !strings.HasPrefix(list.Items[0].Message, "7 entries were dropped") {
		t.Errorf("%+v", list)
	}
	for range 2 * maxPendingBytes / maxMessage {
		f.Plugin.log(engine.Entry{Level: "info", Message: strings.Repeat("é", maxMessage)})
	}
	if f.logs.bytes > maxPendingBytes {
		t.Errorf("%d bytes wait", f.logs.bytes)
	}
	list = f.readLog("perPage=2")
	if got := list.Items[1].Message; len(got) > maxMessage+4 || !strings.HasSuffix(got, "é…") {
		t.Errorf("a message of %d bytes", len(got))
	}

	// While the database is busy entries wait, as far as there is room.
	f.Plugin.log(engine.Entry{Level: "info", Message: "kept"})
	if _, err := f.app.AuxNonconcurrentDB().NewQuery("ALTER TABLE _pico_hook_logs RENAME TO away").Execute(); err != nil {
		t.Fatal(err)
	}
	if err := f.logs.write(); err == nil {
		t.Error("wrote without a table")
	}
	if _, err := f.app.AuxNonconcurrentDB().NewQuery("ALTER TABLE away RENAME TO _pico_hook_logs").Execute(); err != nil {
		t.Fatal(err)
	}
	if got := f.readLog("perPage=1").messages(); got != "kept" {
		t.Errorf("after a failed write: %q", got)
	}
}

// The table cannot grow without end.
func TestLogRows(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{idle: true})
	f.Plugin.log(engine.Entry{Message: "oldest"})
	f.readLog("")
	if _, err := f.app.AuxNonconcurrentDB().NewQuery(fmt.Sprintf(
		"INSERT INTO _pico_hook_logs (id, at, level, message) VALUES (%d, 0, 0, 'newest')", maxLogRows+1)).Execute(); err != nil {
		t.Fatal(err)
	}
	for range pruneEvery {
		f.Plugin.log(engine.Entry{Message: "x"})
	}
	if list := f.readLog("perPage=1&version=&requestId="); list.TotalItems != pruneEvery+1 {
		t.Errorf("%d rows", list.TotalItems)
	}
}

// A start writes what the hooks logged within a second, a stop at once.
func TestLogsAreWritten(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	stored := func() (n int) {
		if err := f.app.AuxConcurrentDB().NewQuery("SELECT COUNT(*) FROM _pico_hook_logs").Row(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	f.Plugin.log(engine.Entry{Message: "one"})
	eventually(t, "the write", func() bool { return stored() == 1 })
	f.Plugin.log(engine.Entry{Message: "two"})
	if err := f.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if stored() != 2 {
		t.Error("a stop lost an entry")
	}
}

func TestLogStream(t *testing.T) {
	t.Parallel()
	var shutOut atomic.Bool
	f := newFixture(t, options{allowed: func(*core.RequestEvent) bool { return !shutOut.Load() }})
	response, err := http.Get(f.url + "/api/v1/hooks/logs/stream?level=warn&hook=cron")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	next := func() string {
		for lines.Scan() {
			if lines.Text() != "" {
				return lines.Text()
			}
		}
		return ""
	}
	if got := next(); got != ": listening" {
		t.Fatalf("got %q", got)
	}
	f.Plugin.log(engine.Entry{Level: "error", Hook: "other", Message: "no"})
	f.Plugin.log(engine.Entry{Level: "info", Hook: "cron", Message: "no"})
	f.Plugin.log(engine.Entry{Level: "error", Hook: "cron", Message: "yes", RequestID: "r1"})
	if event, data := next(), next(); event != "event: log" || !strings.Contains(data, `"message":"yes"`) || !strings.Contains(data, `"requestId":"r1"`) {
		t.Errorf("got %q %q", event, data)
	}
	shutOut.Store(true)
	f.Plugin.log(engine.Entry{Level: "error", Hook: "cron", Message: "secret"})
	if got := next(); got != "" {
		t.Errorf("got %q, want the end", got)
	}
	f.want(f.call(http.MethodGet, "/api/v1/hooks/logs/stream?since=2026-01-01", nil), http.StatusBadRequest, "validation_failed")
}

// What a hook prints is found by its request.
func TestConsole(t *testing.T) {
	t.Parallel()
	f := newFixture(t, options{})
	f.push("onRecordCreateRequest((e) => {\n  console.warn('hello', e.record.get('title'))\n  e.next()\n}, 'posts')\n")
	f.send(http.MethodPost, "/api/collections/posts/records", "application/json", []byte(`{"title":"x"}`), "X-Request-Id", "request-7")
	list := f.readLog("requestId=request-7")
	if len(list.Items) != 1 {
		t.Fatalf("%+v", list)
	}
	if e := list.Items[0]; e.Message != "hello x" || e.Level != "warn" || e.Version != "1" || e.File != "main.pb.js" || e.Line != 2 || e.Hook != "onRecordCreateRequest" {
		t.Errorf("%+v", e)
	}
}
