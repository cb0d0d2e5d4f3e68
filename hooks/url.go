package hooks

import (
	"net"
	"net/url"
	"strings"
)

// isListed reports whether the normalized URL target is one of the entries,
// which are exact URLs or end in "*". An entry that cannot be normalized
// matches nothing.
func isListed(target string, entries []string) bool {
	for _, entry := range entries {
		prefix, isPrefix := strings.CutSuffix(entry, "*")
		want, ok := normalize(prefix)
		switch {
		case !ok:
		case isPrefix && prefixIsSafe(prefix):
			if strings.HasPrefix(target, want) {
				return true
			}
		case !isPrefix && target == want:
			return true
		}
	}
	return false
}

// prefixIsSafe reports whether the host of a URL is complete: https://example.com
// is also how https://example.com.evil.net begins.
func prefixIsSafe(prefix string) bool {
	parsed, err := url.Parse(prefix)
	return err == nil && parsed.Path != ""
}

// normalize writes a URL in the one form in which two can be compared: scheme
// and host in lower case, no default port, "/" for no path. ok is false for
// whatever browsers and servers are known to read differently from here; no
// honest redirect URL looks like that.
func normalize(raw string) (normal string, ok bool) {
	for i := range len(raw) {
		// Browsers drop tabs and newlines, and read "\" as "/".
		if c := raw[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return "", false
		}
	}
	u, err := url.Parse(raw)
	// A fragment is forbidden by RFC 6749, 3.1.2.
	if err != nil || u.Scheme == "" || u.User != nil || strings.Contains(raw, "#") || !plainPath(u.EscapedPath()) {
		return "", false
	}
	u.Host = strings.ToLower(u.Host)
	if isWeb := u.Scheme == "http" || u.Scheme == "https"; isWeb {
		if u.Hostname() == "" || u.Opaque != "" {
			return "", false
		}
		u.Host = withoutDefaultPort(u)
		if u.Path == "" {
			u.Path = "/"
		}
	}
	return u.String(), true
}

// plainPath reports whether a path means the same to everyone: no dot segments,
// also not with the parameters that some servers cut off, no empty segments, and
// nothing encoded that would be a separator, a dot or a further encoding.
func plainPath(escaped string) bool {
	lower := strings.ToLower(escaped)
	for _, code := range []string{"%2e", "%2f", "%5c", "%25", "%3b", "%0", "%1", "%7f"} {
		if strings.Contains(lower, code) {
			return false
		}
	}
	for segment := range strings.SplitSeq(escaped, "/") {
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return false
		}
	}
	return !strings.Contains(escaped, "//")
}

func withoutDefaultPort(u *url.URL) string {
	host, port := u.Hostname(), u.Port()
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if port == "" || port == "80" && u.Scheme == "http" || port == "443" && u.Scheme == "https" {
		return host
	}
	return net.JoinHostPort(u.Hostname(), port)
}
