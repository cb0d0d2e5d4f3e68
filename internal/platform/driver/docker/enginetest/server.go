package enginetest

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

// BuildPicoBase builds the real program, static, and returns its path.
func BuildPicoBase(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "picobase")
	//nolint:gosec,noctx // the path is the test's own
	build := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path, "github.com/picobase/picobase")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build picobase: %v\n%s", err, out)
	}
	return path
}

// Eventually polls until it happened.
func Eventually(t *testing.T, what string, happened func() bool) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for !happened() {
		if time.Now().After(deadline) {
			t.Fatalf("%s did not happen within %v", what, Patience)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

const email, password = "ada@example.com", "a long password"

// Superuser is the environment that makes the first one.
func Superuser() map[string]secret.String {
	return map[string]secret.String{
		"PICOBASE_SUPERUSER_EMAIL": secret.New(email), "PICOBASE_SUPERUSER_PASSWORD": secret.New(password),
	}
}

// Server is a tenant of the real program.
type Server struct {
	URL, Key string
	token    string
}

var keyPattern = regexp.MustCompile(`pbk_sec_[0-9A-Za-z]+`)

// FirstKey finds the secret key that the first start prints.
func FirstKey(t *testing.T, d driver.Driver, id string) (key string) {
	t.Helper()
	Eventually(t, "a first key in the log", func() bool {
		log, err := d.Logs(t.Context(), id, driver.LogOptions{})
		if err != nil {
			t.Fatal(err)
		}
		defer log.Close()
		content, err := io.ReadAll(log)
		if err != nil {
			t.Fatal(err)
		}
		key = keyPattern.FindString(string(content))
		return key != ""
	})
	return key
}

// AddUser writes a record and returns its id.
func (s Server) AddUser(t *testing.T) string {
	t.Helper()
	body := s.ask(t, http.MethodPost, "/api/collections/users/records", map[string]string{
		"email": email, "password": password, "passwordConfirm": password,
	})
	var record struct{ ID string }
	if err := json.Unmarshal(body, &record); err != nil || record.ID == "" {
		t.Fatalf("no record: %v %s", err, body)
	}
	return record.ID
}

// HasUser checks that the record is there.
func (s Server) HasUser(t *testing.T, id string) {
	t.Helper()
	s.ask(t, http.MethodGet, "/api/collections/users/records/"+id, nil)
}

// Metric reads one number, as the Superuser.
func (s Server) Metric(t *testing.T, name string) float64 {
	t.Helper()
	var login struct{ Token string }
	body := s.ask(t, http.MethodPost, "/api/collections/_superusers/auth-with-password", map[string]string{"identity": email, "password": password})
	if err := json.Unmarshal(body, &login); err != nil {
		t.Fatal(err)
	}
	s.token = login.Token
	for line := range strings.Lines(string(s.ask(t, http.MethodGet, "/metrics", nil))) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			number, err := strconv.ParseFloat(strings.TrimSpace(value), 64)
			if err != nil {
				t.Fatal(err)
			}
			return number
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func (s Server) ask(t *testing.T, method, path string, body map[string]string) []byte {
	t.Helper()
	encoded, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), method, s.URL+path, bytes.NewReader(encoded))
	if err != nil {
		t.Fatal(err)
	}
	if s.token != "" {
		request.Header.Set("Authorization", s.token)
	} else {
		request.Header.Set("X-API-Key", s.Key)
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s: %v %s", method, path, response.Status, err, content)
	}
	return content
}
