//go:build linux

package process

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
	"golang.org/x/sys/unix"
)

const patience = 20 * time.Second

// rig is a driver with one way to fail.
type rig struct {
	*testing.T
	*Driver
	ctx context.Context
	log *logText
}

func newRig(t *testing.T, cfg Config) *rig {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*patience)
	t.Cleanup(cancel)
	log := &logText{}
	cfg.Logger = slog.New(slog.NewTextHandler(log, nil))
	d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t, d, ctx, log}
	t.Cleanup(func() {
		if d.closed { // by the test, for another one that goes on
			return
		}
		all, err := d.List(context.Background())
		r.no(err)
		for _, status := range all {
			r.no(d.Delete(context.Background(), status.ID))
		}
		r.no(d.Close())
	})
	return r
}

func (r *rig) no(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) started(spec driver.Spec) driver.Status {
	r.Helper()
	r.no(r.Create(r.ctx, spec))
	r.no(r.Start(r.ctx, spec.ID))
	status, err := driver.WaitReady(r.ctx, r.Driver, spec.ID)
	r.no(err)
	return status
}

func (r *rig) is(id string) driver.Status {
	r.Helper()
	status, err := r.Status(r.ctx, id)
	r.no(err)
	return status
}

func (r *rig) until(id string, want driver.State) driver.Status {
	r.Helper()
	deadline := time.Now().Add(patience)
	for {
		status := r.is(id)
		if status.State == want {
			return status
		}
		if time.Now().After(deadline) {
			r.Fatalf("%+v is not %s", status, want)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

type who struct {
	Instance string
	PID, UID int
}

func get(t *testing.T, address, path string) (answer who, err error) {
	t.Helper()
	client, base, err := driver.Client(address)
	if err != nil {
		return who{}, err
	}
	defer client.CloseIdleConnections()
	response, err := client.Get(base + path)
	if err != nil {
		return who{}, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return who{}, errors.New(response.Status)
	}
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return who{}, err
	}
	return answer, json.Unmarshal(content, &answer)
}

func (r *rig) ask(address, path string) who {
	r.Helper()
	answer, err := get(r.T, address, path)
	r.no(err)
	return answer
}

// TestPlatform is no test: it is the platform that TestKilledPlatform kills.
func TestPlatform(t *testing.T) {
	dir := os.Getenv("PROCESS_TEST_DIR")
	if dir == "" {
		t.Skip("run by TestKilledPlatform")
	}
	d, err := Open(Config{Dir: dir, Binary: os.Getenv("PROCESS_TEST_BINARY"), StopTimeout: stopTimeout})
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	for _, id := range []string{"one", "two", "three"} {
		if err := d.Create(ctx, driver.Spec{ID: id}); err != nil {
			t.Fatal(err)
		}
		if err := d.Start(ctx, id); err != nil {
			t.Fatal(err)
		}
		// An end before this one, whose exit code must not be taken for the next.
		if _, err := driver.WaitReady(ctx, d, id); err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.Stop(ctx, id), d.Start(ctx, id)); err != nil {
			t.Fatal(err)
		}
		status, err := driver.WaitReady(ctx, d, id)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := get(t, status.URL, "/")
		if err != nil {
			t.Fatal(err)
		}
		_, _ = os.Stdout.WriteString(id + " " + answer.Instance + "\n")
	}
	_, _ = os.Stdout.WriteString("ready\n")
	select {} // until it is killed
}

func TestKilledPlatform(t *testing.T) {
	t.Parallel()
	dir, binary := openDir(t), buildFixture(t)
	platform := exec.Command(os.Args[0], "-test.run", "^TestPlatform$", "-test.v")
	platform.Env = append(os.Environ(), "PROCESS_TEST_DIR="+dir, "PROCESS_TEST_BINARY="+binary)
	out, err := platform.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := platform.Start(); err != nil {
		t.Fatal(err)
	}
	instances := map[string]string{}
	lines := bufio.NewScanner(out)
	for lines.Scan() && lines.Text() != "ready" {
		if fields := strings.Fields(lines.Text()); len(fields) == 2 {
			instances[fields[0]] = fields[1]
		}
	}
	if err := platform.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = platform.Wait() // killed

	// One ends while there is no platform.
	address := "unix://" + filepath.Join(dir, "three", "socket")
	if _, err := get(t, address, "/crash"); err == nil {
		t.Error("it answered while it crashed")
	}
	r := newRig(t, Config{Dir: dir, Binary: binary, StopTimeout: stopTimeout})
	if status := r.until("three", driver.Crashed); status.ExitCode != 3 || !strings.Contains(status.Message, "asked for it") {
		t.Errorf("%+v, want its exit code and last line", status)
	}
	pids := map[string]int{}
	for _, id := range []string{"one", "two"} {
		status := r.is(id)
		answer := r.ask(status.URL, "/")
		if status.State != driver.Running || answer.Instance != instances[id] {
			t.Errorf("%s is not as it was: %+v", id, status)
		}
		pids[id] = answer.PID
	}
	r.no(r.Stop(r.ctx, "one"))
	if status := r.is("one"); status.State != driver.Stopped || status.ExitCode != 0 {
		t.Errorf("after the stop: %+v", status)
	}
	r.no(syscall.Kill(pids["two"], syscall.SIGKILL))
	if status := r.until("two", driver.Crashed); status.ExitCode != -1 {
		t.Errorf("after it was killed: %+v", status)
	}
}

// storedState changes state.json of a tenant of a closed driver.
func storedState(t *testing.T, dir, id string, change func(*state)) {
	t.Helper()
	path := filepath.Join(dir, id, "state.json")
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var s state
	if err := json.Unmarshal(content, &s); err != nil {
		t.Fatal(err)
	}
	change(&s)
	if content, err = json.Marshal(s); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// A platform that dies between starting a tenant and writing that down.
func TestStartThatNobodyWroteDown(t *testing.T) {
	t.Parallel()
	for name, spoil := range map[string]func(path string) error{
		"starting": func(path string) error {
			return os.WriteFile(path, []byte(`{"state":"starting","exitCode":-1}`), 0o600)
		},
		"cut off": func(path string) error { return os.Truncate(path, 20) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout}
			first := newRig(t, cfg)
			running := first.ask(first.started(driver.Spec{ID: "one"}).URL, "/")
			first.no(first.Create(first.ctx, driver.Spec{ID: "two"}))
			first.no(first.Close())
			if err := spoil(filepath.Join(cfg.Dir, "one", "state.json")); err != nil {
				t.Fatal(err)
			}
			second := newRig(t, cfg)
			status := second.until("one", driver.Running)
			if got := second.ask(status.URL, "/"); got != running {
				t.Errorf("found %+v, want %+v", got, running)
			}
			second.no(second.Stop(second.ctx, "one"))
			if status := second.is("one"); status.ExitCode != 0 {
				t.Errorf("after the stop: %+v", status)
			}
		})
	}
}

