package router

import (
	"math/rand/v2"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

const headerRequestID = "X-Request-Id"

// claims are headers that say where a request came from. Who is no trusted proxy
// does not get to say that; what the router says, it sets itself.
var claims = []string{
	"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Port", "X-Forwarded-Prefix",
	"X-Forwarded-Server", "X-Forwarded-Ssl", "X-Forwarded-Scheme", "X-Forwarded-By", "X-Real-Ip", "X-Client-Ip", "X-Cluster-Client-Ip",
	"X-Original-Forwarded-For", "X-Original-Host", "X-Original-Url", "X-Rewrite-Url", "X-Host",
	"True-Client-Ip", "Cf-Connecting-Ip", "Cf-Connecting-Ipv6", "Fastly-Client-Ip", "Fly-Client-Ip",
}

// origin is the client's address and the scheme that it used.
func (r *Router) origin(req *http.Request) (client, scheme string) {
	scheme = "http"
	if req.TLS != nil {
		scheme = "https"
	}
	peer, err := netip.ParseAddrPort(req.RemoteAddr)
	if err != nil {
		return "", scheme // a socket, whose peer has no address
	}
	addr := peer.Addr().Unmap().WithZone("")
	if len(r.cfg.TrustedProxies) == 0 || !contains(r.cfg.TrustedProxies, addr) {
		return addr.String(), scheme
	}
	if claimed := req.Header["X-Forwarded-Proto"]; len(claimed) == 1 && (claimed[0] == "http" || claimed[0] == "https") {
		scheme = claimed[0]
	}
	return claimedClient(req.Header["X-Forwarded-For"], addr, r.cfg.TrustedProxies).String(), scheme
}

// claimedClient follows the list from its end, where the nearest proxy has
// written, up to the first address that is no proxy of ours: what stands before
// that one is hearsay.
func claimedClient(lists []string, peer netip.Addr, trusted []netip.Prefix) netip.Addr {
	client := peer
	entries := strings.Split(strings.Join(lists, ","), ",")
	for i := len(entries) - 1; i >= 0; i-- {
		text := strings.TrimSpace(entries[i])
		addr, err := netip.ParseAddr(text)
		if err != nil {
			withPort, portErr := netip.ParseAddrPort(text)
			if portErr != nil {
				return client
			}
			addr = withPort.Addr()
		}
		client = addr.Unmap().WithZone("")
		if !contains(trusted, client) {
			return client
		}
	}
	return client
}

func contains(networks []netip.Prefix, addr netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(addr) {
			return true
		}
	}
	return false
}

// requestID takes over the client's id when it is harmless in logs and headers,
// as tenants do, and makes one otherwise.
func requestID(req *http.Request) string {
	if values := req.Header[headerRequestID]; len(values) == 1 && validID(values[0]) {
		return values[0]
	}
	// Ids only tell requests apart, so they need not be unguessable.
	return strconv.FormatUint(rand.Uint64()|1<<63, 36) + strconv.FormatUint(rand.Uint64()|1<<63, 36)
}

func validID(id string) bool {
	if len(id) == 0 || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' && c != ':' {
			return false
		}
	}
	return true
}
