package certs

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/objectstore/s3test"
	"github.com/picobase/picobase/internal/router"
	"github.com/picobase/picobase/internal/router/certs/acmetest"
	"github.com/picobase/picobase/internal/routes"
)

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

// startRouter serves a router with certificates.
func startRouter(t *testing.T, store objectstore.Store, server *acmetest.CA, httpPort, tlsPort int, all ...routes.Route) {
	t.Helper()
	logger := slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelWarn}))
	table := router.NewTable(logger)
	for _, route := range all {
		table.Apply(routes.Message{Op: routes.Put, Route: &route})
	}
	r, err := router.New(router.Config{Resolver: table, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	manager, err := New(Config{Store: store, Allowed: r.Serves, CA: server.Directory, Roots: server.Root, HTTPPort: httpPort, TLSPort: tlsPort, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	plain, err := net.Listen("tcp", address(httpPort))
	if err != nil {
		t.Fatal(err)
	}
	secure, err := net.Listen("tcp", address(tlsPort))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		done <- r.Serve(ctx, router.ServeConfig{HTTP: plain, Plain: manager.Challenges(r.RedirectToHTTPS(strconv.Itoa(tlsPort))), HTTPS: secure, TLSConfig: manager.TLSConfig()})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		manager.Close()
	})
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	store := bucketOf(t, s3test.Start(t))
	httpPort, tlsPort := acmetest.FreePort(t), acmetest.FreePort(t)
	server := acmetest.Start(t, httpPort, tlsPort)
	tenant := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"), " ", r.Host)
	}))
	defer tenant.Close()
	shop := routes.Route{Project: "shop", Hosts: []string{"shop.example.com", "www.shop.example", "later.example.com"}, State: routes.Running, URL: tenant.URL}
	startRouter(t, store, server, httpPort, tlsPort, shop)
	roots := server.Issuers(t)

	// A custom domain gets one when it is first asked for.
	body, first, err := acmetest.Get(t, "https://www.shop.example/", tlsPort, roots)
	if err != nil {
		t.Fatal(err)
	}
	if body != "HTTP/2.0 https www.shop.example" || first.VerifyHostname("www.shop.example") != nil {
		t.Errorf("%q for %v", body, first.DNSNames)
	}
	// A name that no project has gets none, and nothing about it is stored.
	if _, cert, err := acmetest.Get(t, "https://other.example/", tlsPort, roots); err == nil {
		t.Errorf("a certificate for an unknown name: %v", cert.DNSNames)
	}
	for info, err := range store.List(context.Background(), "", "") {
		if err != nil || strings.Contains(info.Key, "other.example") {
			t.Error(info.Key, err)
		}
	}
	// By HTTP there is a redirect.
	req, _ := http.NewRequest("GET", "http://"+address(httpPort)+"/x", nil)
	req.Host = "www.shop.example"
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil || res.StatusCode != 308 || res.Header.Get("Location") != "https://www.shop.example/x" {
		t.Errorf("%+v %v", res, err)
	}

	// Another router with the same store uses the same certificate.
	otherHTTP, otherTLS := acmetest.FreePort(t), acmetest.FreePort(t)
	startRouter(t, store, server, otherHTTP, otherTLS, shop)
	_, second, err := acmetest.Get(t, "https://www.shop.example/", otherTLS, roots)
	if err != nil {
		t.Fatal(err)
	}
	if first.SerialNumber.Cmp(second.SerialNumber) != 0 {
		t.Error("a second certificate was got for one name")
	}
	// And it gets one though the CA's questions arrive at the first.
	if _, cert, err := acmetest.Get(t, "https://later.example.com/", otherTLS, roots); err != nil || cert.VerifyHostname("later.example.com") != nil {
		t.Errorf("%v", err)
	}
	_, sameAgain, err := acmetest.Get(t, "https://later.example.com/", tlsPort, roots)
	if err != nil || sameAgain == nil {
		t.Errorf("%v", err)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	if _, err := New(Config{Store: dir.New(t.TempDir())}); err == nil {
		t.Error("a manager that allows nothing")
	}
}
