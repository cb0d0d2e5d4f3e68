package router

import "testing"

func TestNormalHost(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"shop.example.com":              "shop.example.com",
		"SHOP.Example.COM":              "shop.example.com",
		"shop.example.com.":             "shop.example.com",
		"shop.example.com:8080":         "shop.example.com",
		"SHOP.example.com.:443":         "shop.example.com",
		"shop.example.com:":             "shop.example.com",
		"münchen.example.com":           "xn--mnchen-3ya.example.com",
		"MÜNCHEN.example.com":           "xn--mnchen-3ya.example.com",
		"mu\u0308nchen.example.com":     "xn--mnchen-3ya.example.com",
		"xn--mnchen-3ya.example.com":    "xn--mnchen-3ya.example.com",
		"XN--MNCHEN-3YA.example.com":    "xn--mnchen-3ya.example.com",
		"shop。example。com":              "shop.example.com",
		"\uff53\uff48op.example.com":    "shop.example.com",
		"a_b.example.com":               "a_b.example.com",
		"localhost":                     "localhost",
		"127.0.0.1:80":                  "127.0.0.1",
		"[2001:DB8::1]":                 "2001:db8::1",
		"[2001:db8:0:0:0:0:0:1]:443":    "2001:db8::1",
		"[::1]:8080":                    "::1",
		"":                              "",
		".":                             "",
		"..":                            "",
		"shop..example.com":             "",
		"shop.example.com..":            "",
		".example.com":                  "",
		"shop.example.com:port":         "",
		"shop.example.com:80:80":        "",
		"2001:db8::1":                   "",
		"[2001:db8::1":                  "",
		"[2001:db8::1]x":                "",
		"[2001:db8::1]x:80":             "",
		"[fe80::1%25eth0]":              "",
		"[127.0.0.1]":                   "",
		"user@shop.example.com":         "",
		"shop.example.com/":             "",
		"shop.example.com\x00":          "",
		"shop .example.com":             "",
		"shop%2eexample.com":            "",
		"xn--\x00.example.com":          "",
		"xn--a.example.com":             "",
		"2f746d70" + unixSuffix:         "",
		"2f746d702f736f636b.!unix:8080": "",
	} {
		if got, ok := NormalHost(given); got != want && ok || ok != (want != "") {
			t.Errorf("%q: %q %v, want %q", given, got, ok, want)
		}
	}
}

func FuzzNormalHost(f *testing.F) {
	for _, seed := range []string{"shop.example.com", "A.:1", "[::1]:2", "xn--mnchen-3ya", "ü.x", "foxn--a"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, given string) {
		normal, ok := NormalHost(given)
		if !ok {
			return
		}
		// A normal name is its own normal form, or one name could be two.
		switch again, ok := NormalHost(normal); {
		case normal == "" || len(normal) > maxHost:
			t.Errorf("%q is normal for %q", normal, given)
		case !ok && normal[0] != ':' && !isIPv6(normal), ok && again != normal:
			t.Errorf("%q became %q and then %q", given, normal, again)
		}
	})
}

func isIPv6(host string) bool {
	normal, ok := NormalHost("[" + host + "]")
	return ok && normal == host
}
