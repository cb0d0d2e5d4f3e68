package access

import (
	"net/netip"
	"slices"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// policy is a Settings in the form that requests need. It is never changed.
type policy struct {
	source *config.Settings

	cors corsPolicy

	// proxiesListed tells that only peers in proxies may name client addresses.
	// It does not follow from proxies: an unreadable list must trust nobody.
	proxiesListed bool
	proxies       []netip.Prefix

	allowlistOn bool
	allowed     []netip.Prefix

	limits limits
}

// policy returns the settings in force, compiled once for all requests. Two
// requests may compile a change at the same time, which harms nobody.
func (p *Plugin) policy() *policy {
	settings := p.cfg.Settings()
	if current := p.compiled.Load(); current != nil && current.source == settings {
		return current
	}
	next := p.compile(settings)
	p.compiled.Store(next)
	return next
}

func (p *Plugin) compile(settings *config.Settings) *policy {
	cors := settings.CORS
	if len(p.cfg.Origins) > 0 {
		cors.Origins = p.cfg.Origins
	}
	return &policy{
		source:        settings,
		cors:          compileCORS(cors),
		proxiesListed: len(settings.IPAllowlist.TrustedProxies) > 0,
		proxies:       compilePrefixes(settings.IPAllowlist.TrustedProxies),
		allowlistOn:   settings.IPAllowlist.Enabled,
		allowed:       compilePrefixes(settings.IPAllowlist.CIDRs),
		limits:        compileLimits(settings.RateLimits),
	}
}

// compilePrefixes reads a list that config has validated. Should an entry be
// broken all the same, it matches nothing.
func compilePrefixes(list []string) []netip.Prefix {
	prefixes := make([]netip.Prefix, 0, len(list))
	for _, entry := range list {
		prefix, err := config.ParsePrefix(entry)
		if err != nil {
			continue
		}
		// ::ffff:10.0.0.0/104 means 10.0.0.0/8; addresses are compared unmapped.
		if addr := prefix.Addr(); addr.Is4In6() && prefix.Bits() >= 96 {
			prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
		}
		prefixes = append(prefixes, prefix)
	}
	return prefixes
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(prefix netip.Prefix) bool { return prefix.Contains(addr) })
}

// parseAddr reads an address as PocketBase writes it. IPv4-mapped IPv6 is the
// IPv4 address that it stands for, and a zone is no part of who is calling:
// a prefix contains no address with a zone, and every zone would be a new
// client to the rate limits. Unreadable text gives the invalid address, which
// no prefix contains.
func parseAddr(text string) netip.Addr {
	addr, _ := netip.ParseAddr(text)
	return addr.Unmap().WithZone("")
}

// clientAddr returns the address of the client as far as it can be trusted.
func clientAddr(e *core.RequestEvent) netip.Addr { return parseAddr(e.RealIP()) }

// isProbe reports whether the request is one that monitors and orchestrators
// make. It asks which route was chosen, not what the path looks like: there
// are several ways to write a path.
func isProbe(e *core.RequestEvent) bool {
	switch e.Request.Pattern {
	case "GET " + httpapi.PathPrefix + "/health", "GET " + httpapi.PathPrefix + "/live", "GET " + httpapi.PathPrefix + "/ready":
		return true
	}
	return false
}

// isCommandLine reports whether the request was made on this machine's command line.
func isCommandLine(e *core.RequestEvent) bool {
	_, ok := httpapi.CommandLineUser(e.Request.Context())
	return ok
}
