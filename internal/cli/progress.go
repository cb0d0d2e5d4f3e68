package cli

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/mattn/go-isatty"
)

const progressInterval = 250 * time.Millisecond

// progress shows on a terminal how far a transfer is; elsewhere it is silent.
type progress struct {
	out         io.Writer // nil for silence
	what        string
	done, total int64
	shown       time.Time
}

func newProgress(out io.Writer, what string, total int64) *progress {
	p := &progress{what: what, total: total}
	if file, ok := out.(*os.File); ok && isatty.IsTerminal(file.Fd()) {
		p.out = out
	}
	return p
}

func (p *progress) set(done int64) { p.done = done }

func (p *progress) add(n int) {
	p.done += int64(n)
	if p.out != nil && time.Since(p.shown) >= progressInterval {
		p.shown = time.Now()
		fmt.Fprintf(p.out, "\r\x1b[K%s: %s of %s", p.what, size(p.done), size(p.total))
	}
}

// end clears the line for what comes next. It may be called again.
func (p *progress) end() {
	if p.out != nil && !p.shown.IsZero() {
		p.shown = time.Time{}
		fmt.Fprint(p.out, "\r\x1b[K")
	}
}
