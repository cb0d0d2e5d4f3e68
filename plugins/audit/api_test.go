package audit

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

func fill(t *testing.T, tt *tenant, n int) {
	t.Helper()
	start := time.Now().UTC().Add(-time.Hour)
	err := tt.RunInTransaction(func(tx core.App) error {
		for i := range n {
			after := fmt.Sprintf(`{"n":%d}`, i)
			r := row{
				ID:        fmt.Sprintf("%06d", i),
				Created:   start.Add(time.Duration(i) * time.Second).Format(types.DefaultDateLayout),
				ActorKind: []string{"superuser", "secret_key"}[i%2],
				ActorID:   fmt.Sprint("actor", i%3), ActorName: fmt.Sprint("Actor ", i%3),
				Action: []string{"key.created", "key.updated"}[i%2], TargetType: "key",
				TargetID: fmt.Sprint("key", i), TargetName: "Key", After: &after,
			}
			if err := r.insert(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	fill(t, tt, 120)
	created := tt.trail(t)[60].Created
	for _, test := range []struct {
		query string
		total int
		page  int
		items int
		first string
	}{
		{"", 120, 1, 50, "000119"},
		{"page=3", 120, 3, 20, "000019"},
		{"page=4", 120, 4, 0, ""},
		{"perPage=500", 120, 1, 120, "000119"},
		{"actor=actor1", 40, 1, 40, "000118"},
		{"actor=" + url.QueryEscape("Actor 1"), 40, 1, 40, "000118"},
		{"actorKind=secret_key", 60, 1, 50, "000119"},
		{"action=key.created&actor=actor0", 20, 1, 20, "000114"},
		{"target=key7", 1, 1, 1, "000007"},
		{"target=Key", 120, 1, 50, "000119"},
		{"since=" + url.QueryEscape(created), 60, 1, 50, "000119"},
		{"until=" + url.QueryEscape(strings.Replace(created, " ", "T", 1)), 60, 1, 50, "000059"},
		{"action=nothing", 0, 1, 0, ""},
		{"format=json", 120, 1, 50, "000119"},
	} {
		status, body := tt.call(t, "GET", "/api/v1/audit?"+test.query, "")
		mustSucceed(t, status, body)
		var got list
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if got.TotalItems != test.total || got.Page != test.page || len(got.Items) != test.items ||
			got.TotalPages != (test.total+got.PerPage-1)/got.PerPage {
			t.Errorf("%s: page %d of %d, %d items of %d", test.query, got.Page, got.TotalPages, len(got.Items), got.TotalItems)
		}
		if len(got.Items) > 0 && got.Items[0].ID != test.first {
			t.Errorf("%s: starts with %s, want %s", test.query, got.Items[0].ID, test.first)
		}
	}
	_, body := tt.call(t, "GET", "/api/v1/audit?target=key1", "")
	mustContain(t, "item", body, `"id":"000001"`, `"actor":{"kind":"secret_key","id":"actor1","name":"Actor 1"}`,
		`"action":"key.updated"`, `"target":{"type":"key","id":"key1","name":"Key"}`, `"before":null`, `"after":{"n":1}`)
}

func TestListRefuses(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	for query, field := range map[string]string{
		"actr=x":           "actr",
		"page=0":           "page",
		"page=x":           "page",
		"perPage=501":      "perPage",
		"since=yesterday":  "since",
		"until=2026-13-01": "until",
		"format=csv":       "format",
		"api_key=x":        "api_key",
	} {
		status, body := tt.call(t, "GET", "/api/v1/audit?"+query, "")
		if status != http.StatusBadRequest || !strings.Contains(body, field+":") {
			t.Errorf("%s: %d %s", query, status, body)
		}
	}
	for _, caller := range []struct {
		headers []string
		status  int
	}{
		{[]string{"Authorization", ""}, http.StatusUnauthorized},
		{[]string{"Authorization", "", "X-API-Key", "public:k"}, http.StatusForbidden},
		{[]string{"Authorization", "", "X-API-Key", "secret:k"}, http.StatusOK},
	} {
		if status, _ := tt.call(t, "GET", "/api/v1/audit", "", caller.headers...); status != caller.status {
			t.Errorf("%v: %d", caller.headers, status)
		}
	}
	for _, method := range []string{"POST", "PUT", "PATCH", "DELETE"} {
		if status, _ := tt.call(t, method, "/api/v1/audit", "{}"); status != http.StatusNotFound {
			t.Errorf("%s: %d", method, status)
		}
	}
}

func TestExport(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	fill(t, tt, 2*batchSize+7)
	for _, test := range []struct {
		query, accept string
		lines         int
	}{
		{"?format=ndjson", "", 2*batchSize + 7},
		{"", "application/x-ndjson; q=1, */*", 2*batchSize + 7},
		{"?format=ndjson&target=key3", "", 1},
		{"?format=ndjson&action=nothing", "", 0},
	} {
		request := must(http.NewRequest("GET", tt.url+"/api/v1/audit"+test.query, nil))
		request.Header.Set("Authorization", tt.token)
		request.Header.Set("Accept", test.accept)
		response := must(http.DefaultClient.Do(request))
		defer response.Body.Close()
		if got := response.Header.Get("Content-Type"); got != ndjson || response.ContentLength >= 0 && test.lines > 1 {
			t.Errorf("%s: %s, %d bytes known beforehand", test.query, got, response.ContentLength)
		}
		lines, last := 0, ""
		for scanner := bufio.NewScanner(response.Body); scanner.Scan(); lines++ {
			var it item
			if err := json.Unmarshal(scanner.Bytes(), &it); err != nil {
				t.Fatal(err)
			}
			if it.ID <= last {
				t.Fatalf("%s after %s", it.ID, last)
			}
			last = it.ID
		}
		if lines != test.lines {
			t.Errorf("%s: %d lines, want %d", test.query, lines, test.lines)
		}
	}
}
