package apikey

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

func TestStored(t *testing.T) {
	t.Parallel()
	raw, secret, err := New(Secret, "first secret key", nil)
	if err != nil {
		t.Fatal(err)
	}
	_, sum, ok := Parse(raw)
	if !ok || secret.Hash != hex.EncodeToString(sum[:]) || !strings.HasSuffix(raw, secret.LastFour) || !slices.Equal(secret.Scopes, []string{"records:*"}) {
		t.Errorf("stored %+v", secret)
	}
	_, publishable, err := New(Publishable, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := Format([]Stored{publishable, secret})
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(text, raw[len(SecretPrefix):]) || strings.Contains(text, "\n") {
		t.Errorf("written as %s", text)
	}
	got, err := ParseStored(text)
	if err != nil || len(got) != 2 || got[0].Hash != publishable.Hash || got[1].Label != secret.Label {
		t.Errorf("read %+v, %v", got, err)
	}
}

func TestParseStoredRefuses(t *testing.T) {
	t.Parallel()
	_, good, err := New(Publishable, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*Stored){
		"kind": func(s *Stored) { s.Kind = "other" }, "hash": func(s *Stored) { s.Hash = s.Hash[2:] },
		"lastFour": func(s *Stored) { s.LastFour = "" }, "publishable key has none": func(s *Stored) { s.Scopes = []string{"*"} },
		"nonsense": func(s *Stored) { s.Kind, s.Scopes = Secret, []string{"nonsense"} }, "label": func(s *Stored) { s.Label = strings.Repeat("x", 101) },
	} {
		bad := good
		change(&bad)
		text, err := Format([]Stored{bad})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := ParseStored(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	twice, err := Format([]Stored{good, good})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{"", "{}", "[", "[] []", `[{"key":"x"}]`, twice} {
		if _, err := ParseStored(text); err == nil {
			t.Errorf("accepted %s", text)
		}
	}
}
