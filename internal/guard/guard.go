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

// ErrRefused says that an address may not be connected to.
var ErrRefused = errors.New("the address is not a public one")

const (
	dialTimeout = 10 * time.Second
	idleTimeout = 30 * time.Second
)

// Transport returns a transport that connects to public addresses, and to those
// that allow lists: host names, addresses or networks. A listed name may have any
// address. It goes through no proxy, which would connect in its place. Allow is
// called for every connection; nil allows nothing more.
func Transport(allow func() []string) *http.Transport {
	return transport(allow, nil)
}

// transport takes the resolver too (nil for the system's), for tests.
func transport(allow func() []string, resolver *net.Resolver) *http.Transport {
	if allow == nil {
		allow = func() []string { return nil }
	}
	return &http.Transport{
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			host, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			check := checker{list: allow(), host: host}
			dialer := net.Dialer{Timeout: dialTimeout, Resolver: resolver, Control: check.control}
			return dialer.DialContext(ctx, network, address)
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
	list []string
	host string
}

// control is called by the dialer with each address that it is about to connect to.
func (c checker) control(network, address string, _ syscall.RawConn) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil || !strings.HasPrefix(network, "tcp") {
		return fmt.Errorf("%w: %s %s", ErrRefused, network, address)
	}
	if addr := parsed.Addr(); !IsPublic(addr) && !listed(c.list, c.host, addr) {
		return fmt.Errorf("%w: %s is %s", ErrRefused, c.host, addr)
	}
	return nil
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
