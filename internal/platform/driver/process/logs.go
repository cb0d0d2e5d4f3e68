package process

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
)

const (
	// followInterval is how often a log that is followed is looked at.
	followInterval = 100 * time.Millisecond

	// The last lines of a crashed tenant that its message holds.
	crashLines = 8
	crashBytes = 2000
)

// logFiles are the tenant's logs, oldest first.
func (t *tenant) logFiles() []string {
	path := filepath.Join(t.dir(), "log")
	return []string{path + ".2", path + ".1", path}
}

func (t *tenant) logFile() string { return filepath.Join(t.dir(), "log") }

// openLog opens the log for a process that will write to it by itself, so that
// the platform may come and go, and returns how long it is.
func (t *tenant) openLog() (*os.File, int64, error) {
	if info, err := os.Stat(t.logFile()); err == nil && info.Size() >= t.d.cfg.LogSize {
		if err := t.shiftLogs(); err != nil {
			return nil, 0, err
		}
		if err := os.Rename(t.logFile(), t.logFile()+".1"); err != nil {
			return nil, 0, err
		}
	}
	// O_APPEND is what makes it possible to cut the file under its writer.
	file, err := os.OpenFile(t.logFile(), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, 0, err
	}
	info, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, 0, err
	}
	return file, info.Size(), nil
}