// A process that has the id of one that is gone is left alone.
func TestReusedPID(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout}
	first := newRig(t, cfg)
	first.started(driver.Spec{ID: "one"})
	first.no(first.Stop(first.ctx, "one"))
	first.no(first.Close())
	other := exec.Command("sleep", "60")
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		_ = other.Wait() // killed below
		close(ended)
	}()
	t.Cleanup(func() {
		_ = other.Process.Kill()
		<-ended
	})
	storedState(t, cfg.Dir, "one", func(s *state) {
		s.State, s.Process = driver.Running, &identity{PID: other.Process.Pid, Started: 1, Boot: boot()}
	})
	second := newRig(t, cfg)
	second.until("one", driver.Crashed)
	second.no(second.Stop(second.ctx, "one"))
	second.no(second.Delete(second.ctx, "one"))
	select {
	case <-ended:
		t.Error("a stranger was killed")
	default:
	}
}

// After a restart of the machine nothing has crashed.
func TestRestartOfTheMachine(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout}
	first := newRig(t, cfg)
	first.started(driver.Spec{ID: "one"})
	first.no(first.Stop(first.ctx, "one"))
	first.no(first.Close())
	storedState(t, cfg.Dir, "one", func(s *state) {
		s.State, s.Process = driver.Running, &identity{PID: os.Getpid(), Started: 1, Boot: "before"}
	})
	second := newRig(t, cfg)
	if status := second.is("one"); status.State != driver.Stopped || status.ExitCode != 0 {
		t.Errorf("%+v, want stopped with the code that it left", status)
	}
}

