package usage

import "testing"

func TestRedactQuery(t *testing.T) {
	t.Parallel()
	cases := map[string]string{
		"":                          "",
		"page=1&filter=token%3D1":   "page=1&filter=token%3D1",
		"token=secret":              "token=REDACTED",
		"a=1&token=secret&b=%20":    "a=1&token=REDACTED&b=%20",
		"token=one&token=two":       "token=REDACTED&token=REDACTED",
		"Token=secret":              "Token=REDACTED",
		"%74oken=secret":            "%74oken=REDACTED",
		"tokens=public&mytoken=too": "tokens=public&mytoken=too",
		"token":                     "token=REDACTED",
		"%zz=1&token=secret":        "%zz=1&token=REDACTED",
	}
	for query, want := range cases {
		if got := redactQuery(query); got != want {
			t.Errorf("redactQuery(%q) = %q, want %q", query, got, want)
		}
	}
}
