package guard

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
)

func TestIsPublic(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{
		"8.8.8.8":                      true,
		"93.184.216.34":                true,
		"2606:4700:4700::1111":         true,
		"100.63.255.255":               true,
		"172.32.0.1":                   true,
		"0.0.0.0":                      false,
		"0.1.2.3":                      false,
		"10.1.2.3":                     false,
		"100.64.0.1":                   false, // carrier-grade NAT
		"100.100.100.200":              false, // Alibaba's metadata
		"127.0.0.1":                    false,
		"127.255.1.1":                  false,
		"168.63.129.16":                false, // Azure's metadata
		"169.254.169.254":              false, // the metadata of most clouds
		"169.254.170.2":                false, // of ECS tasks
		"172.16.0.1":                   false,
		"172.31.255.255":               false,
		"192.0.0.192":                  false, // Oracle's metadata
		"192.168.1.1":                  false,
		"198.18.0.1":                   false,
		"224.0.0.1":                    false,
		"255.255.255.255":              false,
		"::":                           false,
		"::1":                          false,
		"::7f00:1":                     false, // IPv4-compatible
		"::ffff:127.0.0.1":             false, // IPv4-mapped
		"::ffff:10.0.0.1":              false,
		"::ffff:8.8.8.8":               true,
		"fe80::1":                      false,
		"fe80::1%eth0":                 false,
		"fec0::1":                      false,
		"fc00::1":                      false,
		"fd00:ec2::254":                false, // AWS's metadata
		"ff02::1":                      false,
		"64:ff9b::a9fe:a9fe":           false, // NAT64 of 169.254.169.254
		"64:ff9b::808:808":             true,  // NAT64 of 8.8.8.8
		"64:ff9b:1::1":                 false, // a network's own NAT64
		"2002:7f00:1::":                false, // 6to4 of 127.0.0.1
		"2002:c0a8:101::1":             false, // 6to4 of 192.168.1.1
		"2002:808:808::1":              true,
		"2001:0:4136:e378:8000:63bf::": false, // Teredo
		"2001:db8::1":                  false,
		"3fff::1":                      false,
		"4000::1":                      false,
	} {
		if got := IsPublic(netip.MustParseAddr(address)); got != want {
			t.Errorf("%s: %v", address, got)
		}
	}
	if IsPublic(netip.Addr{}) {
		t.Error("no address at all is public")
	}
}

// All ways to write an address of this machine lead to the same refusal.
func TestTransportRefuses(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	client := &http.Client{Transport: Transport(nil)}
	for _, host := range []string{
		"127.0.0.1", "localhost", "localhost.", "LOCALHOST", "127.1", "0", "0x7f000001", "2130706433", "017700000001",
		"[::1]", "[::]", "0.0.0.0", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]",
	} {
		response, err := client.Get("http://" + host + ":" + port + "/")
		if err == nil {
			response.Body.Close()
			t.Errorf("%s: %s", host, response.Status)
		}
		var dns *net.DNSError
		if !errors.Is(err, ErrRefused) && !errors.As(err, &dns) {
			t.Errorf("%s: %v", host, err)
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("reached %d times", n)
	}
}

func TestTransportAllows(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	for name, c := range map[string]struct {
		allow string
		host  string
		want  bool
	}{
		"the address":        {"127.0.0.1", "127.0.0.1", true},
		"its network":        {"127.0.0.0/8", "127.0.0.1", true},
		"a name's address":   {"127.0.0.0/8", "localhost", true},
		"the name":           {"LocalHost.", "localhost", true},
		"the mapped address": {"::ffff:127.0.0.1", "127.0.0.1", true},
		"another address":    {"127.0.0.2", "127.0.0.1", false},
		"another network":    {"10.0.0.0/8", "127.0.0.1", false},
		"another name":       {"host", "localhost", false},
		"a part of a name":   {"local", "localhost", false},
		"a name only":        {"localhost", "127.0.0.1", false},
	} {
		transport := Transport(func() []string { return []string{"192.0.2.1", c.allow} })
		response, err := (&http.Client{Transport: transport}).Get("http://" + c.host + ":" + port + "/")
		if err == nil {
			response.Body.Close()
		}
		if (err == nil) != c.want || err != nil && !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", name, err)
		}
		transport.CloseIdleConnections()
	}
}

// A connection that is open already is no way around a list that changed.
func TestTakenOffTheList(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	var list atomic.Pointer[[]string]
	list.Store(&[]string{"127.0.0.1"})
	client := &http.Client{Transport: Transport(func() []string { return *list.Load() })}
	get := func() error {
		response, err := client.Get(server.URL)
		if err == nil {
			response.Body.Close()
		}
		return err
	}
	if err := get(); err != nil {
		t.Fatal(err)
	}
	list.Store(&[]string{})
	if err := get(); !errors.Is(err, ErrRefused) || reached.Load() != 1 {
		t.Errorf("%v, reached %d times", err, reached.Load())
	}
}

