package router

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

func TestForward(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	_, _, url := start(t, Config{}, shop.route("shop.example.com"))
	a := send(t, url, request{method: "POST", path: "/a%2Fb//c?q=1;x&%zz", host: "shop.example.com", body: "hello", header: http.Header{
		"X-Forwarded-For": {"6.6.6.6"}, "X-Forwarded-Host": {"evil"}, "X-Forwarded-Proto": {"https"}, "Forwarded": {"for=6.6.6.6"}, "X-Real-Ip": {"6.6.6.6"},
		"X-Picobase-Project": {"other"}, "Connection": {"X-Forwarded-For, X-Forwarded-Host, X-Request-Id, X-Own, close"}, "X-Own": {"hop"},
		"X-Request-Id": {"mine-1"}, "Cf-Connecting-Ip": {"6.6.6.6"}, "Authorization": {"kept"},
	}})
	if a.status != 200 || a.seen.Tenant != "shop" || a.seen.Body != "hello" || a.seen.URI != "/a%2Fb//c?q=1;x&%zz" || a.seen.Host != "shop.example.com" {
		t.Errorf("%d %+v", a.status, a.seen)
	}
	for name, want := range map[string]string{
		"X-Forwarded-For": "127.0.0.1", "X-Forwarded-Host": "shop.example.com", "X-Forwarded-Proto": "http", "X-Request-Id": "mine-1", "Authorization": "kept",
		"X-Real-Ip": "", "X-Picobase-Project": "", "X-Own": "", "Forwarded": "", "Cf-Connecting-Ip": "",
	} {
		if got := strings.Join(a.seen.Header[name], "|"); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	if a.header.Get("X-Request-Id") != "mine-1" {
		t.Errorf("the answer's id is %q", a.header.Get("X-Request-Id"))
	}
	b := send(t, url, request{host: "shop.example.com", header: http.Header{"X-Request-Id": {"bad id"}}})
	if id := b.seen.Header.Get("X-Request-Id"); !validID(id) || id != b.header.Get("X-Request-Id") {
		t.Errorf("ids %q and %q", id, b.header.Get("X-Request-Id"))
	}
}

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	_, _, url := start(t, Config{TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("10.0.0.0/8")}}, shop.route("shop.example.com"))
	for given, want := range map[string]string{
		"":                          "127.0.0.1",
		"1.2.3.4":                   "1.2.3.4",
		"6.6.6.6, 1.2.3.4":          "1.2.3.4",
		"6.6.6.6, 1.2.3.4,10.1.1.1": "1.2.3.4",
		"10.2.2.2, 10.1.1.1":        "10.2.2.2",
		"unknown, 10.1.1.1":         "10.1.1.1",
		"::ffff:1.2.3.4":            "1.2.3.4",
		"2001:db8::1":               "2001:db8::1",
		"1.2.3.4:5678":              "1.2.3.4",
	} {
		a := send(t, url, request{host: "shop.example.com", header: http.Header{
			"X-Forwarded-For": {given}, "X-Forwarded-Proto": {"https"}, "X-Forwarded-Host": {"evil"}, "X-Real-Ip": {"6.6.6.6"}}})
		if got := a.seen.Header.Get("X-Forwarded-For"); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
		if h := a.seen.Header; h.Get("X-Forwarded-Proto") != "https" || h.Get("X-Forwarded-Host") != "shop.example.com" || h.Get("X-Real-Ip") != "" {
			t.Errorf("%v", h)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	_, _, url := start(t, Config{},
		routes.Route{Project: "off", Hosts: []string{"off.example.com"}, State: routes.Off, Message: "This project is stopped. Its owner can start it."},
		routes.Route{Project: "parked", Hosts: []string{"parked.example.com"}, State: routes.Parked, Message: "It cannot start."},
		routes.Route{Project: "odd", Hosts: []string{"odd.example.com"}, State: "new"},
		routes.Route{Project: "asleep", Hosts: []string{"asleep.example.com"}, State: routes.Asleep},
	)
	for host, want := range map[string]struct {
		status        int
		code, message string
	}{
		"no.example.com":     {404, "project_not_found", errNotFound.Message},
		"127.0.0.1":          {404, "project_not_found", errNotFound.Message},
		"off.example.com":    {503, "project_stopped", "This project is stopped. Its owner can start it."},
		"parked.example.com": {503, "project_unavailable", "It cannot start."},
		"odd.example.com":    {503, "project_unavailable", "The router does not understand where the project is."},
		"asleep.example.com": {503, "waking", errWaking.Message}, // there is nobody to wake it
	} {
		a := send(t, url, request{host: host, header: http.Header{"Origin": {"https://app.example.org"}}})
		if a.status != want.status || a.code() != want.code || a.err.Message != want.message || a.err.Status != want.status {
			t.Errorf("%s: %d %s", host, a.status, a.body)
		}
		if (want.status == 503) != (a.header.Get("Retry-After") != "") || a.header.Get("X-Request-Id") == "" ||
			a.header.Get("X-PicoBase-Forwarded") != "false" || a.header.Get("Access-Control-Allow-Origin") != "https://app.example.org" ||
			!strings.Contains(a.header.Get("Access-Control-Expose-Headers"), "X-PicoBase-Forwarded") || a.header.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("%s: %v", host, a.header)
		}
	}
}

