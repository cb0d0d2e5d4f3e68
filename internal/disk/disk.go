// Package disk tells how much room a file system has.
//
//	free, total, err := disk.Space("pb_data")
package disk

// Low reports whether so little is free that what can wait should not be
// written any more: under a tenth, or under 500 MB.
func Low(free, total uint64) bool { return free < 500<<20 || float64(free) < 0.10*float64(total) }
