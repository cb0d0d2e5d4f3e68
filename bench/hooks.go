package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

//go:embed hooks/trim.pb.js
var trimHook string

// hookResults is what the part on hooks measured.
type hookResults struct {
	engines []pair // stock with its jsvm plugin, PicoBase, the same hook
	cost    []pair // PicoBase without the hook in the place of stock, and with it
	peak    [3]float64
	attacks []attack
}

// benchHooks measures what a hook costs, and what hostile ones cost the others.
func benchHooks(ctx context.Context, opts options, facts facts, work string, out io.Writer) error {
	res := hookResults{}
	var err error
	if strings.Contains(opts.hooks.measures, "c") {
		if err := res.measureEngines(ctx, opts, work, out); err != nil {
			return fmt.Errorf("creates with a hook: %w", err)
		}
		printTables(out, engineRows(res))
	}
	if strings.Contains(opts.hooks.measures, "a") {
		if res.attacks, err = measureAttacks(ctx, opts, work, out); err != nil {
			return fmt.Errorf("hostile hooks: %w", err)
		}
		printTables(out, attackRows(res.attacks))
	}
	if res.engines == nil || res.attacks == nil {
		return nil
	}
	printTables(out, verdictRows(hookVerdicts(res)))
	return opts.writePage(hooksPageName, hooksMarkdown(facts, opts, res), out)
}

// measureEngines loads stock PocketBase and PicoBase, both with the hook, and
// PicoBase without it, in turns.
func (r *hookResults) measureEngines(ctx context.Context, opts options, work string, out io.Writer) error {
	folder, none := filepath.Join(work, "pb_hooks"), filepath.Join(work, "no_hooks")
	for _, dir := range []string{folder, none} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(folder, "trim.pb.js"), []byte(trimHook), 0o600); err != nil {
		return err
	}
	stock := newServer("stock", opts.stock, filepath.Join(work, "stock"))
	stock.args = []string{"--hooksDir", folder}
	pico := newServer("picobase", opts.picobase, filepath.Join(work, "picobase"))
	pico.args = []string{"--hooksDir", folder}
	plain := newServer("without", opts.picobase, filepath.Join(work, "without"))
	plain.args = []string{"--hooksDir", none}

	order := []*server{stock, pico, plain}
	for _, s := range order {
		begin := s.startPicoBase
		if s == stock {
			begin = s.startStock
		}
		defer s.stop()
		if err := begin(ctx); err != nil {
			return fmt.Errorf("start %s: %w", s.name, err)
		}
		if err := s.createCollections(ctx); err != nil {
			return err
		}
		if err := s.requireTrimmed(ctx, s != plain); err != nil {
			return err
		}
	}
	load, err := newWrk(work, opts)
	if err != nil {
		return err
	}
	for round := 0; round <= opts.rounds; round++ { // round 0 warms up
		got := map[*server]sample{}
		for _, s := range order {
			if got[s], err = load.run(ctx, s, createWorkload()); err != nil {
				return fmt.Errorf("create on %s: %w", s.name, err)
			}
		}
		if round > 0 {
			r.engines = append(r.engines, pair{stock: got[stock], picobase: got[pico]})
			r.cost = append(r.cost, pair{stock: got[plain], picobase: got[pico]})
			fmt.Fprintf(out, "round %d/%d create with a hook, stock %6.0f, PicoBase %6.0f, without the hook %6.0f req/s, p99 %5.1f, %5.1f, %5.1f ms\n",
				round, opts.rounds, got[stock].rate, got[pico].rate, got[plain].rate, got[stock].p99, got[pico].p99, got[plain].p99)
		}
		// Each comes first, second and last in turn.
		order = append(slices.Clone(order[1:]), order[0])
	}
	for i, s := range []*server{stock, pico, plain} {
		if r.peak[i], err = s.peakMemory(); err != nil {
			return err
		}
	}
	return nil
}

// requireTrimmed makes sure that the hook runs, or does not.
func (s *server) requireTrimmed(ctx context.Context, wanted bool) error {
	var made struct{ Title string }
	raw, err := s.create(ctx, http.DefaultClient, `{"title":"  trimmed  "}`)
	if err == nil {
		err = json.Unmarshal(raw, &made)
	}
	if err != nil {
		return err
	}
	if trimmed := made.Title == "trimmed"; trimmed != wanted {
		return fmt.Errorf("%s saved %q, so its hook runs: %t, wanted %t", s.name, made.Title, trimmed, wanted)
	}
	return nil
}
