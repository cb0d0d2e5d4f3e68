package files

import (
	"bufio"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
)

// spool is a list of files on disk: a folder may have more of them than memory
// should hold. PocketBase leaves dir out of backups and empties it at a start.
type spool struct {
	dir   string
	file  *os.File // nil while empty
	w     *bufio.Writer
	count int
	bytes int64
	err   error // of all
}

func (s *spool) add(key string, size int64) error {
	if s.file == nil {
		if err := s.create(); err != nil {
			return fmt.Errorf("spool files: %w", err)
		}
	}
	if _, err := fmt.Fprintf(s.w, "%d %s\n", size, key); err != nil {
		return fmt.Errorf("spool files: %w", err)
	}
	s.count++
	s.bytes += size
	return nil
}

func (s *spool) create() (err error) {
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		return err
	}
	if s.file, err = os.CreateTemp(s.dir, "files-"); err != nil {
		return err
	}
	s.w = bufio.NewWriter(s.file)
	return nil
}

// all yields what was added. s.err says afterwards whether that was all.
func (s *spool) all() iter.Seq2[string, int64] {
	return func(yield func(string, int64) bool) {
		if s.file == nil {
			return
		}
		if s.err = s.w.Flush(); s.err != nil {
			return
		}
		if _, s.err = s.file.Seek(0, io.SeekStart); s.err != nil {
			return
		}
		lines := bufio.NewScanner(s.file) // keys have no line ends
		for lines.Scan() {
			size, key, _ := strings.Cut(lines.Text(), " ")
			n, _ := strconv.ParseInt(size, 10, 64)
			if !yield(key, n) {
				return
			}
		}
		s.err = lines.Err()
	}
}

func (s *spool) close() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name())
	}
}
