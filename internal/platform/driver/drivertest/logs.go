package drivertest

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
)

// lines returns what the tenant printed, without waiting for more.
func (r *rig) lines(id string, tail int) []string {
	r.Helper()
	var reader io.ReadCloser
	r.must("logs", func() (err error) {
		reader, err = r.d.Logs(r.ctx(), id, driver.LogOptions{Tail: tail})
		return err
	})
	defer reader.Close()
	content, err := io.ReadAll(reader)
	if err != nil {
		r.Fatalf("read logs: %v", err)
	}
	if len(content) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(content), "\n"), "\n")
}

// untilLogged waits for a line: what was printed may be on its way to the engine.
func (r *rig) untilLogged(id, line string) []string {
	r.Helper()
	var got []string
	r.eventually(func() bool {
		got = r.lines(id, 0)
		return indexOf(got, line) >= 0
	}, func() string { return "the logs lack " + line + ":\n" + strings.Join(got, "\n") })
	return got
}

// indexOf finds a line by what it contains: engines may put a time before it.
func indexOf(lines []string, text string) int {
	return slices.IndexFunc(lines, func(line string) bool { return strings.Contains(line, text) })
}

func testLogs(r *rig) {
	id := r.create(Normal)
	if got := r.lines(id, 0); len(got) != 0 {
		r.Errorf("a tenant that never ran has logs: %q", got)
	}
	r.start(id)
	r.ready(id)
	r.untilLogged(id, "fixture on stderr")
	r.untilLogged(id, "fixture listens")
	if !r.h.NoURL {
		for _, text := range []string{"first-line", "second-line", "third-line"} {
			r.print(id, text)
		}
		got := r.untilLogged(id, "third-line")
		if first, third := indexOf(got, "first-line"), indexOf(got, "third-line"); first < 0 || third != first+2 || third != len(got)-1 {
			r.Errorf("the lines are not in order:\n%s", strings.Join(got, "\n"))
		}
		if got := r.lines(id, 2); len(got) != 2 || indexOf(got, "second-line") != 0 || indexOf(got, "third-line") != 1 {
			r.Errorf("the last two lines are %q", got)
		}
	}
	if r.h.NoLogsAfterStop {
		return
	}
	r.stop(id)
	r.untilLogged(id, "fixture got terminated")
	if !r.h.NoURL && indexOf(r.lines(id, 0), "first-line") < 0 {
		r.Error("after a stop the earlier lines are gone")
	}
	r.delete(id)
	if _, err := r.d.Logs(r.ctx(), id, driver.LogOptions{}); !errors.Is(err, driver.ErrNotFound) {
		r.Errorf("logs of a deleted tenant: %v", err)
	}
}

func testLogsFollowed(r *rig) {
	id := r.started(Normal)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	reader, err := r.d.Logs(ctx, id, driver.LogOptions{Tail: 100, Follow: true})
	if r.h.NoFollow {
		if err == nil {
			r.Error("logs are followed although the engine cannot")
		}
		return
	}
	if err != nil {
		r.Fatal(err)
	}
	defer reader.Close()
	lines := make(chan string)
	ended := make(chan error, 1)
	go func() {
		scanner := bufio.NewScanner(reader)
		for scanner.Scan() {
			select {
			case lines <- scanner.Text():
			case <-ctx.Done():
			}
		}
		ended <- scanner.Err()
	}()
	expect := func(text string) {
		r.Helper()
		deadline := time.After(r.h.Patience)
		for {
			select {
			case line := <-lines:
				if strings.Contains(line, text) {
					return
				}
			case err := <-ended:
				r.Fatalf("the logs ended before %q: %v", text, err)
			case <-deadline:
				r.Fatalf("%q did not come", text)
			}
		}
	}
	expect("fixture listens")
	if !r.h.NoURL {
		r.print(id, "live-line")
		expect("live-line")
	}
	cancel()
	select {
	case err := <-ended: // the end of the context is no error worth telling
		if err != nil && !errors.Is(err, context.Canceled) {
			r.Errorf("the logs ended with %v", err)
		}
	case <-time.After(r.h.Patience):
		r.Fatal("the logs go on after their context ended")
	}

	// Closing ends a read that waits, too.
	second, err := r.d.Logs(r.ctx(), id, driver.LogOptions{Tail: 1, Follow: true})
	if err != nil {
		r.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, second) // until it is closed
		close(done)
	}()
	if err := second.Close(); err != nil {
		r.Errorf("close the logs: %v", err)
	}
	select {
	case <-done:
	case <-time.After(r.h.Patience):
		r.Fatal("a read of the logs goes on after they were closed")
	}
}
