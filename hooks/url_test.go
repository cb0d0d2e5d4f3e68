package hooks

import "testing"

func TestIsListed(t *testing.T) {
	t.Parallel()
	list := []string{
		"https://app.example.com/*",
		"https://narrow.example.com/auth/*",
		"https://start.example.com/cb*",
		"https://exact.example.com/cb",
		"https://bare.example.com",
		"http://localhost:3000/cb",
		"https://[2001:db8::1]/cb",
		"com.example.app://callback",
		// None of these may ever match.
		"https://open.example.com*", "https://user@who.example.com/*", "*", "", "%zz", "https://frag.example.com/#*",
	}
	for url, want := range map[string]bool{
		"https://app.example.com/":                     true,
		"https://app.example.com":                      true,
		"https://APP.example.com:443/x":                true,
		"https://app.example.com/a%20b":                true,
		"https://app.example.com/?next=../%2f%2fevil":  true, // a query is the app's own business
		"https://narrow.example.com/auth/cb":           true,
		"https://start.example.com/cb-2":               true,
		"https://exact.example.com/cb":                 true,
		"https://bare.example.com/":                    true,
		"http://LOCALHOST:3000/cb":                     true,
		"https://[2001:DB8::1]:443/cb":                 true,
		"com.example.app://callback":                   true,
		"https://app.example.com:/":                    true,
		"http://app.example.com/":                      false,
		"https://app.example.com:8443/":                false,
		"https://app.example.com.evil.net":             false,
		"https://app.example.com.evil.net/":            false,
		"https://app.example.com./":                    false,
		"https://app.example.com@evil.net":             false,
		"https://app.example.com@evil.net/":            false,
		"https://app.example.com:443@evil.net/":        false,
		"https://evil.net@app.example.com/":            false,
		"https://@app.example.com/":                    false,
		"https://app.example.com%2eevil.net/":          false,
		"https://app.example.com%40evil.net/":          false,
		"https://app.example.com%2f@evil.net/":         false,
		`https://app.example.com\.evil.net/`:           false,
		`https://app.example.com\@evil.net/`:           false,
		`https://evil.net\@app.example.com/`:           false,
		`https:\\app.example.com\`:                     false,
		`https://app.example.com/\evil.net`:            false,
		"https:app.example.com/":                       false,
		"https:/app.example.com/":                      false,
		"https:///app.example.com/":                    false,
		"//app.example.com/":                           false,
		"app.example.com/":                             false,
		" https://app.example.com/":                    false,
		"https://app.example.com/\t":                   false,
		"https://app.example.com/\n":                   false,
		"ht\ntps://app.example.com/":                   false,
		"https://app.example.com/#x":                   false,
		"https://evil.net/#https://app.example.com/":   false,
		"https://evil.net/?https://app.example.com/":   false,
		"https://evil.net/https://app.example.com/":    false,
		"https://app.example.com//evil.net":            false,
		"https://app.example.com/..":                   false,
		"https://app.example.com/%0d%0aLocation:":      false,
		"https://app.example.com/%00":                  false,
		"https://narrow.example.com/auth/../admin":     false,
		"https://narrow.example.com/auth/..":           false,
		"https://narrow.example.com/auth/./x":          false,
		"https://narrow.example.com/auth/..;/admin":    false,
		"https://narrow.example.com/auth/%2e%2e/admin": false,
		"https://narrow.example.com/auth/.%2E/admin":   false,
		"https://narrow.example.com/auth/..%2fadmin":   false,
		"https://narrow.example.com/auth/..%5cadmin":   false,
		"https://narrow.example.com/auth/%252e%252e/":  false,
		"https://narrow.example.com/auth%2fx":          false,
		"https://narrow.example.com/Auth/x":            false,
		"https://narrow.example.com/auth":              false,
		"https://narrow.example.com/authx":             false,
		"https://exact.example.com/x/../cb":            false,
		"https://exact.example.com/c%62":               false,
		"https://exact.example.com/cb/":                false,
		"https://ехact.example.com/cb":                 false, // Cyrillic
		"https://app.example.com。/":                    false,
		"https://ａpp.example.com/":                     false,
		"javascript://app.example.com/%0aalert(1)":     false,
		"com.example.app://callback.evil":              false,
		"com.example.app:callback":                     false,
		"https://open.example.com.evil.net/":           false,
		"https://open.example.com/":                    false,
		"https://user@who.example.com/":                false,
		"https://who.example.com/":                     false,
		"https://frag.example.com/":                    false,
		"https://anything.example.net/":                false,
		"*":                                            false,
		"":                                             false,
	} {
		target, ok := normalize(url)
		if got := ok && isListed(target, list); got != want {
			t.Errorf("%q (normalized %q): allowed = %v, want %v", url, target, got, want)
		}
	}
}

// FuzzNormalize checks that the normal form is one: normalizing it again, as
// happens to entries, changes nothing.
func FuzzNormalize(f *testing.F) {
	for _, seed := range []string{"https://App.example.com:443", "com.app:/x", "a://B/c?d", "http://[::1]:80/", "x:y"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		once, ok := normalize(raw)
		if !ok {
			return
		}
		if twice, ok := normalize(once); !ok || twice != once {
			t.Errorf("%q → %q → %q, %v", raw, once, twice, ok)
		}
	})
}
