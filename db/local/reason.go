// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package local

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
)

// EndedError says that PostgreSQL, or what makes its files, ended unexpectedly.
type EndedError struct {
	When   string // "unexpectedly", "while it started", …
	State  string // the process's: "exit status 1"
	Reason string // and what to do; empty: it is not known
	Said   string // the line that names the setting, if that is the reason, or that may tell it
}

func (e *EndedError) Error() string {
	reason, state := e.Reason, e.State
	switch {
	case reason != "" && e.Said != "":
		state += "; it said: " + e.Said
	case reason == "" && e.Said != "":
		reason = "it said: " + e.Said
	case reason == "":
		reason = "it said nothing"
	}
	return fmt.Sprintf("the embedded PostgreSQL ended %s: %s (%s)", e.When, reason, state)
}

const (
	noRoom  = "the disk of the data directory is full; make room there"
	noRight = "it has no access to its files; give the directory postgres/data back to the user that PostgreSQL runs " +
		"as, with mode 0700"
	noWriting  = "the disk of the data directory is read-only; mount it for writing"
	noMemory   = "the machine has too little memory for it"
	badSetting = "it rejects a setting; see postgres/data/adit-local.conf and postgresql.auto.conf"
	wasDamaged = "its files are damaged; move postgres/data away and restore a backup"
)

// reasons are told by what PostgreSQL or the system says; the first that fits counts.
var reasons = []struct{ said, with, reason string }{
	{"no space left on device", "shared memory", "shared memory (/dev/shm) is full; give the container more (--shm-size)"},
	{"no space left on device", "semaphore", "the system has no semaphores left; raise kernel.sem"},
	{"no space left on device", "", noRoom},
	{"disk quota exceeded", "", "the disk quota is used up; raise it, or make room in the data directory"},
	{"read-only file system", "", noWriting},
	{"permission denied", "", noRight},
	{"operation not permitted", "", noRight},
	{"has invalid permissions", "", noRight},
	{"has wrong ownership", "", noRight},
	{"cannot allocate memory", "", noMemory},
	{"shared memory", "could not", noMemory},
	{"address already in use", "", "another program uses its socket; stop that program, or move the data directory"},
	{"unrecognized configuration parameter", "", badSetting},
	{"contains errors", "configuration file", badSetting},
	{"input/output error", "", "the disk of the data directory is faulty; see the system log"},
	{"valid checkpoint record", "", wasDamaged},
	{"invalid checkpoint record", "", wasDamaged},
	{"incorrect checksum in control file", "", wasDamaged},
	{"invalid page", "", wasDamaged},
	{"pg_control", "could not", wasDamaged},
	{"too many open files", "", "it may open too few files at once; raise the limit (ulimit -n, LimitNOFILE=)"},
	{"incompatible with server", "", "its files belong to another version of PostgreSQL; install that one again"},
}

// reasonIn looks for a reason in what was said, line by line, and returns the line, too; empty: there is none.
func reasonIn(lines ...string) (reason, line string) {
	for _, r := range reasons {
		for _, line := range lines {
			if low := strings.ToLower(line); strings.Contains(low, r.said) && strings.Contains(low, r.with) {
				return r.reason, line
			}
		}
	}
	return "", ""
}

// ended says why a process has ended; it must have.
func (p *process) ended(when string) *EndedError {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := &EndedError{When: when, State: p.state()}
	var said string
	if e.Reason, said = reasonIn(p.last...); e.Reason == badSetting {
		e.Said = said
	}
	if e.Reason != "" {
		return e
	}
	if status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok &&
		status.Signaled() && status.Signal() == syscall.SIGKILL {
		e.Reason = "it was killed, perhaps because memory ran out; the system log says whether it did"
		return e
	}
	for _, line := range p.last {
		severity, text, _ := strings.Cut(line, ":")
		if e.Said = line; severity == "FATAL" || severity == "PANIC" || strings.HasSuffix(severity, "error") {
			e.Said = strings.TrimSpace(text)
			break
		}
	}
	return e
}

// Reason returns why the embedded PostgreSQL could not be started, or ended, and what to do; empty where that is not
// known. No path is in it.
func Reason(err error) string {
	ended, ok := errors.AsType[*EndedError](err)
	switch {
	case ok:
		return ended.Reason
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return noRoom
	case errors.Is(err, syscall.EROFS):
		return noWriting
	case errors.Is(err, fs.ErrPermission):
		return noRight
	case errors.Is(err, ErrMajor):
		return "it needs a major version of PostgreSQL that is not installed; install that one again"
	case errors.Is(err, ErrInUse):
		return "another PostgreSQL is running in its directory; stop that one"
	}
	return ""
}

// NoRoom reports whether it is for want of room that the embedded PostgreSQL doesn't run.
func NoRoom(err error) bool { return Reason(err) == noRoom }
