// Package source feeds a router's table: from a platform, whose stream it follows
// and which it asks to wake projects, or from a file.
//
//	platform, err := source.NewPlatform(source.PlatformConfig{URL: url, Token: token})
//	go platform.Run(ctx, table)
package source

import (
	"context"

	"github.com/picobase/picobase/internal/routes"
)

// Table takes what a source has to say.
type Table interface {
	Apply(message routes.Message)
}

// Source keeps a table up to date until ctx ends. What it cannot read or reach it
// logs, and tries again: the table stays as it was.
type Source interface {
	Run(ctx context.Context, table Table)
}
