package railwaytest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
)

// Statuses of a deployment.
const (
	initializing = "INITIALIZING"
	building     = "BUILDING"
	deploying    = "DEPLOYING"
	success      = "SUCCESS"
	failed       = "FAILED"
	crashed      = "CRASHED"
	removing     = "REMOVING"
	removed      = "REMOVED"
	sleeping     = "SLEEPING"
)

// deployment is one run of a service, with what was set when it began.
type deployment struct {
	id         string
	made, at   time.Time
	status     string
	exited     bool
	ending     bool // somebody asked for its end
	asleep     bool
	process    *os.Process
	logs       []line
	events     []object
	cancel     context.CancelFunc
	drain      time.Duration
	lastLogged time.Time
}

type line struct {
	at   time.Time
	text string
}

func (l line) object() object {
	return object{
		"timestamp": l.at.Format(time.RFC3339Nano), "message": l.text, "severity": "info",
		"attributes": []object{{"key": "level", "value": `"info"`}},
	}
}

func (d *deployment) object() object {
	format := func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
	return object{
		"id": d.id, "status": d.status, "createdAt": format(d.made), "statusUpdatedAt": format(d.at),
		"deploymentStopped": d.exited,
	}
}

func (d *deployment) set(status string) { d.status, d.at = status, time.Now() }

// early reports whether it is not placed yet.
func (d *deployment) early() bool { return d.status == initializing || d.status == building }

func (d *deployment) kill() {
	d.cancel()
	if d.process != nil {
		_ = d.process.Kill() // it may have ended
	}
}

// deploy begins a new run. The one before ends first: a service with a volume has
// only one. The server is locked.
func (s *Server) deploy(of *service) *deployment {
	ctx, cancel := context.WithCancel(s.life)
	draining, _ := number(of.settings["drainingSeconds"])
	run := &deployment{
		id: uuid.NewString(), made: time.Now(), status: initializing, at: time.Now(), cancel: cancel, drain: time.Duration(draining) * time.Second,
	}
	for _, before := range of.runs {
		s.end(before)
	}
	before := slices.Clone(of.runs)
	of.runs = append(of.runs, run)
	s.model.deployments[run.id] = run
	variables, settings := maps.Clone(of.variables), maps.Clone(of.settings)
	s.routines.Go(func() {
		defer cancel()
		s.steps(ctx, of, run, before, variables, settings)
	})
	return run
}

// steps lead a run through its statuses.
func (s *Server) steps(ctx context.Context, of *service, run *deployment, before []*deployment, variables map[string]string, settings map[string]any) {
	for _, status := range []string{building, deploying} {
		if !pause(ctx, s.config.StepDelay) || !s.step(run, status) {
			s.finish(run, removed)
			return
		}
	}
	for !s.ended(before) {
		if !pause(ctx, time.Millisecond) {
			s.finish(run, removed)
			return
		}
	}
	if source, _ := settings["source"].(map[string]any); text(source["image"]) == MissingImage {
		s.mu.Lock()
		run.events = append(run.events, object{"step": "CREATE_CONTAINER", "payload": object{"error": "the image could not be pulled"}})
		s.mu.Unlock()
		s.finish(run, failed)
		return
	}
	command, output, err := s.launch(of, run, variables, settings)
	if err != nil {
		s.t.Errorf("railwaytest: %v", err)
		s.finish(run, failed)
		return
	}
	if command == nil {
		s.finish(run, removed)
		return
	}
	s.step(run, success) // without a health check it is active when it is started
	<-output             // all is read
	code := exitCode(command.Wait())
	s.mu.Lock()
	ending, asleep := run.ending, run.asleep
	s.mu.Unlock()
	switch {
	case asleep:
		s.finish(run, sleeping)
	case ending:
		s.finish(run, removed)
	case code == 0:
		s.finish(run, success) // the dashboard calls it completed
	default:
		s.finish(run, crashed)
	}
}

func exitCode(err error) int {
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return exit.ExitCode()
	} else if err != nil {
		return -1
	}
	return 0
}

