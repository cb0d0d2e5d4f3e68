package railway

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
)

const (
	// keptDeployments are how many of a tenant's runs its logs reach back.
	keptDeployments = 5

	// mostLines of one deployment are what Railway returns at once.
	mostLines = 5000

	// overlap is how far back each look at followed logs reaches again: lines of one
	// process may come out of order.
	overlap = 5 * time.Second
)

// Logs implements driver.Driver. Railway keeps them by deployment; those of the
// last five runs are joined. Followed logs are polled for, and go on with the
// tenant's next run.
func (d *Driver) Logs(ctx context.Context, id string, options driver.LogOptions) (io.ReadCloser, error) {
	if err := driver.CheckID(id); err != nil {
		return nil, err
	}
	instance, err := d.find(ctx, id)
	if err != nil {
		return nil, err
	}
	answer, err := listDeployments(ctx, d.api, d.config.ProjectID, d.config.EnvironmentID, instance.ServiceId, keptDeployments)
	if err != nil {
		return nil, err
	}
	var entries []LogFields
	latest := ""
	for _, edge := range answer.Deployments.Edges { // the newest first
		if latest == "" {
			latest = edge.Node.Id
		}
		want := mostLines
		if options.Tail > 0 {
			if want = min(mostLines, options.Tail-len(entries)); want <= 0 {
				break
			}
		}
		page, err := readLogs(ctx, d.api, edge.Node.Id, want)
		if err != nil {
			return nil, err
		}
		entries = append(sorted(page.DeploymentLogs), entries...)
	}
	if options.Tail > 0 && len(entries) > options.Tail {
		entries = entries[len(entries)-options.Tail:]
	}
	if !options.Follow {
		return io.NopCloser(strings.NewReader(text(entries))), nil
	}
	ctx, cancel := context.WithCancel(ctx)
	reader, writer := io.Pipe()
	f := &follower{d: d, serviceID: instance.ServiceId, deploymentID: latest, seen: map[string]time.Time{}, out: writer}
	if len(entries) > 0 {
		f.oldest = moment(entries[0])
	}
	for _, entry := range entries {
		f.isNew(entry)
	}
	go func() {
		defer cancel()
		_, err := io.WriteString(writer, text(entries))
		if err == nil {
			err = f.run(ctx)
		}
		if ctx.Err() != nil {
			err = nil // its end is no error
		}
		_ = writer.CloseWithError(err) // is always nil
	}()
	stop := context.AfterFunc(ctx, func() { _ = writer.Close() }) // a write may wait for a reader that has gone
	return &followed{PipeReader: reader, end: sync.OnceFunc(func() { stop(); cancel() })}, nil
}

// followed are logs whose Close ends the polling.
type followed struct {
	*io.PipeReader
	end func()
}

func (f *followed) Close() error {
	f.end()
	return f.PipeReader.Close()
}

// follower polls for the lines of one tenant.
type follower struct {
	d            *Driver
	serviceID    string
	deploymentID string
	seen         map[string]time.Time // what was written, as far back as overlap
	newest       time.Time
	oldest       time.Time // lines from before it were not asked for
	out          io.Writer
}

func (f *follower) run(ctx context.Context) error {
	for {
		if err := sleep(ctx, f.d.config.Poll); err != nil {
			return err
		}
		err := f.poll(ctx)
		if busy := (*driver.RetryError)(nil); errors.As(err, &busy) {
			err = sleep(ctx, busy.After)
		}
		if err != nil {
			return err
		}
	}
}

func (f *follower) poll(ctx context.Context) error {
	config := f.d.config
	if f.deploymentID == "" { // it has never run
		answer, err := listDeployments(ctx, f.d.api, config.ProjectID, config.EnvironmentID, f.serviceID, 1)
		if err == nil && len(answer.Deployments.Edges) > 0 {
			f.deploymentID = answer.Deployments.Edges[0].Node.Id
		}
		return err
	}
	since := f.newest.Add(-overlap)
	if f.newest.IsZero() {
		since = time.Unix(0, 0)
	}
	answer, err := followLogs(ctx, f.d.api, config.ProjectID, config.EnvironmentID, f.serviceID, f.deploymentID, mostLines, since.UTC())
	if err != nil {
		return err
	}
	fresh := slices.DeleteFunc(sorted(answer.DeploymentLogs), func(entry LogFields) bool { return !f.isNew(entry) })
	if _, err := io.WriteString(f.out, text(fresh)); err != nil {
		return err
	}
	if edges := answer.Deployments.Edges; len(edges) > 0 && edges[0].Node.Id != f.deploymentID {
		f.deploymentID, f.newest, f.oldest = edges[0].Node.Id, time.Time{}, time.Time{}
	}
	return nil
}

// isNew remembers a line, and reports whether it was not written before.
func (f *follower) isNew(entry LogFields) bool {
	at, key := moment(entry), entry.Timestamp+entry.Message
	if _, ok := f.seen[key]; ok || at.Before(f.oldest) {
		return false
	}
	f.seen[key] = at
	if at.After(f.newest) {
		f.newest = at
		for old, when := range f.seen {
			if when.Before(at.Add(-2 * overlap)) {
				delete(f.seen, old)
			}
		}
	}
	return true
}

func sorted(entries []LogFields) []LogFields {
	slices.SortStableFunc(entries, func(a, b LogFields) int {
		return moment(a).Compare(moment(b))
	})
	return entries
}

// moment is zero for one that cannot be read.
func moment(entry LogFields) time.Time {
	at, _ := time.Parse(time.RFC3339Nano, entry.Timestamp) // see above
	return at
}

// text is one line for each entry: its message, then what Railway has parsed out of
// a line of JSON.
func text(entries []LogFields) string {
	var b strings.Builder
	for _, entry := range entries {
		b.WriteString(strings.TrimSuffix(entry.Message, "\n"))
		for _, attribute := range entry.Attributes {
			if attribute.Key != "level" { // every line has it, as Railway guesses it
				b.WriteString(" " + attribute.Key + "=" + attribute.Value)
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}