// A name that resolves to a public address for whoever looks first, and to this
// machine for the connection, reaches nothing.
func TestRebinding(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	var lookups atomic.Int32
	resolver := fakeDNS(t, func() [4]byte {
		if lookups.Add(1) == 1 {
			return [4]byte{93, 184, 216, 34}
		}
		return [4]byte{127, 0, 0, 1}
	})
	addresses, err := resolver.LookupHost(context.Background(), "rebind.example.com")
	if err != nil || strings.Join(addresses, " ") != "93.184.216.34" {
		t.Fatal(addresses, err)
	}
	_, err = (&http.Client{Transport: transport(checker{}, resolver)}).Get("http://rebind.example.com:" + port + "/")
	if !errors.Is(err, ErrRefused) || reached.Load() > 0 {
		t.Errorf("%v, reached %d times", err, reached.Load())
	}
}

// Redirects are followed by clients, with the same transport.
func TestRedirect(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	inner := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(inner.Close)
	outer := httptest.NewServer(http.RedirectHandler("http://127.0.0.1:"+port(inner)+"/", http.StatusTemporaryRedirect))
	t.Cleanup(outer.Close)
	allowOuter := func() []string { return []string{"localhost"} }
	_, err := (&http.Client{Transport: Transport(allowOuter)}).Get("http://localhost:" + port(outer) + "/")
	if !errors.Is(err, ErrRefused) || reached.Load() > 0 {
		t.Errorf("%v, reached %d times", err, reached.Load())
	}
}

// No proxy of the environment connects in the guard's place.
func TestNoProxy(t *testing.T) {
	var reached atomic.Int32
	proxy := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(proxy.Close)
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		t.Setenv(name, proxy.URL)
	}
	for _, transport := range []*http.Transport{Transport(nil), ListedTransport(nil)} {
		for _, url := range []string{"http://10.0.0.1/", "https://10.0.0.1/"} {
			if _, err := (&http.Client{Transport: transport}).Get(url); !errors.Is(err, ErrRefused) {
				t.Errorf("%s: %v", url, err)
			}
		}
	}
	if n := reached.Load(); n > 0 {
		t.Errorf("the proxy was asked %d times", n)
	}
}

// Connections are kept for one host and port each: a listed name lends none to
// another one at the same address.
func TestConnectionsAreOfOneHost(t *testing.T) {
	t.Parallel()
	var reached atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	client := &http.Client{Transport: Transport(func() []string { return []string{"localhost"} })}
	response, err := client.Get("http://localhost:" + port(server) + "/")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	request, err := http.NewRequest(http.MethodGet, "http://127.0.0.1:"+port(server)+"/", nil)
	if err != nil {
		t.Fatal(err)
	}
	request.Host = "localhost"
	if _, err := client.Do(request); !errors.Is(err, ErrRefused) || reached.Load() != 1 {
		t.Errorf("%v, reached %d times", err, reached.Load())
	}
}

func TestListedOnly(t *testing.T) {
	t.Parallel()
	check := checker{allow: func() []string { return []string{"10.0.0.0/8", "93.184.216.34", "hooks.example.com"} }, listedOnly: true}
	for _, c := range []struct {
		host, address string
		want          error
	}{
		{"10.1.2.3", "10.1.2.3:80", nil},
		{"93.184.216.34", "93.184.216.34:80", nil},
		{"hooks.example.com", "8.8.8.8:80", nil},
		{"example.com", "8.8.8.8:80", ErrNotListed},
		{"example.com", "192.168.0.1:80", ErrRefused},
		{"example.com", "[64:ff9b::a01:203]:80", ErrRefused}, // a listed address behind NAT64
	} {
		check.host = c.host
		if err := check.check(c.address); !errors.Is(err, c.want) {
			t.Errorf("%s at %s: %v", c.host, c.address, err)
		}
	}
}

func port(server *httptest.Server) string {
	_, port, _ := net.SplitHostPort(server.Listener.Addr().String())
	return port
}

// fakeDNS returns a resolver whose server answers every question for an A record
// with address, and all others with nothing.
func fakeDNS(t *testing.T, address func() [4]byte) *net.Resolver {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go func() {
		buffer := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(buffer)
			if err != nil {
				return
			}
			end := 12
			for buffer[end] != 0 {
				end += int(buffer[end]) + 1
			}
			end += 5 // the root label, type and class
			if n < end {
				continue
			}
			answer := append([]byte{}, buffer[:end]...)
			answer[2], answer[3] = 0x84, 0                    // an authoritative answer
			binary.BigEndian.PutUint32(answer[6:], 0)         // no answers
			binary.BigEndian.PutUint32(answer[8:], 0)         // nothing else
			if binary.BigEndian.Uint16(buffer[end-4:]) == 1 { // a question for an A record
				answer[7] = 1
				ip := address()
				answer = append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, ip[0], ip[1], ip[2], ip[3])
			}
			_, _ = conn.WriteTo(answer, from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}