// launch starts the process of a run with what a container would see. It is nil
// when the run was to end before.
func (s *Server) launch(of *service, run *deployment, variables map[string]string, settings map[string]any) (*exec.Cmd, <-chan struct{}, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run.ending || s.life.Err() != nil {
		return nil, nil, nil
	}
	dir := filepath.Join(s.dir, run.id) // lost with the run
	mountPath := "/data"
	if v := s.model.volumeOf(of.id); v != nil {
		dir, mountPath = v.dir, v.mountPath
	}
	arguments := strings.Fields(text(settings["startCommand"]))
	for i, argument := range arguments {
		switch {
		case argument == mountPath:
			arguments[i] = dir
		case strings.HasSuffix(argument, ":"+variables["PORT"]):
			arguments[i] = "127.0.0.1:" + portText(of)
		}
	}
	if len(arguments) == 0 {
		return nil, nil, errors.New("no start command")
	}
	//nolint:gosec,noctx // the test's own program, which ends as Railway would end it
	command := exec.Command(s.config.Program, arguments[1:]...)
	command.Env = []string{"RAILWAY_SERVICE_ID=" + of.id, "RAILWAY_SERVICE_NAME=" + of.name, "RAILWAY_ENVIRONMENT_ID=" + EnvironmentID}
	for name, value := range variables {
		command.Env = append(command.Env, name+"="+value)
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, nil, err
	}
	command.Stdout, command.Stderr = writer, writer
	err = command.Start()
	_ = writer.Close() // the process has it
	if err != nil {
		_ = reader.Close()
		return nil, nil, err
	}
	run.process = command.Process
	output := make(chan struct{})
	go func() {
		defer close(output)
		s.readLogs(run, reader)
		_ = reader.Close() // all is read
	}()
	return command, output, nil
}

func (s *Server) readLogs(run *deployment, reader io.Reader) {
	scanner := bufio.NewScanner(reader)
	scanner.Buffer(nil, 1<<20)
	for scanner.Scan() {
		s.mu.Lock()
		at := time.Now().UTC()
		if !at.After(run.lastLogged) {
			at = run.lastLogged.Add(1)
		}
		run.lastLogged = at
		run.logs = append(run.logs, line{at: at, text: scanner.Text()})
		s.mu.Unlock()
	}
}

// step goes on to a status unless the end was asked for.
func (s *Server) step(run *deployment, status string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if run.ending {
		return false
	}
	run.set(status)
	return true
}

func (s *Server) finish(run *deployment, status string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	run.exited, run.process = true, nil
	run.set(status)
}

func (s *Server) ended(runs []*deployment) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !slices.ContainsFunc(runs, func(run *deployment) bool { return !run.exited })
}

// end removes a run: SIGTERM, and after drainingSeconds SIGKILL. The server is locked.
func (s *Server) end(run *deployment) {
	if run.exited {
		run.set(removed)
		return
	}
	if run.ending {
		return
	}
	run.ending = true
	if run.process == nil {
		run.cancel()
		return
	}
	run.set(removing)
	s.signal(run)
}

func (s *Server) signal(run *deployment) {
	process, drain := run.process, run.drain
	_ = process.Signal(syscall.SIGTERM) // it may have ended
	s.routines.Go(func() {
		pause(s.life, drain)
		s.mu.Lock()
		defer s.mu.Unlock()
		if run.process == process {
			_ = process.Kill()
		}
	})
}

// Sleep puts a service to sleep as Railway does with one that is idle.
func (s *Server) Sleep(name string) {
	look(s, name, func(of *service) any {
		run := of.runs[len(of.runs)-1]
		run.asleep = true
		_ = run.process.Kill()
		return nil
	})
}

func (s *Server) killAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, run := range s.model.deployments {
		run.kill()
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// freePort returns a port below those that the system hands out by itself, which
// others would get between two runs of a service.
func freePort(t testing.TB) int {
	for range 100 {
		port := 20000 + rand.IntN(10000)
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err == nil {
			_ = listener.Close()
			return port
		}
	}
	t.Error("railwaytest: no free port")
	return 0
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
