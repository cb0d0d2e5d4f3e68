package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// credentials are what login and link keep for this user of the machine.
type credentials struct {
	// Platform is the one that was signed in to last.
	Platform string `json:"platform,omitempty"`

	Platforms map[string]account `json:"platforms,omitempty"` // by URL
	Servers   map[string]string  `json:"servers,omitempty"`   // keys by URL
}

// account is a sign-in at a platform.
type account struct {
	Token   string `json:"token"`
	Email   string `json:"email"`
	Expires string `json:"expires,omitempty"` // RFC 3339, empty for never or unknown

	// Device says that login made the token, so that logout may revoke it.
	Device bool `json:"device,omitempty"`
}

// credentialsPath is where they are kept.
func credentialsPath() (string, error) {
	folder, err := os.UserConfigDir()
	return filepath.Join(folder, "picobase", "credentials.json"), err
}

// loadCredentials returns what is kept, which may be nothing.
func loadCredentials() (credentials, error) {
	var kept credentials
	path, err := credentialsPath()
	if err != nil {
		return kept, nil //nolint:nilerr // a user without a home, as in a container: nothing is kept
	}
	content, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return kept, nil
	}
	if err != nil {
		return kept, err
	}
	if err := json.Unmarshal(content, &kept); err != nil {
		return kept, &Error{Code: ExitFailed, Err: fmt.Errorf("%s: %w", path, err), Hint: "Delete the file and run picobase login again."}
	}
	return kept, nil
}

// save replaces the file as a whole. Only this user can read it.
func (c credentials) save() error {
	path, err := credentialsPath()
	if err != nil {
		return fmt.Errorf("keep the credentials: %w; without a home, set PICOBASE_TOKEN", err)
	}
	content, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return replaceFile(path, append(content, '\n'), 0o600)
}

// serverURL returns the URL of a server in the form by which it is kept.
func serverURL(text string) (string, error) {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.User != nil || parsed.RawQuery != "" {
		return "", Usage("%q is not the URL of a server: write it as https://api.example.com", text)
	}
	parsed.Host, parsed.Fragment = strings.ToLower(parsed.Host), ""
	return trimURL(parsed.String()), nil
}

func trimURL(text string) string { return strings.TrimRight(text, "/") }