func TestEventStream(t *testing.T) {
	t.Parallel()
	next, gone := make(chan string), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		w.WriteHeader(200)
		_ = http.NewResponseController(w).Flush()
		for {
			select {
			case text := <-next:
				fmt.Fprintf(w, "data: %s\n\n", text)
				_ = http.NewResponseController(w).Flush()
			case <-r.Context().Done():
				close(gone)
				return
			}
		}
	}))
	defer server.Close()
	router, table, url := start(t, Config{}, running("live", server.URL, "live.example.com"))
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	req, _ := http.NewRequestWithContext(ctx, "GET", url+"/", nil)
	req.Host = "live.example.com"
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, text := range []string{"one", "two"} {
		next <- text
		// Only what is not buffered arrives before the next one is sent.
		if !lines.Scan() || lines.Text() != "data: "+text || !lines.Scan() {
			t.Fatalf("%q %v", lines.Text(), lines.Err())
		}
	}
	traffic := table.resolve("live.example.com").traffic.Load()
	if traffic.streams.Load() != 1 || traffic.taken.Load() != 0 || traffic.open.Load() != 1 {
		t.Error("a stream is counted as a request")
	}
	cancel()
	select {
	case <-gone:
	case <-time.After(patienceOfTests):
		t.Fatal("the tenant was not told that its client is gone")
	}
	eventually(t, "the stream is counted off", func() bool { return traffic.streams.Load() == 0 && router.metrics.streams.Load() == 0 })
}

// An answer without a length arrives as it is made, though it is no event stream.
func TestAnswersAreNotBuffered(t *testing.T) {
	t.Parallel()
	next := make(chan string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for text := range next {
			fmt.Fprintln(w, text)
			_ = http.NewResponseController(w).Flush()
		}
	}))
	defer server.Close()
	_, _, url := start(t, Config{}, running("a", server.URL, "a.example.com"))
	go func() { next <- "one" }()
	req, _ := http.NewRequest("GET", url, nil)
	req.Host = "a.example.com"
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	lines := bufio.NewScanner(res.Body)
	for _, text := range []string{"one", "two"} {
		if !lines.Scan() || lines.Text() != text {
			t.Fatalf("%q %v", lines.Text(), lines.Err())
		}
		if text == "one" {
			next <- "two"
		}
	}
	close(next)
	if lines.Scan() || lines.Err() != nil {
		t.Errorf("%q %v", lines.Text(), lines.Err())
	}
}

func TestWebSocket(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || r.Header.Get("Sec-Websocket-Key") == "" {
			http.Error(w, "upgrade "+r.Header.Get("Upgrade"), 400)
			return
		}
		conn, buffered, _ := http.NewResponseController(w).Hijack()
		defer conn.Close()
		fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		_, _ = io.Copy(conn, buffered)
	}))
	defer server.Close()
	router, _, url := start(t, Config{}, running("ws", server.URL, "ws.example.com"))
	ask := func(protocol string) (net.Conn, *bufio.Reader, string) {
		t.Helper()
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetDeadline(time.Now().Add(patienceOfTests))
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: ws.example.com\r\nConnection: Upgrade\r\nUpgrade: %s\r\nSec-WebSocket-Key: x\r\n\r\n", protocol)
		reader := bufio.NewReader(conn)
		status, _ := reader.ReadString('\n')
		for {
			line, err := reader.ReadString('\n')
			if err != nil || line == "\r\n" {
				return conn, reader, status
			}
		}
	}
	conn, reader, status := ask("websocket")
	defer conn.Close()
	if !strings.Contains(status, "101") {
		t.Fatal(status)
	}
	for _, text := range []string{"ping\n", "pong\n"} {
		fmt.Fprint(conn, text)
		if echo, err := reader.ReadString('\n'); err != nil || echo != text {
			t.Fatalf("%q %v", echo, err)
		}
	}
	eventually(t, "one stream", func() bool { return router.metrics.streams.Load() == 1 })
	_ = conn.Close()
	eventually(t, "no stream", func() bool { return router.metrics.streams.Load() == 0 })

	// With any other protocol the router would no longer know what passes.
	other, rest, status := ask("h2c")
	defer other.Close()
	body, _ := rest.ReadString('\n')
	if !strings.Contains(status, "400") || body != "upgrade \n" {
		t.Errorf("h2c: %s %s", status, body)
	}
}

