package cli_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

// TestScripts runs the scripts in testdata/script: the real binary against one
// `picobase up` with its projects. Each has a home and a folder of its own.
//
//	exits CODE COMMAND…     runs it, and wants exactly that exit code
//	json NAME               the last output must be as testdata/schema/NAME.json says
//	jsonlines NAME [FILE]   so must each line of it, or of FILE, and there is one
//	setenv VARIABLE PATH    takes a value from the last output, as keys.secret or 0.id
//	approve FILE [refuse]   decides on the login whose page FILE names, once it does
//	mode OCTAL FILE         the permissions of a file
//	signup [FILE TEXT]      users sign up at the project $URL, one, or until FILE has TEXT
//	until FILE TEXT CMD…    runs the command again and again until FILE has TEXT
func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds the binary and runs a platform")
	}
	schemas, err := filepath.Abs(filepath.Join("testdata", "schema"))
	if err != nil {
		t.Fatal(err)
	}
	binary := build(t)
	fleet := startFleet(t, binary)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			http.Error(w, "not \x1b[31mtoday", http.StatusInternalServerError)
		}
	}))
	t.Cleanup(receiver.Close)
	// Every script runs in parallel, below a test that ends before the fleet does.
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(env *testscript.Env) error {
			home := filepath.Join(env.WorkDir, "home")
			env.Setenv("HOME", home)
			env.Setenv("XDG_CONFIG_HOME", filepath.Join(home, "config"))
			env.Setenv("CREDENTIALS", filepath.Join(home, "config", "picobase", "credentials.json"))
			env.Setenv("PATH", filepath.Dir(binary)+string(os.PathListSeparator)+os.Getenv("PATH"))
			env.Setenv("PLATFORM", fleet.URL)
			env.Setenv("TOKEN", fleet.Token)
			env.Setenv("APP", fleet.Project.URL)
			env.Setenv("SECRET", fleet.Project.Keys.Secret)
			env.Setenv("PUBLISHABLE", fleet.Project.Keys.Publishable)
			env.Setenv("NOWHERE", "http://127.0.0.1:1")
			env.Setenv("RECEIVER", receiver.URL) // of webhooks; it refuses those to /refuse
			return os.MkdirAll(home, 0o700)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":     exits,
			"json":      matchesSchema(schemas),
			"jsonlines": linesMatchSchema(schemas),
			"setenv":    setenv,
			"approve":   fleet.approve,
			"mode":      mode,
			"signup":    fleet.signUp,
			"until":     until,
		},
	})
}

// build makes the binary that the scripts run.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "picobase")
	out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags", "-s -w -X main.version=0.1.0", "-o", binary, "../..").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return binary
}

// fleet is a running `picobase up`, as its first run describes it.
type fleet struct {
	URL      string `json:"url"`
	Email    string `json:"email"`
	Password string `json:"password"`
	Token    string `json:"token"`
	Project  struct {
		URL  string `json:"url"`
		Keys struct {
			Publishable string `json:"publishable"`
			Secret      string `json:"secret"`
		} `json:"keys"`
	} `json:"project"`
}

func startFleet(t *testing.T, binary string) *fleet {
	t.Helper()
	dir := t.TempDir()
	address := freeAddress(t)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	command := exec.Command(binary, "up", "--dir", dir, "--http", address)
	command.Stdout, command.Stderr, command.Env = log, log, os.Environ()
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- command.Wait() }()
	t.Cleanup(func() {
		_ = command.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = command.Process.Kill()
			t.Error("the fleet does not stop")
		}
		if content, err := os.ReadFile(log.Name()); err == nil && t.Failed() {
			t.Logf("the fleet's log:\n%s", content)
		}
		_ = log.Close()
	})
	// It says that the first run is told once all of it is there.
	var first fleet
	deadline := time.After(time.Minute)
	for {
		content, err := os.ReadFile(log.Name())
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(content, []byte("This was made for a new folder")) {
			break
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the fleet ended: %v\n%s", err, content)
		case <-deadline:
			t.Fatalf("the fleet does not start\n%s", content)
		case <-time.After(20 * time.Millisecond):
		}
	}
	content, err := os.ReadFile(filepath.Join(dir, "first-run.json"))
	if err == nil {
		err = json.Unmarshal(content, &first)
	}
	if err != nil {
		t.Fatal(err)
	}
	return &first
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	return listener.Addr().String()
}

func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE COMMAND…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		var ended *exec.ExitError
		if !errors.As(err, &ended) {
			ts.Fatalf("%v", err)
		}
		got = ended.ExitCode()
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

