package sealed

import (
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	t.Parallel()
	own, _, err := NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	// Derived once and for all: a change would lock everybody out of their backups.
	const derived = "AGE-SECRET-KEY-1VU29GXNEYUD8LGVWEN3V9PKQKYE9SZEFL3QJ0Y2S50CJ05DD6X8SZT5CWK"
	for _, c := range []struct {
		key, want string
		ok        bool
	}{
		{own, own, true},
		{" " + own + "\n", own, true},
		{strings.Repeat("0123456789abcdef", 4), derived, true},
		{strings.Repeat("k", 31), "", false},
		{"", "", false},
		{"AGE-SECRET-KEY-1NONSENSE", "", false},
	} {
		got, err := ParseKey(c.key)
		if (err == nil) != c.ok || c.ok && got != c.want {
			t.Errorf("%q: %q, %v", c.key, got, err)
			continue
		}
		if c.ok {
			if _, err := parse(got); err != nil {
				t.Errorf("%q is no identity: %v", got, err)
			}
		}
	}
}
