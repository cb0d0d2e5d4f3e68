package access

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/pocketbase/pocketbase/core"
)

// claimedIPKey is where trustedProxies keeps the address that a request claimed
// before its headers were dropped; only CheckLockout wants to know.
const claimedIPKey = "picoClaimedIP"

// trustedProxies removes the headers that name a client's address from requests
// of peers that are not trusted to say so. PocketBase's RealIP believes them
// from anyone; after this, it is right for every middleware, rule and hook.
func (p *Plugin) trustedProxies(e *core.RequestEvent) error {
	headers := e.App.Settings().TrustedProxy.Headers
	if len(headers) == 0 || p.policy().trustsPeer(e) {
		return e.Next()
	}
	if claimed := e.RealIP(); claimed != e.RemoteIP() {
		e.Set(claimedIPKey, claimed)
	}
	for _, name := range headers {
		e.Request.Header.Del(name)
	}
	return e.Next()
}

// trustsPeer reports whether the peer may name the client's address. Without a
// list that is PocketBase's business alone.
func (c *policy) trustsPeer(e *core.RequestEvent) bool {
	return !c.proxiesListed || contains(c.proxies, parseAddr(e.RemoteIP()))
}

// addrUnder returns the address that the client of e would have if c were in
// force, which matters when a change concerns the trusted proxies themselves.
func (c *policy) addrUnder(e *core.RequestEvent) netip.Addr {
	if !c.trustsPeer(e) {
		return parseAddr(e.RemoteIP())
	}
	if claimed, ok := e.Get(claimedIPKey).(string); ok {
		return parseAddr(claimed)
	}
	return clientAddr(e)
}

// dropBatchedAddresses removes the same headers from the requests inside a
// batch: PocketBase lays their headers, which come from the client's JSON, over
// those of the outer request. No proxy ever writes there, so no peer is trusted.
func dropBatchedAddresses(e *core.BatchRequestEvent) error {
	trusted := e.App.Settings().TrustedProxy.Headers
	for _, inner := range e.Batch {
		for name := range inner.Headers {
			if slices.ContainsFunc(trusted, func(header string) bool { return strings.EqualFold(header, name) }) {
				delete(inner.Headers, name)
			}
		}
	}
	return e.Next()
}