func matchesSchema(folder string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: json NAME")
		}
		validate(ts, filepath.Join(folder, args[0]+".json"), ts.ReadFile("stdout"))
	}
}

func linesMatchSchema(folder string) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) < 1 || len(args) > 2 {
			ts.Fatalf("usage: jsonlines NAME [FILE]")
		}
		output := ts.ReadFile(append(args, "stdout")[1])
		if output == "" {
			ts.Fatalf("there is no line")
		}
		validate(ts, filepath.Join(folder, args[0]+".json"), strings.Split(strings.TrimSuffix(output, "\n"), "\n")...)
	}
}

// validate checks that each text is one JSON value as the schema says.
func validate(ts *testscript.TestScript, path string, texts ...string) {
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	schema, err := compiler.Compile(path)
	ts.Check(err)
	for _, text := range texts {
		value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
		if err == nil {
			err = schema.Validate(value)
		}
		if err != nil {
			ts.Fatalf("%v\nin %s", err, text)
		}
	}
}

func setenv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: setenv VARIABLE PATH")
	}
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &value))
	for part := range strings.SplitSeq(args[1], ".") {
		switch at := value.(type) {
		case map[string]any:
			value = at[part]
		case []any:
			i, err := strconv.Atoi(part)
			if err != nil || i >= len(at) {
				ts.Fatalf("there is no %s in %v", part, at)
			}
			value = at[i]
		}
	}
	ts.Setenv(args[0], fmt.Sprint(value))
}

// mode checks the permissions of a file.
func mode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: mode OCTAL FILE")
	}
	info, err := os.Stat(ts.MkAbs(args[1]))
	ts.Check(err)
	if got := fmt.Sprintf("%o", info.Mode().Perm()); got != args[0] {
		ts.Fatalf("%s has the mode %s, want %s", args[1], got, args[0])
	}
}

// until makes happen what a command in the background waits for.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 3 {
		ts.Fatalf("usage: until FILE TEXT COMMAND…")
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		_ = ts.Exec(args[2], args[3:]...) // its end is the script's to judge
		content, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(content), args[1]) {
			return
		}
	}
	ts.Fatalf("%s has no %q", args[0], args[1])
}

// approve does what a person does on the platform's page.
func (f *fleet) approve(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: approve FILE [refuse]")
	}
	code := ""
	for deadline := time.Now().Add(20 * time.Second); code == ""; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("%s names no page", args[0])
		}
		content, _ := os.ReadFile(ts.MkAbs(args[0]))
		if _, after, found := strings.Cut(string(content), "/device?code="); found && strings.Contains(after, "\n") {
			code, _, _ = strings.Cut(after, "\n")
		}
	}
	var signedIn struct {
		Token string `json:"token"`
	}
	ts.Check(post(f.URL+"/api/collections/users/auth-with-password", "", map[string]any{"identity": f.Email, "password": f.Password}, &signedIn))
	ts.Check(post(f.URL+"/api/platform/v1/device/approve", signedIn.Token, map[string]any{"userCode": code, "allow": len(args) == 1}, nil))
}

// signUp does what the app of a project does.
func (f *fleet) signUp(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 && len(args) != 2 {
		ts.Fatalf("usage: signup [FILE TEXT]")
	}
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		f.signUpOne(ts)
		if len(args) == 0 {
			return
		}
		content, err := os.ReadFile(ts.MkAbs(args[0]))
		if err == nil && strings.Contains(string(content), args[1]) {
			return
		}
	}
	ts.Fatalf("%s has no %q", args[0], args[1])
}

// signUpOne signs a user up. Not every resolver knows the names below localhost, so it
// goes to the fleet's address.
func (f *fleet) signUpOne(ts *testscript.TestScript) {
	project, err := url.Parse(ts.Getenv("URL"))
	ts.Check(err)
	body := fmt.Sprintf(`{"email":"%s@example.com","password":"correct horse","passwordConfirm":"correct horse"}`, rand.Text())
	request, err := http.NewRequest(http.MethodPost, f.URL+"/api/collections/users/records", strings.NewReader(body))
	ts.Check(err)
	request.Host = project.Host
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("X-API-Key", ts.Getenv("PUBLISHABLE"))
	response, err := http.DefaultClient.Do(request)
	ts.Check(err)
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		ts.Fatalf("the sign-up was answered %s", response.Status)
	}
}

func post(url, token string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", token)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= http.StatusMultipleChoices {
		return fmt.Errorf("%s: %s", url, response.Status)
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(response.Body).Decode(out)
}
