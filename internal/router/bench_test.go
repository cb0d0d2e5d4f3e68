package router

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// BenchmarkForward is a short answer through the router, with its client and its
// tenant in the same process.
func BenchmarkForward(b *testing.B) {
	for name, size := range map[string]int{"short": 100, "list": 12_000} {
		content := strings.Repeat("x", size)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, content)
		}))
		_, _, url := start(b, Config{}, running("a", server.URL, "127.0.0.1"))
		_, _, unix := start(b, Config{}, running("a", "unix://"+onSocket(b, server.Config.Handler), "127.0.0.1"))
		transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
		for way, target := range map[string]string{"direct": server.URL, "router": url, "router, unix": unix} {
			b.Run(name+"/"+way, func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						req, _ := http.NewRequest("GET", target+"/api/health", nil)
						req.Header.Set("X-Api-Key", "pbk_pub_x")
						res, err := transport.RoundTrip(req)
						if err != nil {
							b.Error(err)
							return
						}
						_, _ = io.Copy(io.Discard, res.Body)
						_ = res.Body.Close()
					}
				})
			})
		}
		server.CloseClientConnections()
		server.Close()
	}
}

// onSocket serves on a socket and returns its path.
func onSocket(b *testing.B, handler http.Handler) string {
	dir, err := os.MkdirTemp("", "r") // the paths of sockets are short
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = os.RemoveAll(dir) })
	path := filepath.Join(dir, "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		b.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	go func() { _ = server.Serve(listener) }()
	b.Cleanup(func() { _ = server.Close() })
	return path
}