func TestOneDriverOnly(t *testing.T) {
	t.Parallel()
	cfg := Config{Dir: openDir(t), Binary: buildFixture(t)}
	newRig(t, cfg)
	if _, err := Open(cfg); err == nil || !strings.Contains(err.Error(), "another platform") {
		t.Errorf("a second driver on the folder: %v", err)
	}
}

// ^C for the platform is sent to its whole session.
func TestOwnSession(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout})
	pid := r.ask(r.started(driver.Spec{ID: "one"}).URL, "/").PID
	session, err := unix.Getsid(pid)
	r.no(err)
	group, err := syscall.Getpgid(pid)
	r.no(err)
	if session != pid || group != pid {
		t.Errorf("session %d and group %d of %d", session, group, pid)
	}
}

func TestOwnUsers(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give users")
	}
	cfg := Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout}
	r := newRig(t, cfg)
	one, two := r.ask(r.started(driver.Spec{ID: "one"}).URL, "/"), r.ask(r.started(driver.Spec{ID: "two"}).URL, "/")
	if one.UID < defaultUIDBase || two.UID < defaultUIDBase || one.UID == two.UID {
		t.Fatalf("users %d and %d", one.UID, two.UID)
	}
	r.no(r.Create(r.ctx, driver.Spec{ID: "one", Name: "changed"}))
	r.no(r.Stop(r.ctx, "one"))
	if again := r.ask(r.started(driver.Spec{ID: "one"}).URL, "/"); again.UID != one.UID {
		t.Errorf("the user changed from %d to %d", one.UID, again.UID)
	}
	// What another tenant's user can open of this one.
	for _, path := range []string{"spec.json", "state.json", "log", "socket", "data", "data/starts", "run", "."} {
		test := exec.Command("/bin/sh", "-c", `test -r "$0" -o -w "$0"`, filepath.Join(cfg.Dir, "one", path))
		test.SysProcAttr = sessionOf(two.UID)
		test.Dir = "/"
		if err := test.Run(); err == nil {
			t.Errorf("%s can be used by another tenant", path)
		}
	}
	// A platform that gives no users runs it all the same, and the next one gives it its own again.
	r.no(r.Stop(r.ctx, "one"))
	r.no(r.Close())
	plain := cfg
	plain.UIDBase = -1
	r = newRig(t, plain)
	if shared := r.ask(r.started(driver.Spec{ID: "one"}).URL, "/"); shared.UID != 0 {
		t.Errorf("without users of their own it runs as %d", shared.UID)
	}
	r.no(r.Stop(r.ctx, "one"))
	r.no(r.Close())
	r = newRig(t, cfg)
	if again := r.ask(r.started(driver.Spec{ID: "one"}).URL, "/"); again.UID != one.UID {
		t.Errorf("the user changed from %d to %d", one.UID, again.UID)
	}
	// A deleted tenant's user is free for the next.
	r.no(r.Delete(r.ctx, "one"))
	if next := r.ask(r.started(driver.Spec{ID: "next"}).URL, "/"); next.UID != one.UID {
		t.Errorf("the next user is %d, want %d", next.UID, one.UID)
	}
}

