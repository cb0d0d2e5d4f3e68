package usage

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/pocketbase/pocketbase/tools/types"
)

// log writes entries into PocketBase's log, one second apart.
func (s *tenant) log(entries ...core.Log) {
	s.t.Helper()
	for i := range entries {
		entries[i].Id = core.GenerateDefaultRandomId()
		entries[i].MarkAsNew()
		entries[i].Created, _ = types.ParseDateTime(time.Date(2026, 1, 31, 10, 0, i, 0, time.UTC))
		if err := s.app.AuxSave(&entries[i]); err != nil {
			s.t.Fatal(err)
		}
	}
}

func request(message string, level, status int, keyID, requestID string) core.Log {
	return core.Log{Message: message, Level: level, Data: types.JSONMap[any]{
		"type": "request", "status": status,
		"meta": map[string]any{"keyId": keyID, "requestId": requestID, "route": "GET /" + message + "/{id}"},
	}}
}

func TestLogs(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	s.exec("DELETE FROM _logs")
	s.log(
		request("a", 0, 200, "k1", "r1"),
		request("b", 8, 404, "", "r2"),
		request("c", 8, 451, "k1", "r3"),
		core.Log{Message: "d", Level: 4, Data: types.JSONMap[any]{"type": "cron"}},
	)
	cases := []struct{ query, want string }{
		{"", "dcba"},
		{"perPage=2", "dc"},
		{"perPage=3&page=2", "a"},
		{"page=9", ""},
		{"key=k1", "ca"},
		{"key=none", "b"},
		{"key=" + url.QueryEscape("' OR 1=1 --"), ""},
		{"route=" + url.QueryEscape("GET /a/{id}"), "a"},
		{"status=404", "b"},
		{"status=4xx", "cb"},
		{"level=error", "cb"},
		{"level=4", "d"},
		{"requestId=r3", "c"},
		{"since=2026-01-31T10:00:02Z", "dc"},
		{"until=2026-01-31T10:00:02Z", "ba"},
		{"since=2026-02-01", ""},
		{"status=4xx&key=k1&level=error&since=2026-01-31", "c"},
		{"filter=" + url.QueryEscape(`data.type = "cron"`), "d"},
		{"filter=" + url.QueryEscape(`message = "a" || message = "c"`) + "&status=200", "a"},
		{"filter=" + url.QueryEscape(`data.meta.keyId = "k1" && created >= "2026-01-31 10:00:01"`), "c"},
	}
	for _, c := range cases {
		status, body := s.get("/api/v1/logs?"+c.query, "X-API-Key", "reader logs")
		if status != http.StatusOK {
			t.Errorf("%s: %d %s", c.query, status, body)
			continue
		}
		var list struct{ Items []core.Log }
		if err := json.Unmarshal([]byte(body), &list); err != nil {
			t.Fatal(err)
		}
		got := ""
		for _, item := range list.Items {
			got += item.Message
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", c.query, got, c.want)
		}
	}

	_, body := s.get("/api/v1/logs?status=404", "X-API-Key", "reader logs")
	var list map[string]any
	if err := json.Unmarshal([]byte(body), &list); err != nil {
		t.Fatal(err)
	}
	item := list["items"].([]any)[0].(map[string]any)
	if list["page"] != 1.0 || list["perPage"] != 50.0 || list["totalItems"] != 1.0 || list["totalPages"] != 1.0 ||
		len(item) != 5 || item["id"] == "" || item["created"] != "2026-01-31 10:00:01.000Z" || item["level"] != 8.0 {
		t.Errorf("got %s", body)
	}
}

// TestRequestLog follows a request into PocketBase's own log and back out.
func TestRequestLog(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, func(r *router.Router[*core.RequestEvent]) {
		r.GET("/files/{name}", func(e *core.RequestEvent) error { return e.NoContent(http.StatusNoContent) })
	})
	s.app.Settings().Logs.MaxDays = 5
	s.get("/files/x?token=secret&a=1", "X-API-Key", "k1", "X-Request-Id", "r1")

	var body string
	eventually(t, func() bool {
		if err := s.requests.write(); err != nil {
			t.Fatal(err)
		}
		_, body = s.get("/api/v1/logs?requestId=r1", "X-API-Key", "reader logs")
		return strings.Contains(body, `"totalItems":1`)
	})
	for _, want := range []string{
		`"meta":{"keyId":"k1","requestId":"r1","route":"GET /files/{name}"}`,
		`"url":"/files/x?token=REDACTED\u0026a=1"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("got %s without %s", body, want)
		}
	}
	if strings.Contains(body, "secret") {
		t.Errorf("the token is in the log: %s", body)
	}
	if _, body = s.get("/api/v1/logs?route="+url.QueryEscape("GET /api/v1/logs"), "X-API-Key", "reader logs"); !strings.Contains(body, `"totalItems":0`) {
		t.Errorf("reading the log fills it: %s", body)
	}
}
