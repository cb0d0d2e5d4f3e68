package process

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// cpuPeriod is the time that a share of the CPU is counted over, in microseconds.
const cpuPeriod = 100_000

// platformGroup is where the platform itself moves, in a version 2 group that was
// delegated to it: a group with limits for those below it has no processes.
const platformGroup = "platform"

// limits are the control groups of tenants. What cannot be used is empty.
type limits struct {
	// unified is the version 2 group in which each tenant gets one.
	unified string

	// memoryDir and cpuDir are the same for version 1, and the groups that the platform
	// itself is in.
	memoryDir, cpuDir string
	ownMemory, ownCPU string
}

// findLimits finds and prepares the groups. It says once which limits cannot be
// enforced, and that is all that follows from it.
func findLimits(name string, logger *slog.Logger) *limits {
	l := &limits{}
	var problems []error
	mounts, own, err := readCgroups()
	if err != nil {
		problems = append(problems, err)
	}
	if root, ok := mounts[""]; ok {
		if err := l.useUnified(filepath.Join(root, own[""]), name); err != nil {
			problems = append(problems, err)
		}
	}
	for controller, target := range map[string]struct{ dir, own *string }{
		"memory": {&l.memoryDir, &l.ownMemory}, "cpu": {&l.cpuDir, &l.ownCPU},
	} {
		root, ok := mounts[controller]
		if !ok || l.unified != "" {
			continue
		}
		group := filepath.Join(root, own[controller])
		if err := os.MkdirAll(filepath.Join(group, name), 0o755); err != nil { //nolint:gosec // as all groups
			problems = append(problems, err)
			continue
		}
		*target.dir, *target.own = filepath.Join(group, name), group
	}
	if !l.memory() || !l.cpu() {
		logger.Warn("limits of tenants are not enforced: control groups are not delegated to this process",
			"memory", l.memory(), "cpu", l.cpu(), "reason", errors.Join(problems...))
	}
	return l
}

func (l *limits) memory() bool { return l.unified != "" || l.memoryDir != "" }
func (l *limits) cpu() bool    { return l.unified != "" || l.cpuDir != "" }

// useUnified prepares the version 2 group that the platform is in.
func (l *limits) useUnified(group, name string) error {
	if filepath.Base(group) == platformGroup { // an earlier platform, or systemd's DelegateSubgroup
		group = filepath.Dir(group)
	}
	if err := enable(group); err != nil {
		// Where processes are, nothing can be enabled: move out, if it is only us.
		leaf := filepath.Join(group, platformGroup)
		if err := os.MkdirAll(leaf, 0o755); err != nil { //nolint:gosec // as all groups
			return err
		}
		if err := writeGroup(filepath.Join(leaf, "cgroup.procs"), "0"); err != nil {
			_ = os.Remove(leaf)
			return err
		}
		if err := enable(group); err != nil {
			_ = writeGroup(filepath.Join(group, "cgroup.procs"), "0")
			_ = os.Remove(leaf)
			return err
		}
	}
	dir := filepath.Join(group, name)
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // as all groups
		return err
	}
	if err := enable(dir); err != nil {
		return err
	}
	l.unified = dir
	return nil
}

// enable gives the groups below this one limits of memory and CPU.
func enable(group string) error {
	return writeGroup(filepath.Join(group, "cgroup.subtree_control"), "+memory +cpu")
}

// start starts the command in the groups of the tenant.
func (l *limits) start(id string, spec storedSpec, cmd *exec.Cmd) error {
	if l.unified != "" {
		return l.startUnified(id, spec, cmd)
	}
	return l.startSeparate(id, spec, cmd)
}

func (l *limits) startUnified(id string, spec storedSpec, cmd *exec.Cmd) error {
	group := filepath.Join(l.unified, id)
	if err := os.MkdirAll(group, 0o755); err != nil { //nolint:gosec // as all groups
		return err
	}
	memory, cpu := "max", "max"
	if spec.Memory > 0 {
		memory = strconv.FormatInt(spec.Memory, 10)
	}
	if spec.CPU > 0 {
		cpu = strconv.Itoa(int(spec.CPU * cpuPeriod))
	}
	err := errors.Join(
		writeGroup(filepath.Join(group, "memory.max"), memory),
		writeGroup(filepath.Join(group, "cpu.max"), cpu+" "+strconv.Itoa(cpuPeriod)),
	)
	if err != nil {
		return err
	}
	dir, err := os.Open(group)
	if err != nil {
		return err
	}
	defer func() { _ = dir.Close() }()
	cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(dir.Fd())
	return cmd.Start()
}

