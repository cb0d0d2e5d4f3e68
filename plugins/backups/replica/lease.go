package replica

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
)

// One process at a time writes to a replica. Who that is stands in an object that
// is only ever replaced on the condition that nobody else replaced it, so that of
// two processes one learns at once that it is not the one any more.

const leaseKey = "lease.json"

const (
	// leaseTime is how long a lease holds that is not renewed: how long the
	// successor of a machine that was lost has to wait.
	leaseTime = 8 * time.Second

	// leaseRenewal is how often it is renewed while there are writes.
	leaseRenewal = 2500 * time.Millisecond

	// idleLeaseTime is how long the lease of a process without writes holds. It
	// is renewed that seldom because a platform that stops idle containers
	// goes by their network traffic.
	idleLeaseTime    = 15 * time.Minute
	idleLeaseRenewal = 14 * time.Minute

	// idleAfter is how long there must be no write before the longer lease.
	idleAfter = time.Minute
)

// leaseDoc is the content of the lease.
type leaseDoc struct {
	Owner    string    `json:"owner"` // of a data folder, see state.Owner
	Host     string    `json:"host"`
	Machine  string    `json:"machine"` // tells whether PID means something here
	PID      int       `json:"pid"`
	Renewed  time.Time `json:"renewed"`
	Expires  time.Time `json:"expires"`
	Released bool      `json:"released"`
}

func (d leaseDoc) heldAt(now time.Time) bool {
	return !d.Released && now.Before(d.Expires) && !d.isDead()
}

// isDead reports whether the process is known to be gone: it ran on this
// machine, as this process sees it.
func (d leaseDoc) isDead() bool {
	return d.Machine != "" && d.Machine == machine() && d.PID != os.Getpid() && !isRunning(d.PID)
}

// machine names the boot of this machine and the processes that this one sees,
// or is empty where that cannot be told.
func machine() string {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	processes, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(boot)) + " " + processes
}

func isRunning(pid int) bool {
	_, err := os.Stat("/proc/" + strconv.Itoa(pid))
	return !errors.Is(err, fs.ErrNotExist)
}

// HeldError says that another process writes to the replica.
type HeldError struct {
	Host    string
	PID     int
	Expires time.Time
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("another process writes to this replica: pid %d on %s, whose lease holds until %s", e.PID, e.Host, e.Expires.Format(time.RFC3339))
}

// ErrLost is the state of a process whose lease somebody else has taken.
var ErrLost = errors.New("another process has taken over this replica")

// lease is this process's lease, or its wish for one.
type lease struct {
	store objectstore.Store
	owner string
	host  string
	pid   int
	now   func() time.Time

	mu      sync.Mutex
	etag    string    // "" while not held
	expires time.Time // of the lease as last stored
	renewed time.Time

	// lost is read by who must not wait for the store.
	lost atomic.Bool
}

// read returns the lease as it is stored; without one, ErrNotFound.
func (l *lease) read(ctx context.Context) (doc leaseDoc, etag string, err error) {
	info, err := l.store.Stat(ctx, leaseKey)
	if err != nil {
		return doc, "", err
	}
	raw, err := objectstore.ReadAll(ctx, l.store, leaseKey)
	if err != nil {
		return doc, "", err
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return doc, "", fmt.Errorf("read %s: %w", leaseKey, err)
	}
	return doc, info.ETag, nil
}

// acquire takes the lease, if nobody else holds it. One that another process
// holds for not much longer is waited for: either it is renewed, and that
// process lives, or it ends. With force it is taken in any case.
func (l *lease) acquire(ctx context.Context, force bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	waitedFor := ""
	for {
		doc, etag, err := l.read(ctx)
		if err != nil && !errors.Is(err, objectstore.ErrNotFound) {
			return err
		}
		held := err == nil && doc.Owner != l.owner && doc.heldAt(l.now())
		if held && !force {
			alive := waitedFor != "" && waitedFor != etag
			if alive || doc.Expires.Sub(l.now()) > leaseTime+2*time.Second {
				return &HeldError{Host: doc.Host, PID: doc.PID, Expires: doc.Expires}
			}
			waitedFor = etag
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(250 * time.Millisecond):
			}
			continue
		}
		err = l.put(ctx, leaseTime, false, etag)
		if !errors.Is(err, objectstore.ErrChanged) {
			return err
		} // somebody was quicker: look again
	}
}

// put stores the lease over the one with etag ("" for none).
func (l *lease) put(ctx context.Context, length time.Duration, released bool, etag string) error {
	now := l.now().UTC()
	raw, err := json.Marshal(leaseDoc{
		Owner: l.owner, Host: l.host, Machine: machine(), PID: l.pid, Renewed: now, Expires: now.Add(length), Released: released,
	})
	if err != nil {
		return err
	}
	opts := objectstore.PutOptions{IfMatch: etag, IfAbsent: etag == ""}
	info, err := l.store.Put(ctx, leaseKey, bytes.NewReader(raw), opts)
	if err != nil {
		return err
	}
	l.etag, l.expires, l.renewed = info.ETag, now.Add(length), now
	return nil
}

// ensure makes sure that this process holds the lease, for writing if idle is
// false. Without a lease yet it tries to get one. It returns ErrLost once
// another process has the lease, and any other error when the store did not say.
func (l *lease) ensure(ctx context.Context, idle bool) error {
	if l.lost.Load() {
		return ErrLost
	}
	l.mu.Lock()
	held := l.etag != ""
	l.mu.Unlock()
	if !held {
		return l.acquire(ctx, false)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if !l.due(now, idle) {
		return nil
	}
	length := leaseTime
	if idle {
		length = idleLeaseTime
	}
	err := l.put(ctx, length, false, l.etag)
	if !errors.Is(err, objectstore.ErrChanged) {
		return err
	}
	// An own renewal whose answer was lost looks the same as a stranger's.
	etag, err := l.ours(ctx)
	if err != nil {
		return err
	}
	return l.put(ctx, length, false, etag)
}

// ours asks the store whether the lease is this process's still. The caller
// holds mu.
func (l *lease) ours(ctx context.Context) (etag string, err error) {
	doc, etag, err := l.read(ctx)
	switch {
	case errors.Is(err, objectstore.ErrNotFound):
		return "", nil // somebody deleted it, but took nothing over
	case err != nil:
		return "", err
	case doc.Owner != l.owner || doc.PID != l.pid || doc.Host != l.host:
		l.lost.Store(true)
		return "", ErrLost
	}
	return etag, nil
}

// verify asks the store whether this process may write, however short ago it
// was sure of that.
func (l *lease) verify(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, err := l.ours(ctx)
	return err
}

// due reports whether it is time to store the lease again.
func (l *lease) due(now time.Time, idle bool) bool {
	left := l.expires.Sub(now)
	if idle {
		return left < idleLeaseTime-idleLeaseRenewal
	}
	return now.Sub(l.renewed) >= leaseRenewal || left < leaseTime-leaseRenewal
}

// release lets the next process start at once.
func (l *lease) release(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.etag == "" || l.lost.Load() {
		return nil
	}
	err := l.put(ctx, 0, true, l.etag)
	l.etag = ""
	if errors.Is(err, objectstore.ErrChanged) {
		return nil // it is somebody else's already
	}
	return err
}
