package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/routes"
)

// raw sends bytes on one connection and returns the answers to them, up to the
// end of the connection or of the answers expected.
func raw(t *testing.T, url, bytes string) (answers []answer) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(3 * time.Second))
	go func() { _, _ = io.WriteString(conn, bytes) }()
	reader := bufio.NewReader(conn)
	for {
		res, err := http.ReadResponse(reader, nil)
		if err != nil {
			return answers
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return answers
		}
		answers = append(answers, answer{status: res.StatusCode, header: res.Header, body: body})
		if res.Close || res.Header.Get("X-Last") != "" {
			return answers
		}
	}
}

// Whatever is sent for a, b must not get it: the two have a router in common and
// nothing else. Each request that is whole ends with one that closes the connection.
func TestNothingReachesAnotherTenant(t *testing.T) {
	t.Parallel()
	a, b := newTenant(t, "a"), newTenant(t, "b")
	idn := newTenant(t, "idn")
	_, _, url := start(t, Config{}, a.route("a.example.com"), b.route("b.example.com"), idn.route("xn--mnchen-3ya.example.com"))
	const keep = " HTTP/1.1\r\nHost: a.example.com\r\n"
	const tail = " HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n"
	for name, c := range map[string]struct {
		sent string
		want string // who answers first: a tenant, or a status
	}{
		"plain":                     {"GET /" + tail + "\r\n", "a"},
		"case":                      {"GET / HTTP/1.1\r\nHost: A.Example.COM\r\nConnection: close\r\n\r\n", "a"},
		"trailing dot":              {"GET / HTTP/1.1\r\nHost: a.example.com.\r\nConnection: close\r\n\r\n", "a"},
		"port":                      {"GET / HTTP/1.1\r\nHost: a.example.com:9999\r\nConnection: close\r\n\r\n", "a"},
		"punycode":                  {"GET / HTTP/1.1\r\nHost: XN--MNCHEN-3YA.example.com\r\nConnection: close\r\n\r\n", "idn"},
		"absolute form":             {"GET http://a.example.com/x HTTP/1.1\r\nHost: b.example.com\r\nConnection: close\r\n\r\n", "a"},
		"absolute form, other port": {"GET http://A.example.com.:1/x HTTP/1.1\r\nHost: b.example.com\r\nConnection: close\r\n\r\n", "a"},
		"absolute form, user":       {"GET http://b.example.com@a.example.com/x HTTP/1.1\r\nHost: b.example.com\r\nConnection: close\r\n\r\n", "a"},
		"two slashes":               {"GET //b.example.com/x" + tail + "\r\n", "a"},
		"X-Forwarded-Host":          {"GET /" + tail + "X-Forwarded-Host: b.example.com\r\n\r\n", "a"},
		"X-PicoBase-Project":        {"GET /" + tail + "X-PicoBase-Project: b\r\nx-picobase-project: b\r\n\r\n", "a"},
		"Forwarded":                 {"GET /" + tail + "Forwarded: host=b.example.com\r\nX-Host: b.example.com\r\nX-Original-URL: http://b.example.com/\r\n\r\n", "a"},
		"two hosts":                 {"GET /" + tail + "Host: b.example.com\r\n\r\n", "400"},
		"the same host twice":       {"GET /" + tail + "Host: a.example.com\r\n\r\n", "400"},
		"space before the colon":    {"GET /" + tail + "Host : b.example.com\r\n\r\n", "400"},
		"host with a path":          {"GET / HTTP/1.1\r\nHost: a.example.com/b.example.com\r\nConnection: close\r\n\r\n", "400"},
		"host with a user":          {"GET / HTTP/1.1\r\nHost: a.example.com@b.example.com\r\nConnection: close\r\n\r\n", "400"},
		"two names":                 {"GET / HTTP/1.1\r\nHost: a.example.com, b.example.com\r\nConnection: close\r\n\r\n", "400"},
		"no host":                   {"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "400"},
		"no host, HTTP/1.0":         {"GET / HTTP/1.0\r\n\r\n", "404"},
		"CONNECT":                   {"CONNECT b.example.com:80 HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n", "405"},
		"CONNECT, a path":           {"CONNECT /x HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n", "405"},

		"CL.TE":                   {"POST /" + keep + "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "a"},
		"TE.CL":                   {"POST /" + keep + "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n2f\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n\r\n0\r\n\r\n", "a"},
		"TE.TE":                   {"POST /" + keep + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "501"},
		"odd TE":                  {"POST /" + keep + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "501"},
		"tab TE":                  {"POST /" + keep + "Transfer-Encoding:\tchunked, identity\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "501"},
		"space before TE's colon": {"POST /" + keep + "Transfer-Encoding : chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "400"},
		"TE with HTTP/1.0":        {"POST / HTTP/1.0\r\nHost: a.example.com\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "a"},
		"two lengths":             {"POST /" + keep + "Content-Length: 0\r\nContent-Length: 50\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "400"},
		"a list of lengths":       {"POST /" + keep + "Content-Length: 0, 50\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "400"},
		"a signed length":         {"POST /" + keep + "Content-Length: +0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "400"},
		"bad chunk size":          {"POST /" + keep + "Transfer-Encoding: chunked\r\n\r\n0x1\r\nA\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "400"},
		"chunk longer than said":  {"POST /" + keep + "Transfer-Encoding: chunked\r\n\r\n1\r\nABC\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "400"},
		"huge chunk size":         {"POST /" + keep + "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\nA\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "400"},
		"bare LF in a chunk":      {"POST /" + keep + "Transfer-Encoding: chunked\r\n\r\n2;\nxx\r\n4b\r\n0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com\r\n\r\n", "400"},
		"folded host":             {"GET / HTTP/1.1\r\nHost:\r\n b.example.com\r\nConnection: close\r\n\r\n", "b"}, // one header, one meaning
		"folded header":           {"GET /" + tail + "X-A: b\r\n Host: b.example.com\r\n\r\n", "a"},
		"NUL in a header":         {"GET /" + tail + "X-A: a\x00b\r\n\r\n", "400"},
		"NUL in the host":         {"GET / HTTP/1.1\r\nHost: a.example.com\x00b.example.com\r\nConnection: close\r\n\r\n", "400"},
		"CR in a header":          {"GET /" + tail + "X-A: a\rHost: b.example.com\r\n\r\n", "400"},
		"CR LF in the path":       {"GET /%0d%0aHost:%20b.example.com%0d%0a" + tail + "\r\n", "a"},
		"space in the path":       {"GET /x HTTP/1.1 Host: b.example.com" + tail + "\r\n", "400"},
		"no method":               {" /" + tail + "\r\n", "400"},
		"odd method":              {"G(T /" + tail + "\r\n", "400"},
		"huge header":             {"GET /" + tail + "X-A: " + strings.Repeat("x", 80<<10) + "\r\n\r\n", "431"},
		"many headers":            {"GET /" + tail + strings.Repeat("X-A: xxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n", 3000) + "\r\n", "431"},
		"length on GET":           {"GET / HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: 42\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b.example.com" + "GET /" + tail + "\r\n", "a"},
		"h2c upgrade":             {"GET /" + keep + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\nGET /last" + tail + "\r\n", "a"},
		"Connection names ours":   {"GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: close, X-Forwarded-For, X-Forwarded-Host, Host\r\n\r\n", "a"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answers := raw(t, url, c.sent)
			if len(answers) == 0 {
				t.Fatal("no answer")
			}
			got := answers[0].header.Get("X-Tenant")
			if got == "" {
				got = fmt.Sprint(answers[0].status)
			}
			if got != c.want {
				t.Errorf("%q answered, want %s: %s", got, c.want, answers[0].body)
			}
			if len(answers) > 1 && name != "h2c upgrade" && name != "length on GET" {
				t.Errorf("%d answers", len(answers))
			}
		})
	}
	t.Cleanup(func() {
		if _, ok := b.paths.Load("/smuggled"); ok {
			t.Error("b got a request that was part of another")
		}
		if _, ok := a.paths.Load("/smuggled"); ok {
			t.Error("a got a request that was part of another")
		}
	})
}

// Connections to tenants are kept and used again: what one client leaves behind in
// one must not be the beginning of another's answer.
func TestConnectionsStayInStep(t *testing.T) {
	t.Parallel()
	a := newTenant(t, "a")
	_, _, url := start(t, Config{}, a.route("a.example.com"))
	for round := range 20 {
		// A client that announces more than it sends, and goes.
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(conn, "POST /broken HTTP/1.1\r\nHost: a.example.com\r\nContent-Length: %d\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n", 1<<20)
		_ = conn.Close()
		path := fmt.Sprintf("/round/%d", round)
		if got := send(t, url, request{host: "a.example.com", path: path}); got.seen.URI != path {
			t.Errorf("asked for %s, got the answer to %s", path, got.seen.URI)
		}
	}
	if _, ok := a.paths.Load("/smuggled"); ok {
		t.Error("a body became a request")
	}
}

// Whatever a tenant answers, it cannot speak for another one on the connection.
func TestTenantsAnswersStayInStep(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
				}
			}()
		}
	}()
	b := newTenant(t, "b")
	_, _, url := start(t, Config{}, routes.Route{Project: "evil", Hosts: []string{"evil.example.com"}, State: routes.Running, URL: "http://" + listener.Addr().String()}, b.route("b.example.com"))
	answers := raw(t, url, "GET / HTTP/1.1\r\nHost: evil.example.com\r\n\r\nGET /mine HTTP/1.1\r\nHost: b.example.com\r\nConnection: close\r\n\r\n")
	if len(answers) != 2 || string(answers[0].body) != "ok" || answers[1].header.Get("X-Tenant") != "b" {
		t.Errorf("%d answers: %v", len(answers), answers)
	}
}
