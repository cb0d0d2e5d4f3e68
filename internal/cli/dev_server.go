package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/child"
	"github.com/picobase/picobase/internal/watch"
)

const (
	devDrain     = 2 * time.Second // how long the server waits for requests in flight
	devStopGrace = 5 * time.Second // before it is killed
	readyPoll    = 5 * time.Millisecond
	readyWait    = 10 * time.Second
)

// devServer runs picobase serve as a process of its own: what is wrong with a
// migration or a hook ends that one, and dev starts it again after the next change.
type devServer struct {
	o          devOptions
	url        string
	env        []string
	listener   net.Listener
	socket     *os.File // the listener for the server; nil where none can be handed on
	notes      io.Writer
	changes    chan struct{} // in the folders of hooks and migrations
	watchers   []*watch.Watcher
	announced  chan struct{} // receives after each start
	mu         sync.Mutex
	process    *child.Process
	installURL string
	last       []string // lines that are no log
}

// newDevServer opens the address and begins to watch the folders, which it makes.
func newDevServer(o devOptions, app devApp, publicKey, firstKeys string, notes io.Writer) (*devServer, error) {
	s := &devServer{o: o, notes: notes, changes: make(chan struct{}, 1), announced: make(chan struct{}, 1)}
	s.env = slices.DeleteFunc(os.Environ(), func(variable string) bool {
		// A bucket, a platform or a port of something else is not this project's.
		name, _, _ := strings.Cut(variable, "=")
		return name == "PORT" || strings.HasPrefix(name, "PICOBASE_") && !strings.HasPrefix(name, "PICOBASE_SUPERUSER_")
	})
	s.env = append(s.env, "PICOBASE_PROJECT_ID="+devProject, "PICOBASE_PLATFORM_PUBLIC_KEY="+publicKey,
		"PICOBASE_FIRST_KEYS="+firstKeys, "PICOBASE_PRIVATE_HOSTS=localhost,127.0.0.0/8,::1")
	var err error
	if s.listener, err = listenDev(context.Background(), o, app.localPort()); err != nil {
		return nil, err
	}
	s.url = "http://" + localAddress(s.listener.Addr().String())
	if err := s.open(); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *devServer) open() (err error) {
	if tcp, ok := s.listener.(*net.TCPListener); ok && runtime.GOOS != "windows" {
		if s.socket, err = tcp.File(); err != nil {
			return err
		}
	}
	changed := func() {
		select {
		case s.changes <- struct{}{}:
		default: // one waits already
		}
	}
	for _, dir := range []string{s.o.HooksDir, s.o.MigrationsDir} {
		if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // source code, for everybody
			return err
		}
		watcher := &watch.Watcher{}
		if err := watcher.Start(dir, changed, func(err error) { fmt.Fprintf(s.notes, "watch %s: %v\n", dir, err) }); err != nil {
			return fmt.Errorf("watch %s: %w", dir, err)
		}
		s.watchers = append(s.watchers, watcher)
	}
	return nil
}

func (s *devServer) close() {
	for _, watcher := range s.watchers {
		watcher.Stop()
	}
	if s.socket != nil {
		_ = s.socket.Close() // nobody listens at it any more
	}
	_ = s.listener.Close() // as above
}

// start starts the server and waits until it is ready.
func (s *devServer) start(ctx context.Context) error {
	binary, err := os.Executable()
	if err != nil {
		return err
	}
	args := []string{"serve", "--dir", s.o.Dir, "--hooksDir", s.o.HooksDir, "--hooks-watch", "--migrationsDir", s.o.MigrationsDir,
		"--migrations-watch", "--log-format", "json", "--replication", "off", "--drain-timeout", devDrain.String()}
	if s.o.Automigrate {
		args = append(args, "--automigrate")
	}
	args = append(args, s.o.serve...)
	cmd := exec.Command(binary, args...) //nolint:gosec,noctx // this binary; it is stopped in order
	cmd.Env = s.env
	if s.socket != nil {
		cmd.Args = append(cmd.Args, "--http", "fd:3")
		cmd.ExtraFiles = []*os.File{s.socket}
	} else {
		_ = s.listener.Close() // for the server to listen there
		cmd.Args = append(cmd.Args, "--http", s.listener.Addr().String())
	}
	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	cmd.Stdout, cmd.Stderr = writer, writer
	select {
	case <-s.announced: // by one that has ended since
	default:
	}
	s.setLast(nil)
	process, err := child.Start(cmd)
	_ = writer.Close() // the server has its own, whose end is that of the reading
	if err != nil {
		return errors.Join(err, reader.Close())
	}
	read := make(chan struct{})
	go func() {
		defer close(read)
		s.follow(reader)
	}()
	s.mu.Lock()
	s.process = process
	s.mu.Unlock()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-process.Done():
		<-read
		return errors.New(s.problem())
	case <-s.announced:
		return s.waitReady(ctx, process)
	}
}

