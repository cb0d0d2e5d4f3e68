package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/dustin/go-humanize"
	"golang.org/x/sys/unix"
)

// backupOptions is what a person can change about the part on backups.
type backupOptions struct {
	size     byteSize // of the database that writes are watched on
	small    byteSize // of the second one that is restored
	runs     int
	rate     int // creates per second of the steady writer
	delays   int
	gateway  string
	measures string
}

func (o *backupOptions) flags(fs *flag.FlagSet) {
	o.size, o.small = 1<<30, 100<<20
	fs.Var(&o.size, "size", "size of the large database, for write stalls and restores")
	fs.Var(&o.small, "small", "size of the small database, for restores")
	fs.IntVar(&o.runs, "runs", 3, "how often write stalls are measured")
	fs.IntVar(&o.rate, "rate", 200, "creates per second while write stalls are measured")
	fs.IntVar(&o.delays, "delays", 120, "writes whose way to the bucket is timed")
	fs.StringVar(&o.gateway, "gateway", "bin/versitygw-v1.8.0", "the S3 server (make tools)")
	fs.StringVar(&o.measures, "measures", "odsr", "which to take: o(n and off), d(elay), s(talls), r(estore); fewer write no page")
}

func (o *backupOptions) validate() error {
	switch {
	case o.size < 1<<20 || o.small < 1<<20:
		return fmt.Errorf("-size and -small must be at least 1 MiB, got %s and %s", &o.size, &o.small)
	case o.runs < 1 || o.rate < 1 || o.delays < 1:
		return fmt.Errorf("-runs, -rate and -delays must be at least 1, got %d, %d and %d", o.runs, o.rate, o.delays)
	}
	var err error
	o.gateway, err = filepath.Abs(o.gateway)
	return err
}

// byteSize is a flag such as 1GiB.
type byteSize int64

func (b *byteSize) String() string { return humanize.IBytes(uint64(*b)) }

func (b *byteSize) Set(text string) error {
	n, err := humanize.ParseBytes(text)
	*b = byteSize(n)
	return err
}

// diskShare is how much free disk a run needs, in sizes of its large database:
// two folders, a bucket with the replica and a snapshot, and what a snapshot, a
// drill or a restore has on the disk while it goes on.
const diskShare = 8

// backupBench is what the measurements about backups share.
type backupBench struct {
	opts    options
	work    string
	gateway *gateway
	out     io.Writer
}

// backupResults is what they found.
type backupResults struct {
	onOff  []onOff
	delays []time.Duration
	stalls []stall
	starts []start
}

// benchBackups measures what backups cost, and what they are worth.
func benchBackups(ctx context.Context, opts options, facts facts, work string, out io.Writer) error {
	if err := os.MkdirAll(work, 0o700); err != nil {
		return err
	}
	if err := requireDisk(work, diskShare*int64(opts.backups.size)); err != nil {
		return err
	}
	gateway, err := startGateway(ctx, opts.backups.gateway, filepath.Join(work, "s3"))
	if err != nil {
		return err
	}
	defer gateway.stop()

	b := &backupBench{opts: opts, work: work, gateway: gateway, out: out}
	res, all, err := b.measure(ctx)
	if err != nil {
		return err
	}
	fmt.Fprintln(out)
	printTables(out, onOffRows(res.onOff), delayRows(res.delays), stallRows(res.stalls), startRows(res.starts), verdictRows(backupVerdicts(res)))
	if !all {
		return nil
	}
	return opts.writePage(backupsPageName, backupsMarkdown(facts, opts, res), out)
}

// measure reports whether all was measured.
func (b *backupBench) measure(ctx context.Context) (res backupResults, all bool, err error) {
	wanted := map[rune]bool{}
	for _, letter := range b.opts.backups.measures {
		wanted[letter] = true
	}
	if wanted['o'] {
		if res.onOff, err = b.measureOnOff(ctx); err != nil {
			return res, false, fmt.Errorf("replication on and off: %w", err)
		}
	}
	if wanted['d'] {
		if res.delays, err = b.measureDelays(ctx); err != nil {
			return res, false, fmt.Errorf("delay of the replica: %w", err)
		}
	}
	for _, size := range []byteSize{b.opts.backups.small, b.opts.backups.size} {
		isLarge := size == b.opts.backups.size
		if !wanted['r'] && (!wanted['s'] || !isLarge) {
			continue
		}
		if err := b.onProject(ctx, size, isLarge && wanted['s'], wanted['r'], &res); err != nil {
			return res, false, err
		}
	}
	return res, wanted['o'] && wanted['d'] && wanted['s'] && wanted['r'], nil
}

// onProject measures what depends on the size of the database.
func (b *backupBench) onProject(ctx context.Context, size byteSize, stalls, starts bool, res *backupResults) error {
	project, err := b.newProject(ctx, size)
	if err != nil {
		return fmt.Errorf("make a database of %s: %w", &size, err)
	}
	defer project.remove()
	if stalls {
		if res.stalls, err = b.measureStalls(ctx, project); err != nil {
			return fmt.Errorf("write stalls: %w", err)
		}
	}
	if starts {
		found, err := b.measureStarts(ctx, project)
		if err != nil {
			return fmt.Errorf("starts: %w", err)
		}
		res.starts = append(res.starts, found...)
	}
	return nil
}

func requireDisk(dir string, need int64) error {
	var stat unix.Statfs_t
	if err := unix.Statfs(dir, &stat); err != nil {
		return err
	}
	if free := int64(stat.Bavail) * stat.Bsize; free < need {
		return fmt.Errorf("%s has %s free, and this needs %s: set TMPDIR, or take a smaller -size",
			dir, humanize.IBytes(uint64(free)), humanize.IBytes(uint64(need)))
	}
	return nil
}

// pause waits without watching: for what an operation leaves behind to settle.
func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
