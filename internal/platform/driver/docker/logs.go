package docker

import (
	"context"
	"errors"
	"io"
	"strconv"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/client"

	"github.com/picobase/picobase/internal/platform/driver"
)

const (
	// crashLines and crashBytes bound what a Message tells of the log.
	crashLines = 5
	crashBytes = 2000
)

func (e *engine) containerLogs(ctx context.Context, container string, options driver.LogOptions) (io.ReadCloser, error) {
	raw, err := e.api.ContainerLogs(ctx, container, client.ContainerLogsOptions{
		ShowStdout: true, ShowStderr: true, Follow: options.Follow, Tail: tail(options),
	})
	return raw, e.failed("read the logs", err)
}

func tail(options driver.LogOptions) string {
	if options.Tail <= 0 {
		return "all"
	}
	return strconv.Itoa(options.Tail)
}

// plain joins the engine's streams, in which stdout and stderr are frames, to the
// text that was printed. Closing it closes them.
func plain(ctx context.Context, streams ...io.ReadCloser) io.ReadCloser {
	reader, writer := io.Pipe()
	go func() {
		for _, stream := range streams {
			_, err := stdcopy.StdCopy(writer, writer, stream)
			if ctx.Err() != nil {
				err = nil // the end of the context is the end of the logs
			}
			if err != nil {
				writer.CloseWithError(err)
				return
			}
		}
		_ = writer.Close()
	}()
	return &joined{reader, streams}
}

type joined struct {
	*io.PipeReader
	streams []io.ReadCloser
}

func (j *joined) Close() error {
	errs := []error{j.PipeReader.Close()}
	for _, stream := range j.streams {
		errs = append(errs, stream.Close())
	}
	return errors.Join(errs...)
}

// lastLines is a log's end for a Message.
func lastLines(log io.ReadCloser) string {
	defer log.Close()
	content, err := io.ReadAll(io.LimitReader(log, 64<<10))
	text := strings.TrimSpace(string(content))
	if err != nil || text == "" {
		return ""
	}
	if len(text) > crashBytes {
		text = "…" + strings.ToValidUTF8(text[len(text)-crashBytes:], "")
	}
	return ":\n" + text
}
