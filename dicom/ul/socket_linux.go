// SPDX-License-Identifier: AGPL-3.0-or-later

package ul

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// socket is a TCP connection whose reads and writes the Go runtime takes for ordinary code. They never block: the
// descriptor is non-blocking, and the runtime's poller is asked to wait where there is nothing to read. Told of each
// system call, the runtime would wake its monitor for each, and give the thread's place to another one when a large
// write takes long: together a fifth of what an image costs.
type socket struct {
	tcp *net.TCPConn
	raw syscall.RawConn
	r   reading
	w   writing
	low int // SO_RCVLOWAT: how many bytes must be there before a wait ends
	top int // the most that this is set to
}

type reading struct {
	sync.Mutex
	try    func(fd uintptr) bool // made once, since it escapes
	wait   func(least int)
	waited bool
	least  int
	into   [][]byte
	iov    []syscall.Iovec // for sysReadv
	n      int
	errno  syscall.Errno
}

type writing struct {
	sync.Mutex
	try    func(fd uintptr) bool
	wait   func(int)
	waited bool
	from   *net.Buffers
	iov    []syscall.Iovec // for sysWritev
	n      int64
	since  int // of n, since the last wait
	errno  syscall.Errno
	guard  func() error // nil: none
	denied error        // the guard's
}

func newSocket(c *net.TCPConn) (transport, error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil, err
	}
	s := &socket{tcp: c, raw: raw, low: 1}
	if err := raw.Control(func(fd uintptr) { s.top = quickSegments * segment(fd) }); err != nil {
		return nil, err
	}
	s.r.try, s.w.try = s.tryRead, s.tryWrite
	return s, nil
}

func (s *socket) readv(v [][]byte, least int, wait func(int)) (n int, waited bool, err error) {
	s.r.Lock()
	defer s.r.Unlock()
	s.r.into, s.r.least, s.r.wait, s.r.waited, s.r.n, s.r.errno = v, max(1, min(least, s.top)), wait, false, 0, 0
	err = s.raw.Read(s.r.try)
	s.r.into, s.r.wait = nil, nil
	if err == nil && s.r.errno != 0 {
		err = s.failed("read", s.r.errno)
	}
	if err == nil && s.r.n == 0 {
		err = io.EOF
	}
	return s.r.n, s.r.waited, err
}

// tryRead reads what is there, and gives false if that is nothing.
func (s *socket) tryRead(fd uintptr) bool {
	for {
		n, errno := s.r.sysReadv(fd, s.r.into)
		switch errno {
		case syscall.EINTR:
			continue
		case syscall.EAGAIN:
			if s.r.least != s.low {
				setInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVLOWAT, s.r.least)
				s.low = s.r.least
			}
			quickACK(fd)
			s.r.waited = true
			s.r.wait(s.r.least)
			return false
		case 0:
			s.r.n = n
		}
		s.r.errno = errno
		return true
	}
}

func (s *socket) setGuard(guard func() error) { s.w.guard = guard }

func (s *socket) writev(v *net.Buffers, wait func(int)) (n int64, waited bool, err error) {
	s.w.Lock()
	defer s.w.Unlock()
	s.w.from, s.w.wait, s.w.waited, s.w.n, s.w.since, s.w.errno, s.w.denied = v, wait, false, 0, 0, 0, nil
	err = s.raw.Write(s.w.try)
	s.w.from, s.w.wait = nil, nil
	if s.w.denied != nil {
		err = &guardError{s.w.denied}
	}
	if err == nil && s.w.errno != 0 {
		err = s.failed("writev", s.w.errno)
	}
	return s.w.n, s.w.waited, err
}

// tryWrite writes as much as there is room for, and gives false if something is left.
func (s *socket) tryWrite(fd uintptr) bool {
	for {
		if len(*s.w.from) == 0 {
			return true
		}
		if s.w.guard != nil {
			if s.w.denied = s.w.guard(); s.w.denied != nil {
				return true
			}
		}
		n, errno := s.w.sysWritev(fd, *s.w.from)
		switch errno {
		case 0:
			s.w.n += int64(n)
			s.w.since += n
			consume(s.w.from, n)
		case syscall.EINTR:
		case syscall.EAGAIN:
			s.w.waited = true
			s.w.wait(s.w.since)
			s.w.since = 0
			return false
		default:
			s.w.errno = errno
			return true
		}
	}
}

// consume takes the first n bytes away.
func consume(v *net.Buffers, n int) {
	for len(*v) > 0 && n >= len((*v)[0]) {
		n -= len((*v)[0])
		(*v)[0] = nil
		*v = (*v)[1:]
	}
	if n > 0 {
		(*v)[0] = (*v)[0][n:]
	}
}

func (s *socket) failed(op string, errno syscall.Errno) error {
	return &net.OpError{
		Op: op, Net: "tcp", Source: s.tcp.LocalAddr(),
		Addr: s.tcp.RemoteAddr(), Err: os.NewSyscallError(op, errno),
	}
}

// quickACK switches delayed acknowledgements off until the kernel switches them on again, which it does by itself: so
// it is called before each wait. Peers that leave Nagle's algorithm on (every stock DCMTK) otherwise wait 40 ms per
// instance for our acknowledgement.
func quickACK(fd uintptr) { setInt(fd, syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1) }

// quickSegments is for how many segments a wait may last. The kernel acknowledges 16 at once after TCP_QUICKACK.
const quickSegments = 8

// segment is how many bytes a TCP segment takes, 0 if that can't be known.
func segment(fd uintptr) int {
	n, err := syscall.GetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG)
	if err != nil {
		return 0
	}
	return n
}