func (t *tenant) shiftLogs() error {
	err := os.Rename(t.logFile()+".1", t.logFile()+".2")
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// rotateLogs begins new logs until the driver is closed.
func (d *Driver) rotateLogs() {
	ticker := time.NewTicker(rotateInterval)
	defer ticker.Stop()
	for {
		select {
		case <-d.stop:
			return
		case <-ticker.C:
		}
		for _, t := range d.running() {
			if err := t.rotateLog(); err != nil {
				d.cfg.Logger.Error("cannot begin a new log", "tenant", t.id, "error", err)
			}
		}
	}
}

func (d *Driver) running() (all []*tenant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tenants {
		t.mu.Lock()
		if t.proc != nil {
			all = append(all, t)
		}
		t.mu.Unlock()
	}
	return all
}

// rotateLog copies the end of a log that is too long and cuts it: the process has
// it open. What is printed between the two, which is microseconds, is lost.
func (t *tenant) rotateLog() error {
	t.mu.Lock() // against a start, and the end of the process that reads it
	defer t.mu.Unlock()
	info, err := os.Stat(t.logFile())
	if err != nil || info.Size() < t.d.cfg.LogSize || t.proc == nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := t.shiftLogs(); err != nil {
		return err
	}
	from, err := os.OpenFile(t.logFile(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer func() { _ = from.Close() }()
	to, err := os.OpenFile(t.logFile()+".1", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	// Its end, and no more of it than that: a tenant that prints without end would
	// fill the disk twice, and print faster than we copy.
	most := 2 * t.d.cfg.LogSize
	_, err = from.Seek(-min(info.Size(), most), io.SeekEnd)
	if err == nil {
		_, err = io.CopyN(to, from, most)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := from.Truncate(0); err != nil {
		return err
	}
	return t.set(func(s *state) { s.LogStart = 0 })
}

// crashMessage says for people how the process ended: its last lines, without
// what its environment holds. The caller holds t.mu.
func (t *tenant) crashMessage(code int) string {
	message := fmt.Sprintf("exit code %d", code)
	if code < 0 {
		message = "killed"
		if t.d.limits.outOfMemory(t.id) {
			message = "killed: out of memory"
		}
	}
	lines, err := t.lastLines()
	if err != nil {
		return message + "; its log cannot be read"
	}
	spec, err := t.readSpec()
	if err != nil || lines == "" {
		return message
	}
	return message + ": " + spec.masked(lines)
}

// lastLines returns the end of what the process has printed since its start.
func (t *tenant) lastLines() (string, error) {
	file, err := os.Open(t.logFile())
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	} else if err != nil {
		return "", err
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return "", err
	}
	from := max(t.state.LogStart, info.Size()-crashBytes)
	content, err := io.ReadAll(io.NewSectionReader(file, from, info.Size()-from))
	if err != nil {
		return "", err
	}
	lines := strings.Split(strings.TrimSpace(strings.ToValidUTF8(string(content), "")), "\n")
	return strings.Join(lines[max(0, len(lines)-crashLines):], "\n"), nil
}

// Logs implements [driver.Driver].
func (d *Driver) Logs(ctx context.Context, id string, options driver.LogOptions) (io.ReadCloser, error) {
	if _, err := d.Status(ctx, id); err != nil {
		return nil, err
	}
	d.mu.Lock()
	t := d.tenants[id]
	d.mu.Unlock()
	if t == nil {
		return nil, fmt.Errorf("tenant %s: %w", id, driver.ErrNotFound)
	}
	// No rotation between two files: the same lines would come twice, or not at all.
	t.mu.Lock()
	files, err := openAll(t.logFiles())
	t.mu.Unlock()
	if err != nil {
		return nil, fmt.Errorf("logs of tenant %s: %w", id, err)
	}
	reader := &logReader{files: files, path: t.logFile(), closed: make(chan struct{})}
	if options.Tail > 0 {
		if err := reader.skipTo(options.Tail); err != nil {
			return nil, errors.Join(err, reader.Close())
		}
	}
	if options.Follow {
		reader.follow = ctx
	}
	return reader, nil
}

func openAll(paths []string) (files []*os.File, err error) {
	for _, path := range paths {
		file, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		} else if err != nil {
			for _, open := range files {
				_ = open.Close()
			}
			return nil, err
		}
		files = append(files, file)
	}
	return files, nil
}

// logReader reads one log after the other, and waits at the end of the last.
type logReader struct {
	path   string
	follow context.Context //nolint:containedctx // it ends the reader, as Logs says

	mu     sync.Mutex // against Close during a read
	files  []*os.File
	once   sync.Once
	closed chan struct{}
}

func (r *logReader) Read(into []byte) (int, error) {
	for {
		n, err := r.readOnce(into)
		if n > 0 || (err != nil && !errors.Is(err, io.EOF)) {
			return n, err
		}
		if r.follow == nil {
			return 0, io.EOF
		}
		timer := time.NewTimer(followInterval)
		select {
		case <-timer.C:
		case <-r.closed:
		case <-r.follow.Done():
			timer.Stop()
			return 0, io.EOF
		}
		timer.Stop()
	}
}

// readOnce reads what there is, or EOF at the end of the last file.
func (r *logReader) readOnce(into []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case <-r.closed:
		return 0, fs.ErrClosed
	default:
	}
	if len(r.files) == 0 && r.follow != nil { // nothing was printed yet
		files, err := openAll([]string{r.path})
		if err != nil {
			return 0, err
		}
		r.files = files
	}
	for len(r.files) > 0 {
		file := r.files[0]
		n, err := file.Read(into)
		if n > 0 || (err != nil && !errors.Is(err, io.EOF)) {
			return n, err
		}
		if len(r.files) == 1 {
			if err := r.again(file); err != nil {
				return 0, err
			}
			return 0, io.EOF
		}
		_ = file.Close()
		r.files = r.files[1:]
	}
	return 0, io.EOF
}

// again goes on at the begin of a log that was cut or replaced since.
func (r *logReader) again(file *os.File) error {
	at, err := file.Seek(0, io.SeekCurrent)
	if err != nil {
		return err
	}
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if info.Size() < at {
		_, err = file.Seek(0, io.SeekStart)
		return err
	}
	if now, err := os.Stat(r.path); err != nil || os.SameFile(now, info) {
		return nil // a deleted one has no more to tell
	}
	next, err := openAll([]string{r.path})
	if err == nil && len(next) > 0 {
		_ = file.Close()
		r.files = next
	}
	return err
}

// skipTo leaves only so many of the last lines.
func (r *logReader) skipTo(lines int) error {
	const block = 64 << 10
	buffer := make([]byte, block)
	for i := len(r.files) - 1; i >= 0; i-- {
		file := r.files[i]
		info, err := file.Stat()
		if err != nil {
			return err
		}
		last := i == len(r.files)-1
		for end := info.Size(); end > 0; {
			from := max(0, end-block)
			part := buffer[:end-from]
			if _, err := file.ReadAt(part, from); err != nil && !errors.Is(err, io.EOF) {
				return err
			}
			for len(part) > 0 {
				at := bytes.LastIndexByte(part, '\n')
				if at < 0 {
					break
				}
				// The very last line's own end begins no other.
				if !last || from+int64(at) != info.Size()-1 {
					if lines--; lines == 0 {
						r.drop(i)
						_, err := file.Seek(from+int64(at)+1, io.SeekStart)
						return err
					}
				}
				part = part[:at]
			}
			end = from
		}
	}
	return nil
}

// drop closes the first n files.
func (r *logReader) drop(n int) {
	for _, file := range r.files[:n] {
		_ = file.Close()
	}
	r.files = r.files[n:]
}

// Close implements [io.Closer]. It ends a read that waits.
func (r *logReader) Close() error {
	r.once.Do(func() { close(r.closed) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.drop(len(r.files))
	return nil
}
