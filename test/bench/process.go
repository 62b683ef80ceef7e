// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/adit-go/adit/internal/testpeer"
)

const (
	patience = 30 * time.Second // for a program to start or to end
	runLimit = 2 * time.Minute  // for a program that does its work and ends
)

// room is where a row is measured: a folder, and processes that end with it.
type room struct {
	ctx     context.Context
	dir     string
	closers []func() error
}

// leave ends everything that was started, the last one first.
func (r *room) leave() error {
	var err error
	for _, end := range slices.Backward(r.closers) {
		err = errors.Join(err, end())
	}
	r.closers = nil
	return err
}

// tempDir makes a folder that goes with the room.
func (r *room) tempDir() (string, error) {
	dir, err := os.MkdirTemp("", "adit-bench-")
	if err == nil {
		r.closers = append(r.closers, func() error { return os.RemoveAll(dir) })
	}
	return dir, err
}

// program is a command line with what it adds to the environment.
type program struct {
	env  []string
	name string
	args []string
}

func (p program) command(ctx context.Context) *exec.Cmd {
	name := p.name
	if _, err := exec.LookPath(name); err != nil && name == "Orthanc" {
		name = "/usr/sbin/Orthanc" // not in every user's PATH
	}
	cmd := exec.CommandContext(ctx, name, p.args...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// run runs programs side by side to their ends. It gives the time until the last one has ended and the CPU time of all.
func (r *room) run(all ...program) (wall, cpu time.Duration, err error) {
	ctx, cancel := context.WithTimeout(r.ctx, runLimit)
	defer cancel()
	commands := make([]*exec.Cmd, len(all))
	outputs := make([]bytes.Buffer, len(all))
	start := time.Now()
	for i, p := range all {
		commands[i] = p.command(ctx)
		commands[i].Stdout, commands[i].Stderr = &outputs[i], &outputs[i]
		if startErr := commands[i].Start(); startErr != nil {
			return 0, 0, startErr
		}
	}
	for i, p := range all {
		cmd := commands[i]
		if waitErr := cmd.Wait(); waitErr != nil {
			err = errors.Join(err, fmt.Errorf("%s: %w:\n%s", p.name, waitErr, &outputs[i]))
		}
		cpu += cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	}
	return time.Since(start), cpu, err
}

// server is a program that runs until its room is left.
type server struct {
	addr string // host:port of its DICOM listener
	port string
	pid  int
	said testpeer.Buffer // its output
}

// start starts a program and waits until ready says so. It is told to end by SIGTERM.
func (r *room) start(p program, ready func(s *server) bool) (*server, error) {
	s, ended := &server{}, make(chan struct{})
	cmd := p.command(context.WithoutCancel(r.ctx))
	cmd.Stdout, cmd.Stderr = &s.said, &s.said
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	s.pid = cmd.Process.Pid
	go func() {
		defer close(ended)
		_ = cmd.Wait() // a server that is told to end may say what it likes
	}()
	r.closers = append(r.closers, func() error {
		_ = cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-ended:
			return nil
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
			return fmt.Errorf("%s did not end:\n%s", p.name, &s.said)
		}
	})
	tick, limit := time.NewTicker(10*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !ready(s) {
		select {
		case <-tick.C:
		case <-ended:
			return nil, fmt.Errorf("%s ended unexpectedly:\n%s", p.name, &s.said)
		case <-limit:
			return nil, fmt.Errorf("%s is not ready:\n%s", p.name, &s.said)
		case <-r.ctx.Done():
			return nil, r.ctx.Err()
		}
	}
	return s, nil
}

// listening starts a program that listens at a DICOM port, and waits until it takes connections there.
func (r *room) listening(p program, port string) (*server, error) {
	s, err := r.start(p, func(*server) bool { return listens(r.ctx, port) })
	if err != nil {
		return nil, err
	}
	s.port, s.addr = port, net.JoinHostPort(loopback, port)
	return s, nil
}

const loopback = "127.0.0.1"

func listens(ctx context.Context, port string) bool {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(loopback, port))
	if err != nil {
		return false
	}
	_ = c.Close() // it has shown what it is for
	return true
}

func listen(ctx context.Context) (net.Listener, error) {
	return (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(loopback, "0"))
}

// freePort returns a TCP port that nothing listens on.
func freePort() (string, error) {
	port, err := testpeer.FreePort()
	return strconv.Itoa(port), err
}

// spent returns the CPU time that a process and all below it have used, those that have ended included.
func spent(pid int) (time.Duration, error) {
	parents, err := processes()
	if err != nil {
		return 0, err
	}
	var sum time.Duration
	for id, p := range parents {
		if id != pid && !below(parents, id, pid) {
			continue
		}
		own, err := clock(id)
		if err != nil && id == pid {
			return 0, err
		}
		sum += own + p.ended
	}
	return sum, nil
}

// clock reads the CPU clock of a process, all its threads together.
func clock(pid int) (time.Duration, error) {
	var t unix.Timespec
	const sched = 2 // CPUCLOCK_SCHED: nanoseconds by the scheduler
	if err := unix.ClockGettime(int32(^pid)<<3|sched, &t); err != nil {
		return 0, fmt.Errorf("the CPU clock of process %d can't be read: %w", pid, err)
	}
	return time.Duration(t.Nano()), nil
}

// stat is what /proc tells of a process.
type stat struct {
	parent int
	ended  time.Duration // CPU time of children that it has waited for
}

const clockTick = time.Second / 100 // USER_HZ, which is 100 for every program

func processes() (map[int]stat, error) {
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		return nil, err
	}
	all := map[int]stat{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended meanwhile
		}
		pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
		if err != nil {
			return nil, err
		}
		s, err := parseStat(string(text))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		all[pid] = s
	}
	return all, nil
}

// parseStat reads a line of proc(5) /proc/pid/stat, whose second field is a name that may hold anything.
func parseStat(line string) (stat, error) {
	fields := strings.Fields(line[strings.LastIndexByte(line, ')')+1:])
	if len(fields) < 15 {
		return stat{}, errors.New("the line is too short")
	}
	parent, err := strconv.Atoi(fields[1])
	user, err1 := strconv.Atoi(fields[13])
	system, err2 := strconv.Atoi(fields[14])
	return stat{parent, time.Duration(user+system) * clockTick}, errors.Join(err, err1, err2)
}

// below reports whether a process descends from another one.
func below(all map[int]stat, pid, ancestor int) bool {
	for p := all[pid].parent; p > 1; p = all[p].parent {
		if p == ancestor {
			return true
		}
	}
	return false
}

// highWater returns the most memory that a process ever had, in bytes.
func highWater(pid int) (int64, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmHWM:" {
			kb, err := strconv.ParseInt(fields[1], 10, 64)
			return kb << 10, err
		}
	}
	return 0, errors.New("/proc does not tell how much memory adit had")
}