// Without users of their own, it is said; with them asked for, it is an error.
func TestUsersThatReachNothing(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("only root can give users")
	}
	binary, closed := buildFixture(t), t.TempDir()
	if err := os.Chmod(closed, 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: filepath.Join(closed, "tenants"), Binary: binary, UIDBase: 71000}); err == nil || !strings.Contains(err.Error(), "chmod o+x") {
		t.Errorf("opened, or without advice: %v", err)
	}
	r := newRig(t, Config{Dir: filepath.Join(closed, "tenants"), Binary: binary, StopTimeout: stopTimeout})
	if uid := r.ask(r.started(driver.Spec{ID: "one"}).URL, "/").UID; uid != 0 || !strings.Contains(r.log.String(), "tenants run as root") {
		t.Errorf("user %d, log %s", uid, r.log)
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout})
	if !r.limits.memory() || !r.limits.cpu() {
		if !strings.Contains(r.log.String(), "limits of tenants are not enforced") {
			t.Error("nobody was told that there are no limits")
		}
		t.Skip("no control groups can be used here: " + r.log.String())
	}
	status := r.started(driver.Spec{ID: "one", Memory: 64 << 20, CPU: 0.5})
	pid := r.ask(status.URL, "/").PID
	groups, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cgroup")
	r.no(err)
	if strings.Count(string(groups), "/one\n") == 0 {
		t.Fatalf("the tenant is in the groups\n%s", groups)
	}
	if own, err := os.ReadFile("/proc/self/cgroup"); err != nil || strings.Contains(string(own), "/one\n") {
		t.Errorf("the platform is in the groups of the tenant: %v\n%s", err, own)
	}
	if quota := readAll(t, filepath.Join(r.limits.cpuDir, "one", "cpu.cfs_quota_us"), filepath.Join(r.limits.unified, "one", "cpu.max")); !strings.HasPrefix(quota, "50000") {
		t.Errorf("CPU quota %q", quota)
	}
	if _, err := get(t, status.URL, "/fill?mb=200"); err == nil {
		t.Error("200 MB within a limit of 64")
	}
	if status := r.until("one", driver.Crashed); status.ExitCode != -1 || !strings.Contains(status.Message, "out of memory") {
		t.Errorf("%+v", status)
	}
	// The limit goes with the spec.
	status = r.started(driver.Spec{ID: "one", Memory: 600 << 20})
	r.ask(status.URL, "/fill?mb=100")
	r.no(syscall.Kill(r.ask(status.URL, "/").PID, syscall.SIGKILL))
	if status := r.until("one", driver.Crashed); strings.Contains(status.Message, "out of memory") {
		t.Errorf("another end is taken for the last one's: %s", status.Message)
	}
	r.no(r.Delete(r.ctx, "one"))
	if _, err := os.Stat(filepath.Join(r.limits.memoryDir+r.limits.unified, "one")); !os.IsNotExist(err) {
		t.Errorf("the group is left: %v", err)
	}
}

// readAll returns the content of whichever file is there.
func readAll(t *testing.T, paths ...string) string {
	t.Helper()
	for _, path := range paths {
		if content, err := os.ReadFile(path); err == nil {
			return string(content)
		}
	}
	t.Fatalf("none of %q", paths)
	return ""
}

func TestCrashMessageHoldsNoSecret(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout})
	status := r.started(driver.Spec{ID: "one", Env: map[string]secret.String{"PASSWORD": secret.New("correct-horse")}})
	r.ask(status.URL, "/print?text=using+correct-horse+now")
	if _, err := get(t, status.URL, "/crash"); err == nil {
		t.Error("it answered while it crashed")
	}
	if message := r.until("one", driver.Crashed).Message; strings.Contains(message, "correct-horse") || !strings.Contains(message, "using ****** now") {
		t.Errorf("the message is %q", message)
	}
}

