// Package guard keeps requests that strangers can aim (webhooks, hooks' own
// HTTP calls) out of the network that this server is in: it refuses to connect
// to addresses that are not of the public internet.
//
// The check comes at the moment of connecting, on the address itself, so that
// neither a name that resolves otherwise the second time nor a redirect gets
// around it. It does not judge URLs, and it does not filter what comes back.
//
//	client := &http.Client{Transport: guard.Transport(func() []string { return settings().AllowedPrivateHosts })}
//	_, err := client.Get("http://169.254.169.254/") // errors.Is(err, guard.ErrRefused)
package guard

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"time"
)

// The reasons why an address may not be connected to.
var (
	ErrRefused   = errors.New("the address is not a public one")
	ErrNotListed = errors.New("the address is not a listed one")
)

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 30 * time.Second
)

// Transport returns a transport that connects to public addresses, and to those
// that allow lists: host names, addresses or networks. A listed name may have any
// address. It goes through no proxy, which would connect in its place. Allow is
// called for every connection and whenever one is used; nil allows nothing more.
func Transport(allow func() []string) *http.Transport {
	return transport(checker{allow: allow}, nil)
}

// ListedTransport returns a transport as Transport does, but one that connects to
// nothing else than what allow lists.
func ListedTransport(allow func() []string) *http.Transport {
	return transport(checker{allow: allow, listedOnly: true}, nil)
}

// transport takes the resolver too (nil for the system's), for tests.
func transport(check checker, resolver *net.Resolver) *http.Transport {
	if check.allow == nil {
		check.allow = func() []string { return nil }
	}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			check := check
			check.host = host
			dialer := net.Dialer{Timeout: dialTimeout, Resolver: resolver, Control: check.control}
			conn, err := dialer.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			return watched{conn, check}, nil
		},
		TLSHandshakeTimeout:    dialTimeout,
		IdleConnTimeout:        idleTimeout,
		MaxIdleConnsPerHost:    4,
		MaxIdleConns:           64,
		MaxResponseHeaderBytes: 64 << 10,
		DisableCompression:     true, // a small body may unpack to a huge one
		ForceAttemptHTTP2:      true,
	}
}

// checker judges the connections to one host.
type checker struct {
	allow      func() []string
	listedOnly bool
	host       string
}

// control is called by the dialer with each address that it is about to connect to.
func (c checker) control(_, address string, _ syscall.RawConn) error { return c.check(address) }

func (c checker) check(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrRefused, address)
	}
	addr := parsed.Addr()
	public := IsPublic(addr)
	switch {
	case public && !c.listedOnly, listed(c.allow(), c.host, addr):
		return nil
	case public:
		return fmt.Errorf("%w: %s is %s", ErrNotListed, c.host, addr)
	}
	return fmt.Errorf("%w: %s is %s", ErrRefused, c.host, addr)
}

// watched is a connection that is kept for further requests: what is taken off
// the list meanwhile gets none of them.
type watched struct {
	net.Conn
	checker
}

// Write implements [net.Conn].
func (w watched) Write(data []byte) (int, error) {
	if err := w.check(w.RemoteAddr().String()); err != nil {
		return 0, err
	}
	return w.Conn.Write(data)
}

// listed reports whether the list names the host, or the address.
func listed(list []string, host string, addr netip.Addr) bool {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	addr = addr.Unmap().WithZone("")
	for _, entry := range list {
		if prefix, err := parse(entry); err == nil {
			if prefix.Contains(addr) {
				return true
			}
			continue
		}
		if strings.TrimSuffix(strings.ToLower(entry), ".") == host {
			return true
		}
	}
	return false
}

// parse reads an address or a network.
func parse(text string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		addr = addr.Unmap().WithZone("")
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(text)
	return prefix.Masked(), err
}