// waitReady waits for the first good answer, which comes soon after the announcement.
func (s *devServer) waitReady(ctx context.Context, process *child.Process) error {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	client := &Client{base: s.url, http: http.DefaultClient}
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := client.Call(ctx, http.MethodGet, "/api/v1/ready", nil, nil)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-process.Done():
			return errors.New(s.problem())
		case <-ticker.C:
		}
	}
}

// notStarted explains why the first start failed.
func (s *devServer) notStarted(err error) error {
	s.stop(nil)
	if errors.Is(err, context.Canceled) {
		return nil // the person stopped it
	}
	if strings.Contains(err.Error(), "another server is running on the folder") {
		return &Error{
			Code: ExitFailed, Err: fmt.Errorf("another server, or another picobase dev, is running on the folder %s", s.o.Dir),
			Hint: "Stop it, or name another folder with --dir.",
		}
	}
	return fmt.Errorf("the project does not start: %w", err)
}

// supervise shows what ends the server, and starts it again after the next change.
func (s *devServer) supervise(ctx context.Context) {
	for {
		s.mu.Lock()
		process := s.process
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return
		case <-s.announced:
			fmt.Fprintln(s.notes, "The project has started again.")
			continue
		case <-s.changes: // the server sees them itself
			continue
		case <-process.Done():
		}
		if ctx.Err() != nil {
			return
		}
		fmt.Fprintf(s.notes, "The project has ended with %d: %s\nIt starts again after the next change of %s or %s.\n",
			process.Code(), s.problem(), s.o.HooksDir, s.o.MigrationsDir)
		if !s.revive(ctx) {
			return
		}
	}
}

// revive starts the server after a change, until it runs or ctx ends.
func (s *devServer) revive(ctx context.Context) bool {
	for {
		stop := func() {}
		if s.socket != nil {
			page, err := downPage(s.socket, s.problem())
			if err != nil {
				fmt.Fprintln(s.notes, err)
			} else {
				stop = page
			}
		}
		select {
		case <-ctx.Done():
			stop()
			return false
		case <-s.changes:
		}
		stop()
		err := s.start(ctx)
		if err == nil {
			fmt.Fprintln(s.notes, "The project has started again.")
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		fmt.Fprintf(s.notes, "The project does not start: %v\n", err)
	}
}

// stop ends the server in order, or at once when again is closed.
func (s *devServer) stop(again <-chan struct{}) {
	s.mu.Lock()
	process := s.process
	s.mu.Unlock()
	if process != nil {
		stopChild(process, devDrain+devStopGrace, again)
	}
}

func (s *devServer) installer() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.installURL
}

func (s *devServer) setLast(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = lines
}

// problem returns what the server has said at its end.
func (s *devServer) problem() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.last) == 0 {
		return "it said nothing"
	}
	return strings.TrimPrefix(strings.Join(s.last, "\n"), "picobase: ")
}

// follow reads what the server prints until it ends: logs as JSON and, when
// something is wrong, other lines.
func (s *devServer) follow(reader io.ReadCloser) {
	defer func() { _ = reader.Close() }()
	lines := bufio.NewScanner(reader)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		entry, ok := parseLog(lines.Bytes())
		if !ok {
			s.plain(lines.Text())
			continue
		}
		switch entry.message {
		case "started":
			select {
			case s.announced <- struct{}{}:
			default:
			}
		case "stopped":
		default:
			if strings.HasPrefix(entry.message, "no superuser yet") {
				s.mu.Lock()
				s.installURL = entry.attribute("url")
				s.mu.Unlock()
				continue
			}
			fmt.Fprintln(s.notes, entry)
		}
	}
}

// maxLast is how many lines are kept of what a server says at its end.
const maxLast = 20

func (s *devServer) plain(line string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.last) < maxLast && strings.TrimSpace(line) != "" {
		s.last = append(s.last, printable(line))
	}
}