func TestLogRotation(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout, LogSize: 1000})
	status := r.started(driver.Spec{ID: "one"})
	ctx, cancel := context.WithTimeout(r.ctx, patience)
	defer cancel()
	followed, err := r.Logs(ctx, "one", driver.LogOptions{Tail: 1, Follow: true})
	r.no(err)
	defer followed.Close()
	lines := bufio.NewScanner(followed)
	const rounds = 5
	number := 0
	for range rounds {
		for range 20 {
			number++
			text := strings.Repeat("x", 60) + strconv.Itoa(number)
			r.ask(status.URL, "/print?text="+text)
			for lines.Scan() && lines.Text() != text {
			}
		}
		r.no(r.tenants["one"].rotateLog())
	}
	if lines.Err() != nil {
		t.Error(lines.Err())
	}
	for _, path := range r.tenants["one"].logFiles() {
		if info, err := os.Stat(path); err != nil || info.Size() > 2000 {
			t.Errorf("%s: %v %v", path, info, err)
		}
	}
	// Two older logs are kept, each as long as a round.
	reader, err := r.Logs(ctx, "one", driver.LogOptions{})
	r.no(err)
	content, err := io.ReadAll(reader)
	r.no(errors.Join(err, reader.Close()))
	if got := strings.Count(string(content), "\n"); got != 40 || !strings.HasSuffix(string(content), "x100\n") {
		t.Errorf("%d lines are kept, want the last 40", got)
	}
	// Another log is begun at a start, too, and tails go over the end of one.
	r.no(r.Stop(r.ctx, "one"))
	r.no(r.Start(r.ctx, "one"))
	reader, err = r.Logs(ctx, "one", driver.LogOptions{Tail: 30})
	r.no(err)
	content, err = io.ReadAll(reader)
	r.no(errors.Join(err, reader.Close()))
	if got := strings.Count(string(content), "\n"); got < 30 || !strings.Contains(string(content), "x100\n") {
		t.Errorf("the last 30 lines are %d: %s", got, content)
	}
}

// A tenant that prints as fast as it can must fill neither the disk twice nor keep
// the driver, whose List waits meanwhile.
func TestLogRotationKeepsNoMoreThanItShould(t *testing.T) {
	t.Parallel()
	const size = 1000
	r := newRig(t, Config{Dir: openDir(t), Binary: buildFixture(t), StopTimeout: stopTimeout, LogSize: size})
	r.started(driver.Spec{ID: "one"})
	one := r.tenants["one"]
	log, err := os.OpenFile(one.logFile(), os.O_APPEND|os.O_WRONLY, 0)
	r.no(err)
	_, err = log.WriteString(strings.Repeat("x", 100*size) + "the end\n")
	r.no(errors.Join(err, log.Close()))
	r.no(one.rotateLog())
	kept, err := os.ReadFile(one.logFile() + ".1")
	r.no(err)
	if len(kept) > 2*size || !strings.HasSuffix(string(kept), "the end\n") {
		t.Errorf("%d bytes are kept of a log of %d", len(kept), 100*size)
	}
}

func TestCutOffFolders(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	for _, path := range []string{"half", deletedPrefix + "old/data"} {
		if err := os.MkdirAll(filepath.Join(dir, path), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	r := newRig(t, Config{Dir: dir, Binary: buildFixture(t), StopTimeout: stopTimeout})
	if all, err := r.List(r.ctx); err != nil || len(all) != 0 {
		t.Errorf("listed %v %v", all, err)
	}
	if _, err := os.Stat(filepath.Join(dir, deletedPrefix+"old")); !os.IsNotExist(err) {
		t.Errorf("what was deleted is left: %v", err)
	}
	r.started(driver.Spec{ID: "half"})
}

func TestBinaryThatIsNone(t *testing.T) {
	t.Parallel()
	r := newRig(t, Config{Dir: openDir(t), Binary: "/nowhere/picobase", UIDBase: -1})
	r.no(r.Create(r.ctx, driver.Spec{ID: "one"}))
	if err := r.Start(r.ctx, "one"); err == nil {
		t.Error("started")
	}
	if status := r.is("one"); status.State != driver.Stopped {
		t.Errorf("%+v", status)
	}
}
