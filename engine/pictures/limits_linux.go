// SPDX-License-Identifier: AGPL-3.0-or-later

package pictures

import (
	"os"
	"runtime"
	"strconv"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const confinable = true

// What gdcmconv may take.
const (
	decoderMemory  = 2 << 30
	decoderSeconds = 20
	decoderFile    = 512 << 20
	nice           = 10
)

// tied is how the kernel ties a worker to us: it dies with us, and signals of a terminal are not for it.
func tied() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}

// limit is a limit of the kernel, for this process and what it becomes.
type limit struct {
	what int
	most uint64
}

func restrict(limits ...limit) error {
	for _, l := range limits {
		if err := unix.Setrlimit(l.what, &unix.Rlimit{Cur: l.most, Max: l.most}); err != nil {
			return err
		}
	}
	return nil
}

// confine limits this process: it writes no file, opens nothing, and is behind all others.
func confine() error {
	if err := beNice(); err != nil {
		return err
	}
	time.AfterFunc(time.Hour, func() {}).Stop() // Go's runtime opens what it needs for timers when there is the first
	return restrict(
		limit{unix.RLIMIT_DATA, workerMemory}, limit{unix.RLIMIT_FSIZE, 0}, limit{unix.RLIMIT_CORE, 0},
		limit{unix.RLIMIT_NOFILE, 0},
	)
}

// become limits this process and replaces its program.
func become(args []string) error {
	if err := beNice(); err != nil {
		return err
	}
	runtime.LockOSThread() // which has the privileges of what it becomes
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	err := restrict(
		limit{unix.RLIMIT_AS, decoderMemory}, limit{unix.RLIMIT_DATA, decoderMemory},
		limit{unix.RLIMIT_FSIZE, decoderFile}, limit{unix.RLIMIT_CORE, 0}, limit{unix.RLIMIT_CPU, decoderSeconds},
		limit{unix.RLIMIT_NOFILE, 32},
	)
	if err != nil {
		return err
	}
	return syscall.Exec(args[0], args, []string{})
}

// beNice is for each thread: on Linux they have a niceness of their own, which new ones inherit.
func beNice() error {
	threads, err := os.ReadDir("/proc/self/task")
	if err != nil {
		return err
	}
	for _, t := range threads {
		id, err := strconv.Atoi(t.Name())
		if err != nil {
			continue
		}
		if err := unix.Setpriority(unix.PRIO_PROCESS, id, nice); err != nil && err != unix.ESRCH {
			return err
		}
	}
	return nil
}
