package audit

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	stars        = "******"
	starsChanged = stars + " (changed)"

	// maxText is the length in bytes that longer texts are cut to.
	maxText = 16 << 10
)

var (
	secretWords = []string{"password", "passwd", "passphrase", "secret", "token", "hash", "credential"}

	// keyWords make a secret of a "key" that follows them.
	keyWords = []string{"access", "api", "encryption", "master", "private", "signing"}

	// joinedSecrets are secrets' names written as one word.
	joinedSecrets = []string{"accesskey", "apikey", "authtoken", "clientsecret", "encryptionkey", "keyhash",
		"passwordhash", "privatekey", "secretkey", "signingkey", "tokenkey"}

	// plainWords end the name of something about a secret that is none itself: tokenURL.
	plainWords = []string{"url", "uri", "endpoint", "duration", "name", "field", "fields", "template", "type",
		"method", "length", "count", "enabled", "expires", "expiry"}
)

// mask returns both sides of a change with the values of secrets replaced by
// stars and long texts cut. Either side may be nil.
func mask(before, after any) (b, a any) {
	return maskValue(before, after, false), maskValue(after, before, true)
}

// maskValue returns a masked copy of v. Other is the same value on the other side of the change.
func maskValue(v, other any, isAfter bool) any {
	switch v := v.(type) {
	case map[string]any:
		others, _ := other.(map[string]any)
		masked := make(map[string]any, len(v))
		for name, member := range v {
			if hides(name, member) {
				masked[name] = starsFor(member, others[name], isAfter)
			} else {
				masked[name] = maskValue(member, others[name], isAfter)
			}
		}
		return masked
	case []any:
		others, _ := other.([]any)
		masked := make([]any, len(v))
		for i, element := range v {
			var counterpart any
			if i < len(others) {
				counterpart = others[i]
			}
			masked[i] = maskValue(element, counterpart, isAfter)
		}
		return masked
	case string:
		if len(v) > maxText {
			return fmt.Sprintf("%s… (cut from %d bytes)", cut(v, maxText), len(v))
		}
	}
	return v
}

func starsFor(v, other any, isAfter bool) string {
	if isAfter && other != nil && other != "" && !reflect.DeepEqual(v, other) {
		return starsChanged
	}
	return stars
}

// hides reports whether the member must not be shown. Settings about a secret
// are objects of several members (authToken: duration and secret): these are
// judged one by one, unless the name says that all of them are secrets.
func hides(name string, member any) bool {
	switch member := member.(type) {
	case nil, bool:
		return false
	case string:
		return member != "" && isSecret(name)
	case []any:
		return len(member) > 0 && isSecret(name)
	case map[string]any:
		return len(member) > 0 && strings.HasSuffix(strings.ToLower(name), "s") && isSecret(name)
	}
	return isSecret(name)
}

func isSecret(name string) bool {
	parts := words(name)
	if len(parts) == 0 || slices.Contains(plainWords, parts[len(parts)-1]) {
		return false
	}
	for i, word := range parts {
		if singular := strings.TrimSuffix(word, "s"); slices.Contains(secretWords, singular) || slices.Contains(joinedSecrets, word) {
			return true
		}
		// Not "keys": settings about API keys are no secret.
		if word == "key" && i > 0 && slices.Contains(keyWords, parts[i-1]) {
			return true
		}
	}
	return false
}

// words splits a name into its lower-case words: clientSecret, client_secret and APIKey have two.
func words(name string) []string {
	var parts []string
	var word []rune
	end := func() {
		if len(word) > 0 {
			parts = append(parts, strings.ToLower(string(word)))
			word = nil
		}
	}
	runes := []rune(name)
	for i, r := range runes {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			end()
			continue
		}
		startsWord := unicode.IsUpper(r) && i > 0 &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1]))
		if startsWord {
			end()
		}
		word = append(word, r)
	}
	end()
	return parts
}

// cut shortens text to at most limit bytes without splitting a character.
func cut(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	for limit > 0 && !utf8.RuneStart(text[limit]) {
		limit--
	}
	return text[:limit]
}