func TestLargeBodiesStream(t *testing.T) {
	t.Parallel()
	arrived := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		first := make([]byte, 5)
		_, _ = io.ReadFull(r.Body, first)
		arrived <- string(first)
		n, _ := io.Copy(io.Discard, r.Body)
		fmt.Fprint(w, n+5)
	}))
	defer server.Close()
	_, _, url := start(t, Config{}, running("up", server.URL, "up.example.com"))
	reader, writer := io.Pipe()
	req, _ := http.NewRequest("POST", url, reader)
	req.Host = "up.example.com"
	done := make(chan string, 1)
	go func() {
		res, err := client.Do(req)
		if err != nil {
			done <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		done <- string(body)
	}()
	_, _ = io.WriteString(writer, "begin")
	if got := <-arrived; got != "begin" {
		t.Errorf("%q", got)
	}
	_, _ = writer.Write(make([]byte, 1<<20))
	_ = writer.Close()
	if got := <-done; got != fmt.Sprint(1<<20+5) {
		t.Errorf("%s bytes", got)
	}
}

func TestUnixSocket(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "r") // the paths of sockets are short
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	socket := filepath.Join(dir, "Tenant Ä.sock")
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	fake := &tenant{name: "unix"}
	server := &http.Server{Handler: fake}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	_, _, url := start(t, Config{}, running("unix", "unix://"+strings.ReplaceAll(socket, " ", "%20"), "unix.example.com"))
	for range 2 {
		if a := send(t, url, request{host: "unix.example.com"}); a.seen.Tenant != "unix" || a.seen.Host != "unix.example.com" {
			t.Errorf("%d %s", a.status, a.body)
		}
	}
}

func TestHTTP2InFront(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	table := NewTable(quietLogger())
	put(table, shop.route("example.com"))
	router, err := New(Config{Resolver: table, Logger: quietLogger()})
	if err != nil {
		t.Fatal(err)
	}
	pair := httptest.NewUnstartedServer(nil)
	pair.StartTLS()
	defer pair.Close()
	listener, _ := net.Listen("tcp", "127.0.0.1:0")
	_, _ = serve(t, router, ServeConfig{HTTPS: listener, TLSConfig: &tls.Config{Certificates: pair.TLS.Certificates}})
	transport, _ := pair.Client().Transport.(*http.Transport)
	transport = transport.Clone()
	transport.ForceAttemptHTTP2 = true
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, listener.Addr().String())
	}
	defer transport.CloseIdleConnections()
	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			res, err := (&http.Client{Transport: transport}).Post("https://example.com/x", "text/plain", strings.NewReader("body"))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			var got seen
			if err := json.NewDecoder(res.Body).Decode(&got); err != nil || res.ProtoMajor != 2 || got.Body != "body" || got.Header.Get("X-Forwarded-Proto") != "https" {
				t.Errorf("%s %+v %v", res.Proto, got, err)
			}
		})
	}
	all.Wait()
}

// A tenant that dies while it handles a write must not get it twice.
func TestNothingHandledIsSentTwice(t *testing.T) {
	t.Parallel()
	for name, header := range map[string]http.Header{"plain": {}, "with a key": {"Idempotency-Key": {"x"}}} {
		for _, body := range []string{"", "body"} {
			t.Run(name+" "+body, func(t *testing.T) {
				t.Parallel()
				var writes atomic.Int64
				server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
					if r.Method == http.MethodPost {
						_, _ = io.ReadAll(r.Body)
						writes.Add(1)
						panic(http.ErrAbortHandler)
					}
				}))
				defer server.Close()
				_, _, url := start(t, Config{}, running("dies", server.URL, "dies.example.com"))
				// The connection is one that was used before, which is when transports try again.
				_ = send(t, url, request{host: "dies.example.com"})
				a := send(t, url, request{method: "POST", host: "dies.example.com", body: body, header: header.Clone()})
				if a.status != 502 || a.code() != "upstream_failed" || a.header.Get("X-PicoBase-Forwarded") != "" {
					t.Errorf("%d %v %s", a.status, a.header, a.body)
				}
				if n := writes.Load(); n != 1 {
					t.Errorf("the write came %d times", n)
				}
			})
		}
	}
}

func TestPattern(t *testing.T) {
	t.Parallel()
	shop := newTenant(t, "shop")
	_, port, _ := net.SplitHostPort(shop.server.Listener.Addr().String())
	pattern, err := NewPattern("http://{project}.localhost:"+port, "Example.COM.")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"a.b", "-a", "a-", "a_b", ""} {
		if p := pattern.resolve(name + ".example.com"); p != nil {
			t.Errorf("%q is a project", name)
		}
	}
	if p := pattern.resolve("example.com"); p != nil {
		t.Error("the base domain is a project")
	}
	p := pattern.resolve("shop.example.com")
	if p == nil || p.place.Load().target != "shop.localhost:"+port || pattern.resolve("shop.example.com") != p {
		t.Errorf("%+v", p)
	}
	for _, bad := range [][2]string{{"http://a", "example.com"}, {"http://{project}{project}", "example.com"}, {"ftp://{project}", "example.com"}, {"http://{project}", "a b"}} {
		if _, err := NewPattern(bad[0], bad[1]); err == nil {
			t.Errorf("%v", bad)
		}
	}
}