// startSeparate starts it from a thread that has moved into the groups: a child is
// where its parent's thread is, so that it finds its limits from the begin.
func (l *limits) startSeparate(id string, spec storedSpec, cmd *exec.Cmd) error {
	memory, quota := int64(-1), -1
	if spec.Memory > 0 {
		memory = spec.Memory
	}
	if spec.CPU > 0 {
		quota = int(spec.CPU * cpuPeriod)
	}
	var groups, own []string
	for _, c := range []struct {
		dir, own, file string
		value          int64
	}{
		{l.memoryDir, l.ownMemory, "memory.limit_in_bytes", memory}, {l.cpuDir, l.ownCPU, "cpu.cfs_quota_us", int64(quota)},
	} {
		if c.dir == "" {
			continue
		}
		group := filepath.Join(c.dir, id)
		if err := os.MkdirAll(group, 0o755); err != nil { //nolint:gosec // as all groups
			return err
		}
		if err := writeGroup(filepath.Join(group, c.file), strconv.FormatInt(c.value, 10)); err != nil {
			return err
		}
		groups, own = append(groups, group), append(own, c.own)
	}
	if len(groups) == 0 {
		return cmd.Start()
	}
	result := make(chan error)
	go func() {
		// Never unlocked: should the way back fail, the thread ends with this.
		runtime.LockOSThread()
		thread := strconv.Itoa(unix.Gettid())
		var err error
		for _, group := range groups {
			err = errors.Join(err, writeGroup(filepath.Join(group, "tasks"), thread))
		}
		if err == nil {
			err = cmd.Start()
		}
		for _, group := range own {
			_ = writeGroup(filepath.Join(group, "tasks"), thread)
		}
		result <- err
	}()
	return <-result
}

// outOfMemory reports whether the tenant was killed for its limit. It counts since
// the group was made: it is removed when the process has ended.
func (l *limits) outOfMemory(id string) bool {
	path := filepath.Join(l.memoryDir, id, "memory.oom_control")
	if l.unified != "" {
		path = filepath.Join(l.unified, id, "memory.events")
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return false
	}
	for line := range strings.Lines(string(content)) {
		if count, ok := strings.CutPrefix(strings.TrimSpace(line), "oom_kill "); ok {
			return count != "0"
		}
	}
	return false
}

// remove removes the tenant's groups. One that stays does no harm.
func (l *limits) remove(id string) {
	for _, dir := range []string{l.unified, l.memoryDir, l.cpuDir} {
		if dir != "" {
			_ = os.Remove(filepath.Join(dir, id))
		}
	}
}

// close removes what no tenant is in.
func (l *limits) close() {
	for _, dir := range []string{l.unified, l.memoryDir, l.cpuDir} {
		if dir != "" {
			_ = os.Remove(dir) // fails as long as there are groups in it
		}
	}
}

// writeGroup writes to a file that must be there already.
func writeGroup(path, value string) error {
	file, err := os.OpenFile(path, os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	return errors.Join(err, file.Close())
}

// readCgroups returns where the groups are mounted and which this process is in,
// by controller; version 2 is "".
func readCgroups() (mounts, own map[string]string, err error) {
	mounts, own = map[string]string{}, map[string]string{}
	roots := map[string]string{}
	err = eachLine("/proc/self/mountinfo", func(line string) {
		before, after, ok := strings.Cut(line, " - ")
		left, right := strings.Fields(before), strings.Fields(after)
		if !ok || len(left) < 5 || len(right) < 3 {
			return
		}
		const root, target = 3, 4
		switch right[0] {
		case "cgroup2":
			mounts[""], roots[""] = left[target], left[root]
		case "cgroup":
			for controller := range strings.SplitSeq(right[2], ",") {
				mounts[controller], roots[controller] = left[target], left[root]
			}
		}
	})
	if err != nil {
		return nil, nil, err
	}
	err = eachLine("/proc/self/cgroup", func(line string) {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			return
		}
		for controller := range strings.SplitSeq(parts[1], ",") {
			path := parts[2]
			// In a container the mount begins at its own group.
			if rel, err := filepath.Rel(roots[controller], path); err == nil && !strings.HasPrefix(rel, "..") {
				path = rel
			}
			own[controller] = path
		}
	})
	if err == nil && len(mounts) == 0 {
		err = fmt.Errorf("no control groups are mounted: %w", fs.ErrNotExist)
	}
	return mounts, own, err
}

func eachLine(path string, do func(line string)) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }()
	scanner := bufio.NewScanner(file)
	for scanner.Scan() {
		do(scanner.Text())
	}
	return scanner.Err()
}
