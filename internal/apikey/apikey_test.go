package apikey

import (
	"hash/crc32"
	"regexp"
	"strings"
	"testing"
)

func TestGenerateParse(t *testing.T) {
	t.Parallel()
	for _, kind := range []Kind{Publishable, Secret} {
		raw, err := Generate(kind)
		if err != nil {
			t.Fatal(err)
		}
		if !regexp.MustCompile(`^pbk_(pub|sec)_[0-9A-Za-z]{38}$`).MatchString(raw) {
			t.Errorf("%s key has the form %q", kind, raw)
		}
		got, sum, ok := Parse(raw)
		if !ok || got != kind || sum == (Hash{}) {
			t.Errorf("parse of a new %s key = %q, %t", kind, got, ok)
		}
	}
}

// The format is public: others check keys with any CRC-32.
func TestChecksumIsCRC32(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "a", "pbk_sec_0123456789abcdefghijABCDEFGHIJ01"} {
		want := crc32.ChecksumIEEE([]byte(body))
		var got uint32
		for _, digit := range appendChecksum(nil, []byte(body)) {
			got = got*62 + uint32(strings.IndexByte(base62, digit))
		}
		if got != want {
			t.Errorf("%q: %x, want %x", body, got, want)
		}
	}
}

// Every single changed character must be noticed without asking the database.
func TestParseNoticesTypos(t *testing.T) {
	t.Parallel()
	raw, err := Generate(Secret)
	if err != nil {
		t.Fatal(err)
	}
	for i := range raw {
		for _, c := range []byte("0Zz_") {
			if raw[i] == c {
				continue
			}
			typo := raw[:i] + string(c) + raw[i+1:]
			if _, _, ok := Parse(typo); ok {
				t.Errorf("typo at %d accepted: %s", i, typo)
			}
		}
	}
	for _, broken := range []string{"", "pbk_", raw[:45], raw + "0", " " + raw, strings.ToUpper(raw), "pbk_pub_" + raw[8:]} {
		if _, _, ok := Parse(broken); ok {
			t.Errorf("accepted %q", broken)
		}
	}
}

func FuzzParse(f *testing.F) {
	valid, err := Generate(Publishable)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(valid)
	f.Add("pbk_sec_")
	f.Add(strings.Repeat("é", 23))
	f.Fuzz(func(t *testing.T, raw string) {
		kind, sum, ok := Parse(raw)
		if !ok {
			if kind != "" || sum != (Hash{}) {
				t.Errorf("refused key %q has kind %q", raw, kind)
			}
			return
		}
		if len(raw) != keyLen || !strings.HasPrefix(raw, kind.Prefix()) {
			t.Errorf("accepted %q as %s", raw, kind)
		}
	})
}
