package router

import (
	"net/netip"
	"strings"

	"golang.org/x/net/idna"
)

const maxHost = 253

// NormalHost returns the one form in which the table knows a host: lower case,
// punycode, without port and trailing dot; an IPv6 address without brackets. It
// returns false for what is no host.
func NormalHost(hostport string) (string, bool) {
	if isNormal(hostport) {
		return hostport, true
	}
	host, ok := withoutPort(hostport)
	if !ok {
		return "", false
	}
	if strings.HasPrefix(host, "[") {
		addr, err := netip.ParseAddr(strings.Trim(host, "[]"))
		if err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", false
		}
		return addr.String(), true
	}
	host = strings.TrimSuffix(host, ".")
	if !isASCII(host) || strings.Contains(strings.ToLower(host), "xn--") {
		mapped, err := idna.Lookup.ToASCII(host)
		if err != nil {
			return "", false
		}
		// What was no dot before may be one now.
		host = strings.TrimSuffix(mapped, ".")
	}
	host = strings.ToLower(host)
	return host, isNormal(host)
}

// isNormal is for names of which nothing has to be changed, which are nearly all.
func isNormal(host string) bool {
	if host == "" || len(host) > maxHost || host[0] == '.' || host[len(host)-1] == '.' {
		return false
	}
	for i := range len(host) {
		c := host[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			// Of punycode there is more than one way to write a name.
			if c == 'x' && strings.HasPrefix(host[i:], "xn--") && !isPunycode(host) {
				return false
			}
		case c == '.' && host[i-1] != '.':
		default:
			return false
		}
	}
	return true
}

func isPunycode(host string) bool {
	mapped, err := idna.Lookup.ToASCII(host)
	return err == nil && mapped == host
}

// withoutPort cuts a port off, if one is there, and keeps brackets.
func withoutPort(hostport string) (host string, ok bool) {
	end := strings.LastIndexByte(hostport, ']')
	if end < 0 && strings.Count(hostport, ":") > 1 {
		return "", false // an IPv6 address needs its brackets
	}
	colon := strings.IndexByte(hostport[end+1:], ':')
	if colon < 0 {
		return hostport, end < 0 || end == len(hostport)-1
	}
	colon += end + 1
	if end >= 0 && colon != end+1 {
		return "", false
	}
	port := hostport[colon+1:]
	if len(port) > 5 || strings.Trim(port, "0123456789") != "" {
		return "", false
	}
	return hostport[:colon], true
}

func isASCII(text string) bool {
	for i := range len(text) {
		if text[i] >= 0x80 {
			return false
		}
	}
	return true
}
