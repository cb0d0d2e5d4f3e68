//go:build !linux

package engine

func threadID() int { return 0 }

// giveWay does nothing: niceness is of whole processes here.
func giveWay(int) {}
