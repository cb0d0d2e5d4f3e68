package apikey

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/picobase/picobase/internal/scope"
)

// Stored is what is kept of a key: enough to know it again, too little to use it.
type Stored struct {
	Kind     Kind     `json:"kind"`
	Hash     string   `json:"hash"` // SHA-256 of the key, in hexadecimal digits
	LastFour string   `json:"lastFour"`
	Label    string   `json:"label,omitempty"`
	Scopes   []string `json:"scopes,omitempty"` // of a secret key (default scope.Default)
}

// New makes a key and what to store of it. The key itself is nowhere else.
func New(kind Kind, label string, scopes []string) (key string, stored Stored, err error) {
	if key, err = Generate(kind); err != nil {
		return "", stored, err
	}
	_, sum, _ := Parse(key)
	stored = Stored{Kind: kind, Hash: hex.EncodeToString(sum[:]), LastFour: key[len(key)-4:], Label: label, Scopes: scopes}
	if err := stored.complete(); err != nil {
		return "", stored, err
	}
	return key, stored, nil
}

// maxLabel is how many characters of a label are stored.
const maxLabel = 100

// complete fills the defaults and reports what is wrong.
func (s *Stored) complete() error {
	if s.Kind != Publishable && s.Kind != Secret {
		return fmt.Errorf("kind: %q is neither %s nor %s", s.Kind, Publishable, Secret)
	}
	if raw, err := hex.DecodeString(s.Hash); err != nil || len(raw) != len(Hash{}) {
		return fmt.Errorf("hash: it is not %d bytes in hexadecimal digits", len(Hash{}))
	}
	if len(s.LastFour) != 4 {
		return errors.New("lastFour: it has not four characters")
	}
	if utf8.RuneCountInString(s.Label) > maxLabel {
		return fmt.Errorf("label: it is longer than %d characters", maxLabel)
	}
	if s.Kind == Secret && len(s.Scopes) == 0 {
		s.Scopes = []string{scope.Default}
	}
	if s.Kind == Publishable && len(s.Scopes) > 0 {
		return errors.New("scopes: a publishable key has none")
	}
	_, err := scope.Parse(s.Scopes)
	return err
}

// Format writes keys as ParseStored reads them: one line of JSON.
func Format(keys []Stored) (string, error) {
	raw, err := json.Marshal(keys)
	return string(raw), err
}

// ParseStored reads and checks the keys that a new project is to have.
func ParseStored(text string) ([]Stored, error) {
	var keys []Stored
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&keys); err != nil {
		return nil, fmt.Errorf("it is not a JSON list of keys: %w", err)
	}
	if decoder.More() {
		return nil, errors.New("it is not a JSON list of keys: more follows it")
	}
	seen := map[string]bool{}
	for i := range keys {
		if err := keys[i].complete(); err != nil {
			return nil, fmt.Errorf("key %d: %w", i+1, err)
		}
		if seen[keys[i].Hash] {
			return nil, fmt.Errorf("key %d: it is there twice", i+1)
		}
		seen[keys[i].Hash] = true
	}
	return keys, nil
}
