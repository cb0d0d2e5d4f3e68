package usage

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// testRoutes answer in every way that is hard to count.
func testRoutes(r *router.Router[*core.RequestEvent]) {
	r.GET("/panic", func(*core.RequestEvent) error { panic("on purpose") })
	r.GET("/abort", func(*core.RequestEvent) error { panic(http.ErrAbortHandler) })
	r.GET("/plain-error", func(*core.RequestEvent) error { return errors.New("on purpose") })
	r.GET("/written-and-error", func(e *core.RequestEvent) error {
		return errors.Join(e.String(http.StatusAccepted, "done"), errors.New("on purpose"))
	})
	r.GET("/nothing", func(*core.RequestEvent) error { return nil })
	r.GET("/redirect", func(e *core.RequestEvent) error { return e.Redirect(http.StatusFound, "/nothing") })
	r.GET("/hello", func(e *core.RequestEvent) error { return e.String(http.StatusOK, "hello") })
	r.POST("/echo", func(e *core.RequestEvent) error {
		for range 2 { // the second time from PocketBase's buffer
			if _, err := io.ReadAll(e.Request.Body); err != nil {
				return err
			}
		}
		return e.NoContent(http.StatusNoContent)
	})
	r.POST("/deaf", func(e *core.RequestEvent) error { return e.NoContent(http.StatusNoContent) })
	r.GET("/gzip", func(e *core.RequestEvent) error {
		return e.String(http.StatusOK, strings.Repeat("a", 100_000))
	}).Bind(apis.Gzip())
	r.GET("/events", func(e *core.RequestEvent) error {
		e.Response.Header().Set("Content-Type", "text/event-stream")
		return e.String(http.StatusOK, "data: 1\n\n")
	})
	r.GET("/hijack", func(e *core.RequestEvent) error {
		conn, _, err := http.NewResponseController(e.Response).Hijack()
		if err != nil {
			return err
		}
		defer conn.Close()
		_, err = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		return err
	})
}

func TestBytesAndStatus(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name, method, path string
		body               string
		class              int
		bytesIn            int64
	}{
		{"text", http.MethodGet, "/hello", "", 2, 0},
		{"nothing written", http.MethodGet, "/nothing", "", 2, 0},
		{"HEAD", http.MethodHead, "/hello", "", 2, 0},
		{"body read twice", http.MethodPost, "/echo", "0123456789", 2, 10},
		{"body not read", http.MethodPost, "/deaf", "0123456789", 2, 0},
		{"compressed", http.MethodGet, "/gzip", "", 2, 0},
		{"unknown route", http.MethodGet, "/unknown", "", 4, 0},
		{"unknown record", http.MethodGet, "/api/collections/demo1/records/x", "", 4, 0},
		{"plain error", http.MethodGet, "/plain-error", "", 4, 0},
		{"error after the answer", http.MethodGet, "/written-and-error", "", 2, 0},
		{"panic", http.MethodGet, "/panic", "", 5, 0},
		{"redirect", http.MethodGet, "/redirect", "", 3, 0},
		{"hijacked", http.MethodGet, "/hijack", "", 2, 0},
	}
	// Neither follow redirects nor decompress: the bytes on the wire count.
	client := &http.Client{
		Transport:     &http.Transport{DisableCompression: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, Config{}, testRoutes)
			request, err := http.NewRequest(c.method, s.url+c.path, strings.NewReader(c.body))
			if err != nil {
				t.Fatal(err)
			}
			request.Header.Set("X-API-Key", "k1")
			request.Header.Set("Accept-Encoding", "gzip")
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			answer, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			want := int64(len(answer))
			if c.name == "hijacked" {
				want = 0 // the connection is the handler's own
			}
			rows := s.flushed(1)
			eventually(t, func() bool { // an error's body comes after its request
				rows = s.flushed(1)
				return rows[0].BytesOut == want
			})
			row := rows[0]
			if len(rows) != 1 || row.Requests != 1 || row.StatusClass != c.class || row.BytesIn != c.bytesIn || row.KeyID != "k1" {
				t.Errorf("got %+v, want one request of class %d with %d bytes in", rows, c.class, c.bytesIn)
			}
			if response.StatusCode/100 != c.class {
				t.Errorf("the client got %d", response.StatusCode)
			}
		})
	}
}

func TestAbortIsCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, testRoutes)
	if response, err := http.Get(s.url + "/abort"); err == nil {
		response.Body.Close()
		t.Fatalf("got %d, want an aborted connection", response.StatusCode)
	}
	rows := s.flushed(1)
	if len(rows) != 1 || rows[0].StatusClass != 5 {
		t.Errorf("got %+v, want class 5", rows)
	}
}

func TestEventStreamsHaveNoLatency(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, testRoutes)
	s.get("/events")
	s.get("/hello")
	s.flushed(2)
	if got := s.latencies(); got != 1 {
		t.Errorf("%d latencies, want that of /hello alone", got)
	}
}

func TestRealtimeIsCountedAtItsEnd(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, nil)
	response, err := http.Get(s.url + "/api/realtime")
	if err != nil {
		t.Fatal(err)
	}
	buffer := make([]byte, 1000)
	n, err := response.Body.Read(buffer)
	if err != nil || !strings.Contains(string(buffer[:n]), "PB_CONNECT") {
		t.Fatalf("got %q, %v", buffer[:n], err)
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if rows := s.rows(); len(rows) > 0 {
		t.Errorf("got %+v while the stream is open", rows)
	}
	response.Body.Close()
	rows := s.flushed(1)
	if rows[0].Route != "realtime" || rows[0].BytesOut < int64(n) || s.latencies() != 0 {
		t.Errorf("got %+v with %d latencies", rows, s.latencies())
	}
}

func TestPanicOutsideOfRecoverIsCounted(t *testing.T) {
	t.Parallel()
	s := serve(t, Config{}, func(r *router.Router[*core.RequestEvent]) {
		r.Bind(&hook.Handler[*core.RequestEvent]{
			Id:       "testPanic",
			Priority: apis.DefaultPanicRecoverMiddlewarePriority - 1,
			Func:     func(*core.RequestEvent) error { panic(http.ErrAbortHandler) },
		})
	})
	if response, err := http.Get(s.url + "/"); err == nil {
		response.Body.Close()
	}
	if rows := s.flushed(1); rows[0].StatusClass != 5 {
		t.Errorf("got %+v", rows)
	}
}

func TestLatencyAndHour(t *testing.T) {
	t.Parallel()
	clock := newClock("2026-01-31T10:59:59Z")
	s := serve(t, Config{Now: clock.Now}, func(r *router.Router[*core.RequestEvent]) {
		r.GET("/slow", func(*core.RequestEvent) error {
			clock.advance(2 * time.Second)
			return nil
		})
	})
	s.get("/slow")
	rows := s.flushed(1)
	if want := hourOf(clock.Now()); rows[0].Hour != want || want%3600 != 0 {
		t.Errorf("counted at %d, want the hour of the end, %d", rows[0].Hour, want)
	}
	var seconds int64
	i, _ := slices.BinarySearch(bucketBounds[:], 2*time.Second)
	if err := s.app.AuxDB().Select("h" + strconv.Itoa(i)).From("_pico_usage").Row(&seconds); err != nil {
		t.Fatal(err)
	}
	if seconds != 1 {
		t.Errorf("no latency in the bucket of 2 s")
	}
}

func TestLogMeta(t *testing.T) {
	t.Parallel()
	for _, others := range []map[string]any{nil, {"mine": 1.0, "route": "x"}} {
		seen := make(chan any, 1)
		s := serve(t, Config{}, func(r *router.Router[*core.RequestEvent]) {
			r.Bind(&hook.Handler[*core.RequestEvent]{
				Id:       "testLogger",
				Priority: apis.DefaultActivityLoggerMiddlewarePriority,
				Func: func(e *core.RequestEvent) error {
					err := e.Next()
					seen <- e.Get(apis.RequestEventKeyLogMeta)
					return err
				},
			})
			r.GET("/meta/{name}", func(e *core.RequestEvent) error {
				if others != nil {
					e.Set(apis.RequestEventKeyLogMeta, others)
				}
				return apierr.Invalid("name", "is wrong.")
			})
		})
		s.get("/meta/x", "X-API-Key", "k1", "X-Request-Id", "r1")
		want := any(logMeta{"r1", "k1", "GET /meta/{name}"})
		got := <-seen
		if others == nil && got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if others != nil {
			merged, _ := got.(map[string]any)
			if merged["mine"] != 1.0 || merged["requestId"] != "r1" || merged["keyId"] != "k1" || merged["route"] != "GET /meta/{name}" {
				t.Errorf("got %+v", got)
			}
			if others["route"] != "x" {
				t.Error("the hook's own map was changed")
			}
		}
	}
}
