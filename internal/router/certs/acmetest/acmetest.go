// Package acmetest runs an ACME server of a test's own, with a DNS: Let's Encrypt's
// pebble, where make tools has built it. It is for tests only.
//
//	ca := acmetest.Start(t, httpPort, tlsPort)
//	body, cert, err := acmetest.Get(t, "https://shop.example.com/", tlsPort, ca.Issuers(t))
package acmetest

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
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

const (
	pebble     = "pebble-v2.10.1"
	challenges = "pebble-challtestsrv-v2.10.1"
	patience   = 30 * time.Second
)

// program returns the path of a tool of the Makefile.
func program(t *testing.T, name string) string {
	t.Helper()
	dir, err := os.Getwd()
	for ; err == nil; dir = filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil || dir == filepath.Dir(dir) {
			break
		}
	}
	path := filepath.Join(dir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("NO_SKIP") != "" {
			t.Fatalf("no bin/%s: run make tools", name)
		}
		t.Skipf("no bin/%s: run make tools", name)
	}
	return path
}

// FreePort returns a port of 127.0.0.1 that nobody listens at.
func FreePort(t *testing.T) int {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	tcp, _ := listener.Addr().(*net.TCPAddr)
	return tcp.Port
}

// CA is an ACME server with a DNS of its own, in which every name is 127.0.0.1.
type CA struct {
	Directory string         // URL
	Root      *x509.CertPool // of the server's own certificate
	RootPEM   []byte
	DNS       string // address of the DNS server

	management, names string
	client            *http.Client
}

// Start starts a server that asks its challenges at the two ports, until the test ends.
func Start(t *testing.T, httpPort, tlsPort int) *CA {
	t.Helper()
	folder := t.TempDir()
	certPEM, keyPEM := selfSigned(t)
	api, management, dns, names := FreePort(t), FreePort(t), FreePort(t), FreePort(t)
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
	begin(t, program(t, challenges), nil, "-dnsserver", address(dns), "-management", address(names),
		"-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "", "-defaultIPv4", "127.0.0.1", "-defaultIPv6", "")
	begin(t, program(t, pebble), []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0"},
		"-config", filepath.Join(folder, "config.json"), "-dnsserver", address(dns), "-strict")
	c := &CA{
		Directory: "https://" + address(api) + "/dir", Root: x509.NewCertPool(), RootPEM: certPEM, DNS: address(dns),
		management: "https://" + address(management), names: "http://" + address(names),
	}
	c.Root.AppendCertsFromPEM(certPEM)
	c.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: c.Root}}, Timeout: patience}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		res, err := c.client.Get(c.Directory)
		if err == nil {
			_ = res.Body.Close()
			return c
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

// SetTXT makes a TXT record in its DNS.
func (c *CA) SetTXT(t *testing.T, name, value string) {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"host": name + ".", "value": value})
	res, err := http.Post(c.names+"/set-txt", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("set the TXT record: %s", res.Status)
	}
}

// Issuers returns the roots of the certificates that it has issued.
func (c *CA) Issuers(t *testing.T) *x509.CertPool {
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

// Get asks for a URL of https://name/path at the port and returns the answer and the certificate.
func Get(t *testing.T, url string, port int, roots *x509.CertPool) (body string, cert *x509.Certificate, err error) {
	t.Helper()
	var dialer net.Dialer
	transport := &http.Transport{
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, network, address(port))
		},
		TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true, DisableKeepAlives: true,
	}
	res, err := (&http.Client{Transport: transport, Timeout: patience}).Get(url)
	if err != nil {
		return "", nil, err
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	return res.Proto + " " + string(content), res.TLS.PeerCertificates[0], err
}
