package main

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// clockTick is the unit of CPU time in /proc, the same on every Linux that Go runs on.
const clockTick = 10 * time.Millisecond

const (
	settlePoll    = 100 * time.Millisecond
	settleTimeout = 10 * time.Second
)

// memory is the resident memory of the process now, peakMemory the most it ever
// had, both in MB.
func (s *server) memory() (float64, error)     { return s.procStatus("VmRSS") }
func (s *server) peakMemory() (float64, error) { return s.procStatus("VmHWM") }

func (s *server) procStatus(field string) (float64, error) {
	raw, err := s.procFile("status")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(raw) {
		name, value, _ := strings.Cut(line, ":")
		if name != field {
			continue
		}
		kb, err := strconv.ParseFloat(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 64)
		return kb / 1024, err
	}
	return 0, fmt.Errorf("no %s of %s: it is not running", field, s.name)
}

// cpuTime is what the process has used so far, in user and kernel mode.
func (s *server) cpuTime() (time.Duration, error) {
	raw, err := s.procFile("stat")
	if err != nil {
		return 0, err
	}
	return parseCPUTime(raw)
}

// settle returns once the server is idle, or busy for reasons of its own. Requests
// leave work behind, such as logs to write: it must not slow the server that is
// loaded next, and it counts as CPU time of the requests that caused it.
func (s *server) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, settleTimeout)
	defer cancel()

	before, err := s.cpuTime()
	if err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(settlePoll):
		}
		now, err := s.cpuTime()
		if err != nil || now-before <= clockTick {
			return err
		}
		before = now
	}
}

// parseCPUTime reads fields 14 and 15 of /proc/PID/stat. Field 2, the name, may
// hold spaces and brackets, so it counts from the last bracket.
func parseCPUTime(stat string) (time.Duration, error) {
	fields := strings.Fields(stat[strings.LastIndexByte(stat, ')')+1:])
	if len(fields) < 13 {
		return 0, fmt.Errorf("unexpected process statistics %q", stat)
	}
	user, err := strconv.ParseInt(fields[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("user time: %w", err)
	}
	system, err := strconv.ParseInt(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("system time: %w", err)
	}
	return time.Duration(user+system) * clockTick, nil
}

func (s *server) procFile(name string) (string, error) {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", s.cmd.Process.Pid, name))
	if err != nil {
		return "", fmt.Errorf("measure %s (bench needs Linux): %w", s.name, err)
	}
	return string(raw), nil
}
