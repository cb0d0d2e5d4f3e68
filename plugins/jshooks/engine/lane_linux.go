package engine

import "golang.org/x/sys/unix"

// lowered is the niceness of a call that runs long: about a tenth of the share of others.
// At less it would hold up the garbage collector, which stops everybody for a moment, by measurement.
const lowered = 10

func threadID() int { return unix.Gettid() }

// giveWay lowers a thread's share of the processors. On Linux the niceness is that of
// the thread, not of the process. Nobody needs a privilege to lower it, and everybody
// one to raise it again.
func giveWay(thread int) { _ = unix.Setpriority(unix.PRIO_PROCESS, thread, lowered) } // a seccomp filter may forbid it
