package usage

import (
	"net/url"
	"strings"
)

const redactedValue = "REDACTED"

// redactQuery replaces the value of every parameter named token, also when the
// name is percent-encoded. The rest stays byte for byte.
func redactQuery(query string) string {
	if !hasToken(query) {
		return query
	}
	var redacted strings.Builder
	for i, pair := range strings.Split(query, "&") {
		if i > 0 {
			redacted.WriteByte('&')
		}
		if name, _, _ := strings.Cut(pair, "="); isToken(name) {
			pair = name + "=" + redactedValue
		}
		redacted.WriteString(pair)
	}
	return redacted.String()
}

func hasToken(query string) bool {
	for query != "" {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if name, _, _ := strings.Cut(pair, "="); isToken(name) {
			return true
		}
	}
	return false
}

func isToken(name string) bool {
	if strings.Contains(name, "%") {
		if decoded, err := url.QueryUnescape(name); err == nil {
			name = decoded
		}
	}
	return strings.EqualFold(name, "token")
}
