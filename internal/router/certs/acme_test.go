package certs

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/objectstore/s3test"
	"github.com/picobase/picobase/internal/router"
	"github.com/picobase/picobase/internal/routes"
)

const (
	pebble     = "pebble-v2.10.1"
	challenges = "pebble-challtestsrv-v2.10.1"
	patience   = 30 * time.Second
)

// program returns the path of a tool of the Makefile.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join("..", "..", "..", "bin", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("NO_SKIP") != "" {
			t.Fatalf("no bin/%s: run make tools", name)
		}
		t.Skipf("no bin/%s: run make tools", name)
	}
	return path
}

func freePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	tcp, _ := listener.Addr().(*net.TCPAddr)
	return tcp.Port
}

// ca is an ACME server with a DNS of its own, in which every name is 127.0.0.1.
type ca struct {
	directory  string
	management string
	root       *x509.CertPool // of the server's own certificate
	rootPEM    []byte
	client     *http.Client
}

// startCA starts a server that asks its challenges at the two ports.
func startCA(t *testing.T, httpPort, tlsPort int) *ca {
	t.Helper()
	folder := t.TempDir()
	certPEM, keyPEM := selfSigned(t)
	api, management, dns := freePort(t), freePort(t), freePort(t)
	files := map[string][]byte{"cert.pem": certPEM, "key.pem": keyPEM}
	config, _ := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": address(api), "managementListenAddress": address(management),
		"certificate": filepath.Join(folder, "cert.pem"), "privateKey": filepath.Join(folder, "key.pem"),
		"httpPort": httpPort, "tlsPort": tlsPort,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles":   map[string]any{"default": map[string]any{"description": "default", "validityPeriod": 7776000}},
	}})
	files["config.json"] = config
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	begin(t, program(t, challenges), nil, "-dnsserver", address(dns), "-management", address(freePort(t)),
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "")
	begin(t, program(t, pebble), []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"},
		"-config", filepath.Join(folder, "config.json"), "-dnsserver", address(dns), "-strict")
	c := &ca{directory: "https://" + address(api) + "/dir", management: "https://" + address(management), root: x509.NewCertPool(), rootPEM: certPEM}
	c.root.AppendCertsFromPEM(certPEM)
	c.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.root}}, Timeout: patience}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		res, err := c.client.Get(c.directory)
		if err == nil {
			_ = res.Body.Close()
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// issuers returns the roots of the certificates that it has issued.
func (c *ca) issuers(t *testing.T) *x509.CertPool {
	t.Helper()
	res, err := c.client.Get(c.management + "/roots/0")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	content, _ := io.ReadAll(res.Body)
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(content) {
		t.Fatalf("no root: %s", content)
	}
	return pool
}

func address(port int) string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) }

func begin(t *testing.T, binary string, env []string, args ...string) {
	t.Helper()
	cmd := exec.Command(binary, args...)
	cmd.Env = append(os.Environ(), env...)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", filepath.Base(binary), output.String())
		}
	})
}

func selfSigned(t *testing.T) (certPEM, keyPEM []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

// startRouter serves a router with certificates.
func startRouter(t *testing.T, store objectstore.Store, server *ca, httpPort, tlsPort int, all ...routes.Route) {
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
	manager, err := New(Config{Store: store, Allowed: r.Serves, CA: server.directory, Roots: server.root, HTTPPort: httpPort, TLSPort: tlsPort, Logger: logger})
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

// get asks for the name at the port by TLS and returns the answer and the certificate.
func get(t *testing.T, name string, port int, roots *x509.CertPool) (body string, cert *x509.Certificate, err error) {
	t.Helper()
	var dialer net.Dialer
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address(port))
		},
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}
	res, err := (&http.Client{Transport: transport, Timeout: patience}).Get("https://" + name + "/")
	if err != nil {
		return "", nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return res.Proto + " " + string(content), res.TLS.PeerCertificates[0], err
}

func TestCertificates(t *testing.T) {
	t.Parallel()
	store := bucketOf(t, s3test.Start(t))
	httpPort, tlsPort := freePort(t), freePort(t)
	server := startCA(t, httpPort, tlsPort)
	tenant := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, r.Header.Get("X-Forwarded-Proto"), " ", r.Host)
	}))
	defer tenant.Close()
	shop := routes.Route{Project: "shop", Hosts: []string{"shop.example.com", "www.shop.example", "later.example.com"}, State: routes.Running, URL: tenant.URL}
	startRouter(t, store, server, httpPort, tlsPort, shop)
	roots := server.issuers(t)

	// A custom domain gets one when it is first asked for.
	body, first, err := get(t, "www.shop.example", tlsPort, roots)
	if err != nil {
		t.Fatal(err)
	}
	if body != "HTTP/2.0 https www.shop.example" || first.VerifyHostname("www.shop.example") != nil {
		t.Errorf("%q for %v", body, first.DNSNames)
	}
	// A name that no project has gets none, and nothing about it is stored.
	if _, cert, err := get(t, "other.example", tlsPort, roots); err == nil {
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
	otherHTTP, otherTLS := freePort(t), freePort(t)
	startRouter(t, store, server, otherHTTP, otherTLS, shop)
	_, second, err := get(t, "www.shop.example", otherTLS, roots)
	if err != nil {
		t.Fatal(err)
	}
	if first.SerialNumber.Cmp(second.SerialNumber) != 0 {
		t.Error("a second certificate was got for one name")
	}
	// And it gets one though the CA's questions arrive at the first.
	if _, cert, err := get(t, "later.example.com", otherTLS, roots); err != nil || cert.VerifyHostname("later.example.com") != nil {
		t.Errorf("%v", err)
	}
	_, sameAgain, err := get(t, "later.example.com", tlsPort, roots)
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
