// SPDX-License-Identifier: AGPL-3.0-or-later

//go:build linux

package local

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	tailLines   = 12
	longestLine = 64 << 10
	lastWords   = time.Second // how long the log of an ended process is still read
)

// process is a child whose life is bound to ours.
type process struct {
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended and its log is read

	mu   sync.Mutex
	last []string
}

// startProcess starts a program as the given account, with files from descriptor 3 on and its output in the log.
// When this process dies, the kernel sends the child deathSignal.
func startProcess(
	logger *slog.Logger, acc account, deathSignal syscall.Signal,
	files []*os.File, env []string, program string, args ...string,
) (*process, error) {
	out, in, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(program, args...) //nolint:noctx // it outlives the context of its start, and is stopped in an order of its own
	cmd.Dir = "/"
	// Not ours: ADIT_* may hold secrets, PG* would change the server.
	cmd.Env = append([]string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C", "TZ=UTC"}, env...)
	cmd.Stdout, cmd.Stderr = in, in
	cmd.ExtraFiles = files
	// A session of its own: Ctrl-C on the terminal is ADIT's to order.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: deathSignal}
	if acc.drop {
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(acc.uid), Gid: uint32(acc.gid)}
	}

	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go p.run(logger, out, in, started)
	if err := <-started; err != nil {
		return nil, errors.Join(err, out.Close(), in.Close())
	}
	return p, nil
}

// run starts the child and waits for it on one thread, since the kernel takes the end of the thread that forked for
// the end of the parent, and Go ends idle threads when it likes.
func (p *process) run(logger *slog.Logger, out, in *os.File, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	err := p.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	_ = in.Close() // the child has its own

	read := make(chan struct{})
	go func() {
		defer close(read)
		p.pump(logger, out)
	}()
	_ = p.cmd.Wait() // state tells how it ended
	// Children that outlive it hold the pipe open; what they say does not keep us.
	_ = out.SetReadDeadline(time.Now().Add(lastWords))
	<-read
	_ = out.Close()
	close(p.done)
}

func (p *process) pump(logger *slog.Logger, out io.Reader) {
	lines := bufio.NewReaderSize(out, longestLine)
	for {
		line, err := lines.ReadSlice('\n') // a longer line arrives in pieces
		if text := strings.TrimSpace(string(line)); text != "" {
			report(logger, text)
			p.keep(text)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

// asked is PostgreSQL's answer to our own question whether it is ready yet.
const asked = "the database system is starting up"

func report(logger *slog.Logger, line string) {
	severity, text, _ := strings.Cut(line, ":")
	switch {
	case (severity == "PANIC" || severity == "FATAL") && strings.TrimSpace(text) != asked:
		logger.Warn("PostgreSQL says", "line", line)
	default:
		logger.Debug("PostgreSQL says", "line", line)
	}
}

func (p *process) keep(line string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last = append(p.last, line)
	if len(p.last) > tailLines {
		p.last = p.last[1:]
	}
}

// state tells, after done, how the process ended.
func (p *process) state() string { return p.cmd.ProcessState.String() }

func (p *process) signal(sig os.Signal) {
	// An error means that it has ended already.
	_ = p.cmd.Process.Signal(sig)
}
