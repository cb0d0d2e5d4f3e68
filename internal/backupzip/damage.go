package backupzip

import (
	"archive/zip"
	"compress/flate"
	"errors"
	"io"
)

// isDamage reports whether err came from the bytes of the zip.
func isDamage(err error) bool {
	var corrupt flate.CorruptInputError
	return errors.As(err, &corrupt) || errors.Is(err, zip.ErrFormat) || errors.Is(err, zip.ErrChecksum) ||
		errors.Is(err, zip.ErrAlgorithm) || errors.Is(err, io.ErrUnexpectedEOF)
}
