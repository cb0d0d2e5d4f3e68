// Package secret holds values that must never be printed.
//
// A String prints, formats and marshals as stars; only Reveal gives the value.
//
//	password, err := secret.FromEnv(os.LookupEnv, "PICOBASE_SUPERUSER_PASSWORD")
package secret

import (
	"fmt"
	"log/slog"
	"os"
	"strings"
)

const stars = "******"

// String is a secret text. Its zero value is "no secret".
type String struct{ value string }

// New wraps value.
func New(value string) String { return String{value: value} }

// Reveal returns the secret itself.
func (s String) Reveal() string { return s.value }

// IsZero reports whether there is no secret.
func (s String) IsZero() bool { return s.value == "" }

// String returns stars, or nothing for the zero value.
func (s String) String() string {
	if s.value == "" {
		return ""
	}
	return stars
}

// GoString keeps %#v from printing the value.
func (s String) GoString() string { return fmt.Sprintf("secret.String(%q)", s.String()) }

// LogValue keeps slog from printing the value.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText keeps encoders from writing the value.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// FromEnv reads the variable name through lookup (usually os.LookupEnv) or,
// when name+"_FILE" is set, the file that it names, with one trailing newline
// removed. Both set at once is an error, since one would silently win.
func FromEnv(lookup func(string) (string, bool), name string) (String, error) {
	value, _ := lookup(name)
	path, _ := lookup(name + "_FILE")
	switch {
	case value != "" && path != "":
		return String{}, fmt.Errorf("both %s and %s_FILE are set: keep one", name, name)
	case path == "":
		return New(value), nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return String{}, fmt.Errorf("%s_FILE: %w", name, err)
	}
	return New(strings.TrimSuffix(strings.TrimSuffix(string(content), "\n"), "\r")), nil
}
