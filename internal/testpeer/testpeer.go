// SPDX-License-Identifier: AGPL-3.0-or-later

// Package testpeer starts the real programs that tests talk to: DCMTK's tools, Orthanc and rsyslogd. The DICOM programs
// listen on all addresses and cannot be bound to one, so Isolate first moves the test process into a network namespace
// of its own.
package testpeer

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience bounds the start and the end of a program.
const patience = 30 * time.Second

// missing is what to do when a program does not start.
const missing = "scripts/setup test installs what the tests need"

// NoDelay switches Nagle's algorithm off in DCMTK's programs and in Orthanc, which uses DCMTK.
const NoDelay = "TCP_NODELAY=1"

// Process is a program that runs until the test ends.
type Process struct {
	Addr string // host:port of its listener
	Port int
	PID  int

	process *os.Process
	output  Buffer
	ended   chan struct{}
}

// Output is what it has printed so far.
func (p *Process) Output() string { return p.output.String() }

// Start runs a program that listens on port, waits until it does, and kills it when the test ends. A program that
// is missing fails the test.
func Start(t testing.TB, env []string, port int, name string, args ...string) *Process {
	t.Helper()
	p := &Process{Addr: fmt.Sprintf("127.0.0.1:%d", port), Port: port, ended: make(chan struct{})}
	cmd := command(env, name, args...)
	cmd.Stdout, cmd.Stderr = &p.output, &p.output
	require.NoError(t, cmd.Start(), missing)
	p.process, p.PID = cmd.Process, cmd.Process.Pid
	go func() {
		defer close(p.ended)
		_ = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Logf("%s printed:\n%s", name, p.Output())
		}
	})
	p.awaitListener(t, name)
	return p
}

// End sends it a signal and waits until it has ended.
func (p *Process) End(t testing.TB, signal os.Signal) {
	t.Helper()
	require.NoError(t, p.process.Signal(signal))
	select {
	case <-p.ended:
	case <-time.After(patience):
		require.FailNow(t, "the program does not end", p.Output())
	}
}

func (p *Process) awaitListener(t testing.TB, name string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := net.Dial("tcp", p.Addr)
		if err == nil {
			_ = c.Close()
			return
		}
		select {
		case <-p.ended:
			require.FailNow(t, name+" ended unexpectedly", p.Output())
		case <-ctx.Done():
			require.FailNow(t, name+" does not listen", p.Output())
		case <-tick.C:
		}
	}
}

// Run runs a program to its end and returns what it printed and its exit code.
func Run(t testing.TB, env []string, name string, args ...string) (output string, exit int) {
	t.Helper()
	cmd := command(env, name, args...)
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	require.NoError(t, cmd.Start(), missing)
	timer := time.AfterFunc(2*patience, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	err := cmd.Wait()
	var failed *exec.ExitError
	if err != nil && !errors.As(err, &failed) {
		require.NoError(t, err)
	}
	return b.String(), cmd.ProcessState.ExitCode()
}

func command(env []string, name string, args ...string) *exec.Cmd {
	if path, err := exec.LookPath(name); err == nil {
		name = path
	} else if path, err := exec.LookPath(filepath.Join("/usr/sbin", name)); err == nil {
		name = path // not in every user's PATH
	}
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	cmd.SysProcAttr = dieWithParent()
	return cmd
}

// StoreSCP starts DCMTK's storescp, which writes what it receives into dir, bit by bit as received.
func StoreSCP(t testing.TB, env []string, dir string, args ...string) *Process {
	t.Helper()
	port := Port(t)
	args = append([]string{"+B", "+xa", "-od", dir, "-aet", "STORESCP"}, args...)
	return Start(t, env, port, "storescp", append(args, strconv.Itoa(port))...)
}

// DcmQRSCP starts DCMTK's dcmqrscp with AE title QRSCP on the folder dir. It sends to no one: see DcmQRSCPTo.
func DcmQRSCP(t testing.TB, env []string, dir string, args ...string) *Process {
	t.Helper()
	return DcmQRSCPTo(t, env, dir, nil, args...)
}

// DcmQRSCPTo is DcmQRSCP with C-MOVE destinations: the local port of each AE title.
func DcmQRSCPTo(t testing.TB, env []string, dir string, hosts map[string]int, args ...string) *Process {
	t.Helper()
	port := Port(t)
	lines := []string{
		fmt.Sprintf("NetworkTCPPort = %d", port), "MaxPDUSize = 131072", "MaxAssociations = 64", "HostTable BEGIN",
	}
	for ae, p := range hosts {
		lines = append(lines, fmt.Sprintf("%s = (%s, 127.0.0.1, %d)", strings.ToLower(ae), ae, p))
	}
	lines = append(lines, "HostTable END", "VendorTable BEGIN", "VendorTable END",
		"AETable BEGIN", fmt.Sprintf("QRSCP %s RW (1000, 1024mb) ANY", dir), "AETable END", "")
	cfg := filepath.Join(t.TempDir(), "dcmqrscp.cfg")
	require.NoError(t, os.WriteFile(cfg, []byte(strings.Join(lines, "\n")), 0o600))
	return Start(t, env, port, "dcmqrscp", append([]string{"-c", cfg}, args...)...)
}

// DcmRecv starts DCMTK's dcmrecv, which writes what it receives into dir.
func DcmRecv(t testing.TB, env []string, dir string, args ...string) *Process {
	t.Helper()
	port := Port(t)
	args = append([]string{"-xf", "/etc/dcmtk/storescp.cfg", "Default", "+B", "-od", dir}, args...)
	return Start(t, env, port, "dcmrecv", append(args, strconv.Itoa(port))...)
}
