package guard

import "net/netip"

// The special-purpose networks of IANA's registries, and the addresses of cloud
// providers' metadata that lie in public ones.
var (
	privateIPv4 = prefixes(
		"0.0.0.0/8",        // this network
		"10.0.0.0/8",       // private
		"100.64.0.0/10",    // behind a carrier's NAT; Alibaba's metadata
		"127.0.0.0/8",      // loopback
		"168.63.129.16/32", // Azure's metadata
		"169.254.0.0/16",   // link-local; the metadata of most clouds
		"172.16.0.0/12",    // private
		"192.0.0.0/24",     // IETF; Oracle's metadata
		"192.0.2.0/24",     // documentation
		"192.88.99.0/24",   // 6to4 relays
		"192.168.0.0/16",   // private
		"198.18.0.0/15",    // benchmarks
		"198.51.100.0/24",  // documentation
		"203.0.113.0/24",   // documentation
		"224.0.0.0/4",      // multicast
		"240.0.0.0/4",      // reserved, and broadcast
	)

	// publicIPv6 is all that is routed; loopback, link-local, site-local, private
	// (fc00::/7) and multicast addresses lie outside of it.
	publicIPv6 = netip.MustParsePrefix("2000::/3")

	privateIPv6 = prefixes(
		"2001::/23",     // IETF, with Teredo tunnels
		"2001:db8::/32", // documentation
		"3fff::/20",     // documentation
		"5f00::/16",     // segment routing
	)

	// What translates to IPv4 is judged by the address inside.
	nat64  = netip.MustParsePrefix("64:ff9b::/96")
	sixTo4 = netip.MustParsePrefix("2002::/16")
)

func prefixes(list ...string) (parsed []netip.Prefix) {
	for _, text := range list {
		parsed = append(parsed, netip.MustParsePrefix(text))
	}
	return parsed
}

// IsPublic reports whether addr is one of the public internet.
func IsPublic(addr netip.Addr) bool {
	if addr.Zone() != "" || !addr.IsValid() {
		return false
	}
	addr = addr.Unmap()
	if addr.Is4() {
		return !within(privateIPv4, addr)
	}
	bytes := addr.As16()
	switch {
	case nat64.Contains(addr):
		return IsPublic(netip.AddrFrom4([4]byte(bytes[12:])))
	case sixTo4.Contains(addr):
		return IsPublic(netip.AddrFrom4([4]byte(bytes[2:6])))
	}
	return publicIPv6.Contains(addr) && !within(privateIPv6, addr)
}

func within(list []netip.Prefix, addr netip.Addr) bool {
	for _, prefix := range list {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
